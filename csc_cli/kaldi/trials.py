"""Trials and scores: pairs of an enrollment and a test, as arrays of codes into lists of names."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.specifiers import open_input, open_output
from csc_cli.kaldi.text import without_gc

BLOCK_BYTES = 1 << 22
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


class _Codes(dict[AnyStr, int]):
    """Name -> code, in the order of first appearance."""

    def __missing__(self, name: AnyStr) -> int:
        self[name] = code = len(self)
        return code

    def names(self) -> np.ndarray:
        names = np.empty(len(self), dtype=object)
        names[:] = [name.decode("utf-8") if isinstance(name, bytes) else name for name in self]
        return names


def _coded(enroll: Iterable[str], test: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    enroll_codes: _Codes[str] = _Codes()
    test_codes: _Codes[str] = _Codes()
    enroll_index = np.fromiter(map(enroll_codes.__getitem__, enroll), dtype=np.int32)
    test_index = np.fromiter(map(test_codes.__getitem__, test), dtype=np.int32)
    if len(enroll_index) != len(test_index):
        raise ValueError(f"{len(enroll_index)} enrollments, {len(test_index)} tests")
    return enroll_codes.names(), test_codes.names(), enroll_index, test_index


class _Reader:
    """Blocks of lines gathered into codes, so that the file's text is never held at once."""

    def __init__(self, name: str, form: str, widths: tuple[int, ...]) -> None:
        self.name, self.form, self.widths = name, form, widths
        self.enroll: _Codes[bytes] = _Codes()
        self.test: _Codes[bytes] = _Codes()
        self.enroll_index, self.test_index = array("i"), array("i")

    def columns(self) -> Iterator[tuple[bytes, ...]]:
        """Gather the first two columns; yield the third, block by block, where there is one."""
        width = 0
        with open_input(self.name) as stream:
            while lines := stream.readlines(BLOCK_BYTES):
                rows = [line.split() for line in lines]
                width = width or (len(rows[0]) if len(rows[0]) in self.widths else self.widths[-1])
                if not all(map(width.__eq__, map(len, rows))):
                    at_ = next(i for i, row in enumerate(rows) if len(row) != width)
                    message = f"{len(rows[at_])} fields, not {width}; write {self.form}"
                    raise DataError(at(self.name, len(self.enroll_index) + at_ + 1, message))
                enroll, test, *third = zip(*rows)
                self.enroll_index.extend(map(self.enroll.__getitem__, enroll))
                self.test_index.extend(map(self.test.__getitem__, test))
                yield from third
        if not width:
            raise DataError(f"{self.name}: is empty; it has no pairs")

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        try:
            names = self.enroll.names(), self.test.names()
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: {error.object!r} is not UTF-8 text; is it the right file?") from None
        return *names, np.frombuffer(self.enroll_index, np.int32), np.frombuffer(self.test_index, np.int32)


@without_gc()
def read_trials(path: str | Path) -> Trials:
    """Read `ENROLL TEST [target|nontarget]` lines; `path` may be `-` or a pipe.

    Raises:
        DataError: with `path:line`, for a line of another form, or an empty file.
    """
    reader = _Reader(str(path), "'ENROLL TEST target|nontarget', or all lines 'ENROLL TEST'", (2, 3))
    target = bytearray()
    for column in reader.columns():
        if not {b"target", b"nontarget"}.issuperset(column):
            at_ = next(i for i, key in enumerate(column) if key not in (b"target", b"nontarget"))
            message = f"the key '{column[at_].decode('utf-8', 'replace')}' is neither 'target' nor 'nontarget'"
            raise DataError(at(path, len(target) + at_ + 1, f"{message}; correct it"))
        target.extend(map(b"target".__eq__, column))
    return Trials(*reader.pairs(), np.frombuffer(target, dtype=bool) if target else None)


@without_gc()
def read_scores(path: str | Path) -> Scores:
    """Read `ENROLL TEST SCORE` lines; `path` may be `-` or a pipe.

    Raises:
        DataError: with `path:line`, for a line of another form, a score that is not a finite
            number, or an empty file.
    """
    reader = _Reader(str(path), "'ENROLL TEST SCORE'", (3,))
    score = array("d")
    for column in reader.columns():
        try:
            block = np.fromiter(map(float, column), dtype=np.float64, count=len(column))
        except ValueError:
            block = np.array([_float(text) for text in column])
        if not np.isfinite(block).all():
            at_ = int(np.flatnonzero(~np.isfinite(block))[0])
            message = f"the score '{column[at_].decode('utf-8', 'replace')}' is not a finite number; score again"
            raise DataError(at(path, len(score) + at_ + 1, message))
        score.frombytes(block.tobytes())
    return Scores(*reader.pairs(), np.frombuffer(score, np.float64))


def _float(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


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
    if not np.isfinite(score).all():
        i = int(np.flatnonzero(~np.isfinite(score))[0])
        name = _show(pairs, np.array([i]))
        raise DataError(f"{path}: the score of {name} is {score[i]}; look at the vectors of the two")
    _write(path, pairs, lambda start, stop: [f" {value:.9g}" for value in score[start:stop].tolist()])


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
    wanted, given = _shared_codes(trials, scores)
    order = np.argsort(given, kind="stable")
    given_sorted, score_sorted = given[order], scores.score[order]
    unlike = (given_sorted[1:] == given_sorted[:-1]) & (score_sorted[1:] != score_sorted[:-1])
    if unlike.any():
        raise DataError(f"{unlike.sum()} pairs have two unlike scores: {_show(scores, order[1:][unlike])}; score again")
    place = np.searchsorted(given_sorted, wanted).clip(max=len(given) - 1)
    absent = np.flatnonzero(given_sorted[place] != wanted)
    if len(absent):
        raise DataError(f"{len(absent)} trials have no score: {_show(trials, absent)}; score the trials again")
    used = np.zeros(len(given), dtype=bool)
    used[place] = True
    extra = np.flatnonzero(~used[np.searchsorted(given_sorted, given)])
    if len(extra):
        raise DataError(f"{len(extra)} scores have no trial: {_show(scores, extra)}; is it the right trials file?")
    return score_sorted[place]


def _shared_codes(trials: Pairs, scores: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """One int64 for each pair, the same for the same names on both sides."""
    enroll: _Codes[str] = _Codes()
    test: _Codes[str] = _Codes()
    columns = []
    for pairs in (trials, scores):
        rows = np.array([enroll[name] for name in pairs.enroll_ids], dtype=np.int64)[pairs.enroll_index]
        columns.append((rows, np.array([test[name] for name in pairs.test_ids], dtype=np.int64)[pairs.test_index]))
    (left, left_test), (right, right_test) = columns
    return left * len(test) + left_test, right * len(test) + right_test


def _show(pairs: Pairs, places: np.ndarray) -> str:
    shown = [f"({pairs.enroll_ids[pairs.enroll_index[i]]}, {pairs.test_ids[pairs.test_index[i]]})" for i in places[:3]]
    return ", ".join(shown) + (", ..." if len(places) > 3 else "")
