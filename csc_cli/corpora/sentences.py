"""English sentences by number: no two numbers give the same sentence, so parts cannot share one."""

from __future__ import annotations

from math import prod

from csc_cli.seeds import derive


def _choices(text: str) -> list[str]:
    return text.split("|")


_QUANTITIES = _choices("the|that|my|your|our|their|her|his|every|another|one|no|this|some other|the first|the last")
_QUALITIES = _choices(
    "small|old|quiet|brown|clever|hungry|young|heavy|golden|lazy|broken|gentle|famous|narrow|yellow|curious|"
    "patient|silver|nervous|proud|simple|warm|foreign|angry|careful|distant|cheerful|rough|blue|humble|tall|odd"
)
_NOUNS = _choices(
    "farmer|letter|garden|teacher|window|captain|river|engine|doctor|basket|soldier|mountain|painter|bottle|dancer|"
    "village|pilot|candle|baker|island|lawyer|mirror|sailor|bridge|nurse|pocket|hunter|valley|singer|blanket|driver|"
    "kitchen|writer|hammer|student|forest|builder|ladder|child|camera|shepherd|table|guest|carpet|neighbour|tower|"
    "judge|pencil|miller|cottage|actor|whistle|gardener|bucket|grocer|chapel|king|feather|monk|harbour|clerk|"
    "lantern|witness|orchard"
)
_VERBS = _choices(
    "watches|carries|follows|paints|forgets|admires|borrows|measures|repairs|ignores|remembers|visits|describes|"
    "collects|finds|protects|washes|praises|leaves|photographs|discovers|examines|welcomes|draws|touches|misses|"
    "mentions|changes|covers|expects|chooses|guards"
)
_PLACES = _choices(
    "near the station|behind the church|under the bridge|at the market|in the library|by the lake|on the hill|"
    "outside the theatre|across the street|beside the fire|above the harbour|inside the tent|along the coast|"
    "between the houses|below the castle|beyond the fields"
)
_TIMES = _choices(
    "before sunrise|on Monday|after supper|in the winter|at midnight|this afternoon|once a year|every evening|"
    "during the storm|until Thursday|without a word|for a while|in the meantime|two days later|at the weekend|"
    "as usual"
)
_SLOTS = (_QUANTITIES, _QUALITIES, _NOUNS, _VERBS, _QUANTITIES, _QUALITIES, _NOUNS, _PLACES, _TIMES)

COUNT = prod(len(slot) for slot in _SLOTS)  # how many sentences there are
_BITS = COUNT.bit_length() - 1  # 43: every slot holds a power of two of words


def sentence(seed: int, number: int) -> str:
    """The sentence with this number, 0 <= number < COUNT: equal numbers, and only they, give equal sentences.

    The number is scrambled by steps that are one to one on integers of `_BITS` bits (odd multiplier,
    shifted exclusive or), and its mixed-radix digits choose a word for each slot.

    >>> sentence(0, 1) == sentence(0, 1) != sentence(0, 2)
    True
    """
    place = number
    for turn in range(3):
        place = (place * (derive(seed, "sentences", turn) | 1) + turn) % COUNT
        place ^= place >> (_BITS // 2)
    words = []
    for slot in _SLOTS:
        place, digit = divmod(place, len(slot))
        words.append(slot[digit])
    return " ".join(words)
