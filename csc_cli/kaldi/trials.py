"""Trials and scores: pairs of an enrollment and a test, as arrays of codes into lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.specifiers import open_input, open_output

KEYS = {"target": True, "nontarget": False}


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """N pairs. Pair i is (`enroll_ids[enroll_index[i]]`, `test_ids[test_index[i]]`).

    Names are held once, each in the order in which it first appears; the indices are int32 (N,).
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
    def of(cls, enroll: Iterable[str], test: Iterable[str], target: Sequence[bool] | np.ndarray | None = None) -> Trials:
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


def _coded(enroll: Iterable[str], test: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    enroll_codes, test_codes = _Codes(), _Codes()
    enroll_index = np.fromiter((enroll_codes[name] for name in enroll), dtype=np.int32)
    test_index = np.fromiter((test_codes[name] for name in test), dtype=np.int32)
    return enroll_codes.names(), test_codes.names(), enroll_index, test_index


class _Codes(dict[str, int]):
    """Name -> code, in the order of first appearance."""

    def __missing__(self, name: str) -> int:
        self[name] = code = len(self)
        return code

    def names(self) -> np.ndarray:
        return np.array(list(self), dtype=object)


def read_trials(path: str | Path) -> Trials:
    """Read `ENROLL TEST [target|nontarget]` lines; `path` may be `-` or a pipe.

    Raises:
        DataError: with `path:line`, for a line of another form, or an empty file.
    """
    columns = _read_columns(str(path), (2, 3))
    pairs = _coded(columns[0], columns[1])
    if len(columns) == 2:
        return Trials(*pairs)
    unknown = set(columns[2]) - set(KEYS)
    if unknown:
        line = next(i for i, key in enumerate(columns[2], 1) if key in unknown)
        raise DataError(at(path, line, f"the key '{columns[2][line - 1]}' is neither 'target' nor 'nontarget'; correct it"))
    return Trials(*pairs, np.fromiter((key == "target" for key in columns[2]), dtype=bool))


def read_scores(path: str | Path) -> Scores:
    """Read `ENROLL TEST SCORE` lines; `path` may be `-` or a pipe.

    Raises:
        DataError: with `path:line`, for a line of another form, a score that is not a finite
            number, or an empty file.
    """
    enroll, test, texts = _read_columns(str(path), (3,))
    try:
        score = np.array(texts, dtype=np.float64)
    except ValueError:
        score = np.array([_float(text) for text in texts])
    if not np.isfinite(score).all():
        line = int(np.flatnonzero(~np.isfinite(score))[0]) + 1
        raise DataError(at(path, line, f"the score '{texts[line - 1]}' is not a finite number; score again"))
    return Scores(*_coded(enroll, test), score)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _read_columns(name: str, widths: tuple[int, ...]) -> list[tuple[str, ...]]:
    with open_input(name) as stream:
        try:
            lines = stream.read().decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: is not UTF-8 text ({error.reason}); is it the right file?") from None
    if lines == [""]:
        raise DataError(f"{name}: is empty; it has no pairs")
    rows = [line.split() for line in lines]
    width = len(rows[0]) if len(rows[0]) in widths else widths[-1]
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            form = "ENROLL TEST SCORE" if widths == (3,) else "ENROLL TEST [target|nontarget], the same on every line"
            raise DataError(at(name, number, f"{len(row)} fields, not {width}; the form is {form}"))
    return list(zip(*rows, strict=True))


def write_trials(path: str | Path, trials: Trials) -> None:
    """Write two columns, or three where the trials have keys; `-` is standard output."""
    ends = [""] * len(trials) if trials.target is None else np.where(trials.target, " target", " nontarget")
    _write(path, trials, ends)


def write_scores(path: str | Path, pairs: Pairs, score: np.ndarray) -> None:
    """Write `ENROLL TEST SCORE`, nine digits; `-` is standard output.

    Raises:
        DataError: a score is not finite.
    """
    if not np.isfinite(score).all():
        i = int(np.flatnonzero(~np.isfinite(score))[0])
        raise DataError(f"{path}: the score of ({pairs.enroll[i]}, {pairs.test[i]}) is {score[i]}; look at its vectors")
    _write(path, pairs, [f" {value:.9g}" for value in score.tolist()])


def _write(path: str | Path, pairs: Pairs, ends: Iterable[str]) -> None:
    with open_output(str(path)) as stream:
        for enroll, test, end in zip(pairs.enroll, pairs.test, ends, strict=True):
            stream.write(f"{enroll} {test}{end}\n".encode())


def join(trials: Pairs, scores: Scores) -> np.ndarray:
    """The score of each trial, float64 (N,), in the order of the trials.

    Raises:
        DataError: a trial without a score, a score without a trial, or two unlike scores for one
            pair: how many, and the first three.
    """
    wanted, given = _shared_codes(trials, scores)
    order = np.argsort(given, kind="stable")
    given_sorted, score_sorted = given[order], scores.score[order]
    repeated = given_sorted[1:] == given_sorted[:-1]
    if np.any(repeated & (score_sorted[1:] != score_sorted[:-1])):
        at_ = order[1:][repeated & (score_sorted[1:] != score_sorted[:-1])]
        raise DataError(f"{len(at_)} pairs have two unlike scores: {_show(scores, at_)}; score them again")
    place = np.searchsorted(given_sorted, wanted).clip(max=max(len(given) - 1, 0))
    missing = np.flatnonzero(given_sorted[place] != wanted) if len(given) else np.arange(len(trials))
    if len(missing):
        raise DataError(f"{len(missing)} trials have no score: {_show(trials, missing)}; score the trials again")
    extra = np.flatnonzero(~np.isin(given, wanted))
    if len(extra):
        raise DataError(f"{len(extra)} scores have no trial: {_show(scores, extra)}; is it the right trials file?")
    return score_sorted[place]


def _shared_codes(trials: Pairs, scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    """One int64 for each pair, the same for the same names on both sides."""
    enroll, test = _Codes(), _Codes()
    codes = []
    for pairs in (trials, scores):
        rows = np.array([enroll[name] for name in pairs.enroll_ids], dtype=np.int64)[pairs.enroll_index]
        columns = np.array([test[name] for name in pairs.test_ids], dtype=np.int64)[pairs.test_index]
        codes.append((rows, columns))
    return tuple(rows * len(test) + columns for rows, columns in codes)  # type: ignore[return-value]


def _show(pairs: Pairs, places: np.ndarray) -> str:
    shown = [f"({pairs.enroll_ids[pairs.enroll_index[i]]}, {pairs.test_ids[pairs.test_index[i]]})" for i in places[:3]]
    return ", ".join(shown) + (", ..." if len(places) > 3 else "")
