"""Which utterances a part of a data directory has, by the rules of Kaldi's subset_data_dir.sh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from csc_cli.errors import DataError, some
from csc_cli.kaldi.edit.lengths import durations_s, numbers_of
from csc_cli.kaldi.edit.tables import Tables, read_tables, refuse_own_folder
from csc_cli.kaldi.text import parse
from csc_cli.progress import note

How = Literal["spread", "first", "last", "shortest", "speakers", "per-spk"]


@dataclass(frozen=True)
class Choice:
    """What to take: `number` utterances as `how` says, or the utterances or speakers that a file lists.

    `how` "spread" takes every n-th, so to say; "speakers" takes whole speakers, drawn by `seed`,
    until `number` utterances are there; "per-spk" takes `number` of each speaker.
    """

    number: int | None = None
    how: How = "spread"
    utt_list: Path | None = None
    spk_list: Path | None = None
    seed: int = 0


def subset_data_dir(source: str | Path, out: str | Path, choice: Choice) -> str:
    """Write the chosen part of the data directory `source` to `out`; returns a summary.

    Raises:
        DataError: faults in `source`; more asked for than there is; nothing chosen.
    """
    refuse_own_folder(out, source)
    data = read_tables(source)
    part = data.select(chosen(data, choice))
    part.write(out)
    return f"{out}: {part.summary(data)}"


def chosen(data: Tables, choice: Choice) -> list[str]:
    """The utterances that `choice` takes of `data`; errors as `subset_data_dir`."""
    if choice.utt_list is not None:
        return _listed(choice.utt_list, data.utt2spk, "utterance", data.path)
    if choice.spk_list is not None:
        speakers = _listed(choice.spk_list, data.spk2utt, "speaker", data.path)
        return [utterance for speaker in speakers for utterance in data.spk2utt[speaker]]
    number = choice.number
    if number is None or not 0 < number <= len(data.utt2spk):
        raise DataError(f"{data.path}: has {len(data.utt2spk)} utterances; ask for 1 to as many, not {number}")
    utterances = list(data.utt2spk)
    if choice.how == "first":
        return utterances[:number]
    if choice.how == "last":
        return utterances[-number:]
    if choice.how == "shortest":
        lengths = _lengths(data)
        return sorted(utterances, key=lengths.__getitem__)[:number]  # of equals the first
    if choice.how == "per-spk":
        return [utterance for own in data.spk2utt.values() for utterance in own[:: max(1, len(own) // number)][:number]]
    if choice.how == "speakers":
        return _whole_speakers(data.spk2utt, number, choice.seed)
    return [utterances[index] for index in spread(0, len(utterances), number)]


def _listed(path: Path, known: Mapping[str, object], what: str, source: Path) -> list[str]:
    """The ids that begin the lines of a list; those that are unknown are counted aloud."""
    table = parse(path, in_order=False, values=False)
    # That an id is listed twice does no harm; whatever else is wrong does.
    for fault in table.faults:
        if "stands on line" not in fault.message:
            raise DataError(str(fault))
    unknown = [key for key in table.keys if key not in known]
    if len(unknown) == len(table.keys):
        raise DataError(f"{path}: none of its {len(unknown)} ids is a {what} of {source}; a line begins with a {what}")
    if unknown:
        note(f"{path}: {len(unknown)} of {len(table.keys)} ids are no {what}s of {source}: {some(unknown)}")
    return [key for key in table.keys if key in known]


def spread(start: int, end: int, number: int) -> Iterator[int]:
    """`number` of the indices from `start` to before `end`, evenly spread (as Kaldi's subset_scp.pl).

    The range is halved, and each half gives half of what is asked for, the second the odd one.
    """
    if number in (0, end - start):
        yield from range(start, start + number)
        return
    middle = start + (end - start) // 2
    yield from spread(start, middle, number // 2)
    yield from spread(middle, end, number - number // 2)


def _whole_speakers(spk2utt: Mapping[str, Sequence[str]], number: int, seed: int) -> list[str]:
    """Speakers in random order until there are `number` utterances; the same as Kaldi's with its `--srand`."""
    # shuffle_list.pl sorts the lines by perl's rand(), compared as text.
    order = sorted(zip((f"{value:.15g}" for value in drand48(seed)), spk2utt), key=lambda pair: pair[0])
    utterances: list[str] = []
    for _, speaker in order:
        if len(utterances) >= number:
            break
        utterances += spk2utt[speaker]
    return utterances


def drand48(seed: int) -> Iterator[float]:
    """The numbers in [0, 1) of the drand48 of POSIX, which perl's rand() is."""
    state = ((seed & 0xFFFFFFFF) << 16) + 0x330E
    while True:
        state = (0x5DEECE66D * state + 0xB) % (1 << 48)
        yield state / (1 << 48)


def _lengths(data: Tables) -> dict[str, float]:
    """A length of each utterance: frames where a table has them, else seconds."""
    return numbers_of(data, "utt2num_frames") or durations_s(data)
