"""Scores normalised by those of a cohort, each utterance's statistics computed once.

Legend: E enrollments, V test vectors, C vectors of the cohort.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.forms import PairForm
from csc_cli.errors import ConfigError, DataError, some
from csc_cli.parallel import threaded_map

Floats = NDArray[np.float64]
Index = NDArray[np.integer]
Norm = Literal["z", "t", "s", "as"]
BLOCK_SCORES = 1 << 22
TOP_N = 300


@dataclass(frozen=True, eq=False)
class Normaliser:
    """(score - mean) / deviation, of the enrollment's side, of the test's, or the mean of the two.

    It is kept as score (slope_e + slope_v) - (offset_e + offset_v), so that a trial costs four look-ups.
    """

    enroll: tuple[Floats, Floats]  # slope and offset (E,)
    test: tuple[Floats, Floats]  # (V,)

    def of_pairs(self, scores: Floats, enroll: Index, test: Index) -> Floats:
        """The scores (N,) of pairs of rows (N,), (N,), normalised."""
        (a, b), (c, d) = self.enroll, self.test
        return scores * (a[enroll] + c[test]) - (b[enroll] + d[test])

    def of_all(self, scores: NDArray[np.floating], enroll: slice | Index) -> Floats:
        """The scores (E', V) of some enrollments with all tests."""
        (a, b), (c, d) = self.enroll, self.test
        return scores * (a[enroll, None] + c) - (b[enroll, None] + d)


def normaliser(
    norm: Norm,
    enroll_cohort: Callable[[], PairForm],
    cohort_test: Callable[[], PairForm],
    enroll_keys: Sequence[str],
    test_keys: Sequence[str],
    *,
    top_n: int = TOP_N,
    nj: int = 1,
) -> Normaliser:
    """Compute the statistics that `norm` needs.

    z: of the enrollment with the cohort (K.-P. Li and J. Porter, ICASSP 1988). t: of the cohort with the test
    (R. Auckenthaler, M. Carey, H. Lloyd-Thomas, Digital Signal Processing 10, 2000). s: the mean of the z- and the
    t-normalised scores (P. Kenny, Odyssey 2010). as: the same, each side's statistics being those of its `top_n`
    highest scores (P. Matejka et al., "Analysis of score normalization in multilingual speaker recognition",
    Interspeech 2017, AS-norm1). Deviations are those of the population (divided by the number).

    Args:
        enroll_cohort: makes the form of scores of enrollments (E) with the cohort (C).
        cohort_test: of the cohort (C), each as an enrollment of one utterance, with tests (V).

    Raises:
        ConfigError: `top_n` is less than 2 or more than the cohort has.
        DataError: a cohort of one, or one whose scores with an utterance are all equal.
    """
    top = top_n if norm == "as" else None
    if top is not None and top < 2:
        raise ConfigError(f"--top-n {top}: must be at least 2")
    weight = 0.5 if norm in ("s", "as") else 1.0
    none = np.zeros(len(enroll_keys)), np.zeros(len(test_keys))
    enroll, test = ((zero, zero) for zero in none)
    if norm != "t":
        form = enroll_cohort().single()
        enroll = _line(form.of_all, len(form.left), len(form.right), top, nj, weight, enroll_keys)
    if norm != "z":
        form = cohort_test().single()
        test = _line(lambda part: form.of_all(test=part).T, len(form.right), len(form.left), top, nj, weight, test_keys)
    return Normaliser(enroll, test)


def _line(
    scores: Callable[[slice], NDArray[np.floating]],
    rows: int,
    cohort: int,
    top: int | None,
    nj: int,
    weight: float,
    keys: Sequence[str],
) -> tuple[Floats, Floats]:
    """Slope and offset (R,) of each row's normalisation; scores(slice of rows) is (R', C)."""
    if cohort < 2:
        raise DataError("a cohort of one vector; give many")
    if top is not None and top > cohort:
        raise ConfigError(f"--top-n {top}: the cohort has {cohort} vectors only")
    size = max(1, BLOCK_SCORES // cohort)
    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    parts = list(threaded_map(lambda part: _statistics(scores(part), top), blocks, nj))
    means, deviations = (np.concatenate(part) for part in zip(*parts, strict=True))
    flat = np.flatnonzero(~(deviations > 0)).tolist()
    if flat:
        names = some([keys[row] for row in flat])
        raise DataError(f"the cohort's scores with {len(flat)} vector(s) do not vary: {names}; use another cohort")
    return weight / deviations, weight * means / deviations


def _statistics(scores: NDArray[np.floating], top: int | None) -> tuple[Floats, Floats]:
    """Mean and standard deviation (R,) of each row of (R, C), or of its `top` highest; the rows are reordered."""
    if top is not None and top < scores.shape[1]:
        scores = np.ascontiguousarray(scores)
        scores.partition(scores.shape[1] - top, axis=1)
        scores = scores[:, -top:]
    return scores.mean(axis=1, dtype=np.float64), scores.std(axis=1, dtype=np.float64)
