"""Trials and scores: pairs of an enrollment and a test, as arrays of codes into lists of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError
from csc_cli.kaldi.decimals import Encoded, LineWriter, match_words, parse_numbers
from csc_cli.kaldi.matching import match
from csc_cli.kaldi.pairs import Form, PairReader
from csc_cli.kaldi.specifiers import open_output
from csc_cli.kaldi.text import without_gc
from csc_cli.progress import note

BLOCK_PAIRS = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """N pairs. Pair i is (`enroll_ids[enroll_index[i]]`, `test_ids[test_index[i]]`).

    Names (arrays of str objects) are held once, in the order in which they first appear; the
    indices are int32 (N,). So 10 million pairs take 80 MB.
    """

    enroll_ids: np.ndarray
    test_ids: np.ndarray
    enroll_index: np.ndarray
    test_index: np.ndarray

    def __len__(self) -> int:
        return len(self.enroll_index)

    @property
    def enroll(self) -> np.ndarray:
        """The enrollment of each pair: array of str objects (N,)."""
        return self.enroll_ids[self.enroll_index]

    @property
    def test(self) -> np.ndarray:
        """The test of each pair: array of str objects (N,)."""
        return self.test_ids[self.test_index]


@dataclass(frozen=True, slots=True, eq=False)
class Trials(Pairs):
    """Pairs with their key: `target` is bool (N,), or None where the file has two columns."""

    target: np.ndarray | None = None

    @classmethod
    def of(
        cls, enroll: Iterable[str], test: Iterable[str], target: Sequence[bool] | np.ndarray | None = None
    ) -> Trials:
        """From the names of each pair."""
        return cls(*_coded(enroll, test), None if target is None else np.asarray(target, dtype=bool))


@dataclass(frozen=True, slots=True, eq=False)
class Scores(Pairs):
    """Pairs with a score, float64 (N,), finite; higher means more likely the same speaker."""

    score: np.ndarray

    @classmethod
    def of(cls, enroll: Iterable[str], test: Iterable[str], score: Sequence[float] | np.ndarray) -> Scores:
        """From the names of each pair."""
        return cls(*_coded(enroll, test), np.asarray(score, dtype=np.float64))


class _Codes(dict[str, int]):
    """Name -> code, in the order of first appearance."""

    def __missing__(self, name: str) -> int:
        self[name] = code = len(self)
        return code

    def names(self) -> np.ndarray:
        names = np.empty(len(self), dtype=object)
        names[:] = list(self)
        return names


def _coded(enroll: Iterable[str], test: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    enroll_codes = _Codes()
    test_codes = _Codes()
    enroll_index = np.fromiter(map(enroll_codes.__getitem__, enroll), dtype=np.int32)
    test_index = np.fromiter(map(test_codes.__getitem__, test), dtype=np.int32)
    if len(enroll_index) != len(test_index):
        raise ValueError(f"{len(enroll_index)} enrollments, {len(test_index)} tests")
    return enroll_codes.names(), test_codes.names(), enroll_index, test_index


TRIALS = {
    "kaldi": Form("'ENROLL TEST target|nontarget', or all lines 'ENROLL TEST'", (2, 3)),
    "voxceleb": Form("'1|0 ENROLL TEST'", (3,), (1, 2), (b"1", b"0")),
}
SCORES = Form("'ENROLL TEST SCORE'", (3,))


def read_trials(path: str | Path, form: Literal["kaldi", "voxceleb"] = "kaldi") -> Trials:
    """Read `ENROLL TEST [target|nontarget]` lines; `path` may be `-` or a pipe.

    Args:
        form: `voxceleb` for the lines `1|0 ENROLL TEST` of VoxCeleb's lists, 1 for target.

    Raises:
        DataError: with `path:line`, for a line of another form, or an empty file.
    """
    words = TRIALS[form].words
    reader = PairReader(str(path), TRIALS[form])
    target: list[np.ndarray] = []
    for data, starts, ends in reader.blocks():
        codes = match_words(data, starts, ends, words)
        if codes.min() < 0:
            wanted = " nor ".join(repr(word.decode()) for word in words)
            raise reader.bad_word(codes < 0, data, starts, ends, "key", f"is neither {wanted}; correct it")
        target.append(codes == 0)
    return Trials(*reader.pairs(), np.concatenate(target) if target else None)


def read_key(path: str | Path, use: str) -> tuple[Trials, NDArray[np.bool_]]:
    """Read trials that must have a key; returns them and the key (N,). That some repeat others is told.

    Args:
        use: what needs the key, for the message ("evaluation needs it").

    Raises:
        DataError: as `read_trials`; trials without a key, or pairs that are target and nontarget: how many, and the
            first three.
    """
    trials = read_trials(path)
    if trials.target is None:
        raise DataError(f"{path}: has no key (target|nontarget in a third column); {use}")
    code = trials.enroll_index.astype(np.int64) * len(trials.test_ids) + trials.test_index
    first = match(code[:0], code).first
    unlike = np.flatnonzero(trials.target[first] != trials.target)
    if len(unlike):
        message = f"{len(unlike)} pairs are target and nontarget: {_show(trials, unlike)}; correct the key"
        raise DataError(f"{path}: {message}")
    repeated = int(np.count_nonzero(first != np.arange(len(first))))
    if repeated:
        note(f"{path}: {repeated} of {len(trials)} trials repeat an earlier one; each of them counts")
    return trials, trials.target


def read_scores(path: str | Path) -> Scores:
    """Read `ENROLL TEST SCORE` lines; `path` may be `-` or a pipe.

    Raises:
        DataError: with `path:line`, for a line of another form, a score that is not a finite
            number, or an empty file.
    """
    reader = PairReader(str(path), SCORES)
    score: list[np.ndarray] = []
    for data, starts, ends in reader.blocks():
        values = parse_numbers(data, starts, ends)
        if not np.isfinite(values).all():
            message = "is not a finite number; score again"
            raise reader.bad_word(~np.isfinite(values), data, starts, ends, "score", message)
        score.append(values)
    return Scores(*reader.pairs(), np.concatenate(score))


def write_trials(path: str | Path, trials: Trials) -> None:
    """Write two columns, or three where the trials have keys; `-` is standard output, a pipe is run."""
    if trials.target is None:
        _write(path, trials, lambda start, stop: [""] * (stop - start))
    else:
        ends = np.where(trials.target, " target", " nontarget")
        _write(path, trials, lambda start, stop: ends[start:stop].tolist())


def write_scores(path: str | Path, pairs: Pairs, score: np.ndarray) -> None:
    """Write `ENROLL TEST SCORE` with nine digits; `-` is standard output, a pipe is run.

    Raises:
        DataError: a score is not finite.
    """
    lines = ScoreLines(pairs, path)
    with open_output(str(path)) as stream:
        for start in range(0, len(pairs), BLOCK_PAIRS):
            stream.write(lines.of(start, score[start : start + BLOCK_PAIRS]))


class ScoreLines:
    """`ENROLL TEST SCORE` of parts of the pairs, for those who have the scores part by part."""

    def __init__(self, pairs: Pairs, path: str | Path) -> None:
        """`path` is for messages."""
        self.pairs, self.path = pairs, path
        self.writer = LineWriter(Encoded.of(pairs.enroll_ids), Encoded.of(pairs.test_ids))

    def of(self, start: int, score: np.ndarray) -> memoryview:
        """The lines of the pairs from `start` on, with their scores (N,).

        Raises:
            DataError: a score is not finite.
        """
        if not np.isfinite(score).all():
            i = int(np.flatnonzero(~np.isfinite(score))[0])
            name = _show(self.pairs, np.array([start + i]))
            raise DataError(f"{self.path}: the score of {name} is {score[i]}; look at the vectors of the two")
        part = slice(start, start + len(score))
        values = np.ascontiguousarray(score, np.float64)
        return self.writer.lines(self.pairs.enroll_index[part], self.pairs.test_index[part], values)


def _write(path: str | Path, pairs: Pairs, ends: Callable[[int, int], list[str]]) -> None:
    with open_output(str(path)) as stream:
        for start in range(0, len(pairs), BLOCK_PAIRS):
            stop = min(start + BLOCK_PAIRS, len(pairs))
            enroll = pairs.enroll_ids[pairs.enroll_index[start:stop]]
            test = pairs.test_ids[pairs.test_index[start:stop]]
            lines = [f"{a} {b}{end}\n" for a, b, end in zip(enroll, test, ends(start, stop), strict=True)]
            stream.write("".join(lines).encode())


@without_gc()
def join(trials: Pairs, scores: Scores) -> np.ndarray:
    """The score of each trial, float64 (N,), in the order of the trials.

    Raises:
        DataError: a trial without a score, a score without a trial, or two unlike scores for one
            pair: how many, and the first three.
    """
    if not len(scores):
        raise DataError(f"none of {len(trials)} trials has a score; score them")
    found = match(*_shared_codes(trials, scores))
    unlike = np.flatnonzero(scores.score[found.first] != scores.score)
    if len(unlike):
        raise DataError(f"{len(unlike)} pairs have two unlike scores: {_show(scores, unlike)}; score again")
    absent = np.flatnonzero(found.place < 0)
    if len(absent):
        raise DataError(f"{len(absent)} trials have no score: {_show(trials, absent)}; score the trials again")
    used = np.zeros(len(scores), dtype=bool)
    used[found.place] = True
    extra = np.flatnonzero(~used[found.first])
    if len(extra):
        raise DataError(f"{len(extra)} scores have no trial: {_show(scores, extra)}; is it the right trials file?")
    return scores.score[found.place]


def join_file(trials: Pairs, path: str | Path, of: str | Path) -> np.ndarray:
    """The score of each trial, float64 (N,), from a file of scores; `of` names the list of trials in messages.

    Raises:
        DataError: as `read_scores` and `join`.
    """
    scores = read_scores(path)
    try:
        return join(trials, scores)
    except DataError as error:
        raise DataError(f"{path} on {of}: {error}") from error


def _shared_codes(trials: Pairs, scores: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """One int64 for each pair, the same for the same names on both sides."""
    enroll = _Codes()
    test = _Codes()
    columns = []
    for pairs in (trials, scores):
        rows = np.array([enroll[name] for name in pairs.enroll_ids], dtype=np.int64)[pairs.enroll_index]
        columns.append((rows, np.array([test[name] for name in pairs.test_ids], dtype=np.int64)[pairs.test_index]))
    (left, left_test), (right, right_test) = columns
    return left * len(test) + left_test, right * len(test) + right_test


def _show(pairs: Pairs, places: np.ndarray) -> str:
    shown = [f"({pairs.enroll_ids[pairs.enroll_index[i]]}, {pairs.test_ids[pairs.test_index[i]]})" for i in places[:3]]
    return ", ".join(shown) + (", ..." if len(places) > 3 else "")
