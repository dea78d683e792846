"""Which speakers each trial depends on: what the bootstrap draws are speakers, not trials.

Legend: S speakers, N trials, G groups (trials of one group have the same speakers), L most speakers in a group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csc_cli.kaldi.speakers import Speakers, SpeakersOf, heard_by_key, speakers_of
from csc_cli.kaldi.trials import Trials

Ints = NDArray[np.int64]
Index = NDArray[np.int32]


@dataclass(frozen=True)
class TrialSpeakers:
    """The distinct speakers of every trial, enrolled and heard."""

    names: tuple[str, ...]  # (S,) sorted
    members: Index  # (G, L) indices into `names`, filled up with S
    group: Ints  # (N,) the row of `members` of each trial
    rule: str  # where the speakers come from, in words

    def subset(self, keep: NDArray[np.bool_]) -> TrialSpeakers:
        """The same for the trials that `keep` (N,) marks, with all the names."""
        used, group = _distinct(self.group[keep], len(self.members))
        return TrialSpeakers(self.names, self.members[used], group, self.rule)

    @property
    def present(self) -> int:
        """How many of the speakers occur in these trials."""
        return int(np.sum(np.unique(self.members) < len(self.names)))

    def weights(self, counts: NDArray[np.integer]) -> NDArray[np.float64]:
        """The weight of each group's trials when speaker s was drawn `counts[:, s]` times.

        It is the product over the *distinct* speakers of the trial: w_enroll w_test for a nontarget
        trial of two speakers, w for a target trial, in which one speaker meets himself (a copy of a
        drawn speaker is another speaker, so copies are never each other's targets).

        Args:
            counts: (B, S).

        Returns:
            (G, B).
        """
        padded = np.concatenate([counts.T, np.ones((1, len(counts)), counts.dtype)]).astype(np.float64)  # (S + 1, B)
        weights = padded[self.members[:, 0]]
        for column in self.members.T[1:]:
            weights *= padded[column]
        return weights


def trial_speakers(
    trials: Trials, enroll_speakers: SpeakersOf | None = None, test_speakers: SpeakersOf | None = None
) -> TrialSpeakers:
    """Find the speakers of N trials from tables, or from the key where there is none.

    Without `enroll_speakers` each enrolled id is a speaker. Without `test_speakers` those heard in a
    test utterance are the enrolled ones for whom it is a target trial; an utterance without any is a
    speaker of its own.

    Raises:
        DataError: an id of the trials is not in its table.
    """
    enrolled = speakers_of(trials.enroll_ids, enroll_speakers, "enrollment")
    if test_speakers is None:
        # The control character keeps an utterance's id from meeting a speaker's.
        by_key = zip(trials.test_ids, heard_by_key(trials, enrolled), strict=True)
        heard = [speakers or (f"\x00{key}",) for key, speakers in by_key]
    else:
        heard = speakers_of(trials.test_ids, test_speakers, "test utterance")
    names = sorted({name for speakers in (*enrolled, *heard) for name in speakers})
    enroll_sets, enroll_set = _sets(enrolled, names)
    test_sets, test_set = _sets(heard, names)
    code = enroll_set[trials.enroll_index] * len(test_sets) + test_set[trials.test_index]
    pairs, group = _distinct(code, len(enroll_sets) * len(test_sets))
    a, b = enroll_sets[pairs // len(test_sets)], test_sets[pairs % len(test_sets)]
    repeated = (a[:, :, None] == b[:, None, :]).any(axis=2)
    members = np.concatenate([np.where(repeated, np.int32(len(names)), a), b], axis=1)
    return TrialSpeakers(tuple(names), members, group, _rule(enroll_speakers, test_speakers))


def _rule(enroll_speakers: SpeakersOf | None, test_speakers: SpeakersOf | None) -> str:
    enrolled = "each enrollment is a speaker" if enroll_speakers is None else "enrolled speakers from the given table"
    if test_speakers is not None:
        return f"{enrolled}; test speakers from the given table"
    return (
        f"{enrolled}; test speakers are those of the utterance's target trials, "
        "and an utterance without one is a speaker of its own"
    )


def _sets(of_each: Speakers, names: list[str]) -> tuple[Index, Ints]:
    """The distinct sets as rows of indices filled up with S, and the row of each element."""
    number = {name: index for index, name in enumerate(names)}
    row: dict[tuple[str, ...], int] = {}
    rows = np.array([row.setdefault(speakers, len(row)) for speakers in of_each], np.int64)
    width = max(map(len, row))
    filled = [[number[name] for name in speakers] + [len(names)] * (width - len(speakers)) for speakers in row]
    return np.array(filled, np.int32), rows


def _distinct(code: Ints, limit: int) -> tuple[Ints, Ints]:
    """The distinct codes, ascending, and the place of each code among them; codes lie from 0 to `limit` - 1."""
    if limit > 4 * code.size + 1024:
        pairs, place = np.unique(code, return_inverse=True)
        return pairs, place.astype(np.int64, copy=False)
    used = np.zeros(limit, bool)  # a mark for each possible code is much faster than sorting
    used[code] = True
    return np.flatnonzero(used), (np.cumsum(used) - 1)[code]
