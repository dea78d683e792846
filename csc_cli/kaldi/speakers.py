"""Who is heard on each side of trials: from tables, or from the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from csc_cli.errors import DataError, some
from csc_cli.kaldi.trials import Pairs, Trials

SpeakersOf = Mapping[str, Sequence[str]]
Speakers = list[tuple[str, ...]]


def speakers_of(ids: Iterable[str], table: SpeakersOf | None, kind: str) -> Speakers:
    """The speakers of each id, sorted; without a table each id is a speaker.

    Args:
        kind: what an id is, for the message ("enrollment").

    Raises:
        DataError: an id is not in the table.
    """
    if table is None:
        return [(key,) for key in ids]
    absent = [key for key in ids if not table.get(key)]
    if absent:
        raise DataError(
            f"no speaker in the table for {len(absent)} {kind}(s) of the trials: {some(absent)}; "
            "add them, or leave the table out"
        )
    return [tuple(sorted(set(table[key]))) for key in ids]


def heard_by_key(trials: Trials, enrolled: Speakers) -> Speakers:
    """The speakers of each test utterance: those enrolled ones for whom it is a target trial, perhaps none."""
    heard: list[set[str]] = [set() for _ in trials.test_ids]
    code = trials.test_index[trials.target].astype(np.int64) * len(enrolled) + trials.enroll_index[trials.target]
    for test, enroll in zip(*(part.tolist() for part in np.divmod(np.unique(code), len(enrolled))), strict=True):
        heard[test].update(enrolled[enroll])
    return [tuple(sorted(speakers)) for speakers in heard]


def all_speakers(
    pairs: Pairs, enroll_speakers: SpeakersOf | None = None, test_speakers: SpeakersOf | None = None
) -> set[str]:
    """Every speaker of the pairs that is known by name: those enrolled, and with `test_speakers` those heard.

    Raises:
        DataError: an id is not in its table.
    """
    found = speakers_of(pairs.enroll_ids, enroll_speakers, "enrollment")
    if test_speakers is not None:
        found = found + speakers_of(pairs.test_ids, test_speakers, "test utterance")
    return {name for speakers in found for name in speakers}
