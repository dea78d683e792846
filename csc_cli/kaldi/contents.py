"""What the values of a data directory's tables must be, beyond what loading needs: the rules of Kaldi's validator."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.text import Table

# Symbols that language models reserve, as words of their own in grep's sense.
RESERVED = re.compile(r"(?<!\w)(<s>|</s>|#0)(?!\w)")
# Control characters, and white space other than blank and tab, which awk and Python take differently.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


@dataclass(frozen=True)
class Rule:
    """What a value must be; `wrong` and `remedy` are for the lines where it is not."""

    holds: Callable[[str], bool]
    wrong: str
    remedy: str


def _above_zero(value: str) -> bool:
    try:
        return 0 < float(value) < math.inf
    except ValueError:
        return False


def _count(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) > 0


def _warp(value: str) -> bool:
    return _above_zero(value) and 0.5 < float(value) < 1.5


def _no_tilde(value: str) -> bool:
    return not value.startswith("~")


def _printable(value: str) -> bool:
    return UNPRINTABLE.search(value) is None


def _unreserved(value: str) -> bool:
    return RESERVED.search(value) is None


_SECONDS = Rule(_above_zero, "is no number of seconds above 0", "write its seconds")
_WARP = Rule(_warp, "is no warp factor between 0.5 and 1.5", "write the factor")
PRINTABLE = Rule(
    _printable, "has characters that cannot be printed, or other white space than blanks", "remove them from the line"
)
RULES: Mapping[str, tuple[Rule, ...]] = {
    "wav.scp": (Rule(_no_tilde, "begins with ~, which only a shell knows", "write the path in full"),),
    "text": (PRINTABLE, Rule(_unreserved, "holds <s>, </s> or #0, which language models reserve", "remove it")),
    "utt2dur": (_SECONDS,),
    "reco2dur": (_SECONDS,),
    "utt2num_frames": (Rule(_count, "is no whole number above 0", "write its number of frames"),),
    "spk2gender": (Rule({"m", "f"}.__contains__, "is neither m nor f", "write m or f"),),
    "spk2warp": (_WARP,),
    "utt2warp": (_WARP,),
}


def value_faults(table: Table, *, non_print: bool = False) -> list[Fault]:
    """A fault for each line of a table whose value is not what it must be; `non_print` lets all characters pass."""
    faults = []
    for rule in RULES.get(table.path.name, ()):
        if non_print and rule is PRINTABLE:
            continue
        for index, value in enumerate(table.values):
            if not rule.holds(value):
                message = f"'{table.keys[index]} {shown(value)}' {rule.wrong}"
                faults.append(Fault(table.path, table.lines[index], message, rule.remedy))
    return faults


def shown(value: str, most: int = 60) -> str:
    """A value for a message: its beginning, and nothing that a terminal would take for a command."""
    text = value if len(value) <= most else f"{value[:most]}..."
    return "".join(sign if sign.isprintable() else "?" for sign in text)
