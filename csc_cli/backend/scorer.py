"""The score of a trial from the scores of its vectors: several of an enrollment, several streams of a test.

Legend: N trials, E enrollments, K enrollment vectors, M most vectors of an enrollment, U test utterances, V test
vectors, C most streams of an utterance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.forms import PairForm
from csc_cli.backend.normalise import Normaliser
from csc_cli.backend.streams import Pool, pool

Floats = NDArray[np.float64]
Index = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Scorer:
    """Each vector of an enrollment with each stream: score, normalise; then the enrollment's vectors become one score
    a stream, which is calibrated; then the streams are pooled.

    Attributes:
        members: (E, M) rows of the form's left side; rows: (U, C) of its right side; both filled up with -1.
        attention: the cosines of the two sides, times the inverse temperature: the scores of an enrollment's vectors
            are weighted by their softmax. None: the plain mean.
        calibrate: maps scores of any shape; minus infinity stays.
    """

    form: PairForm
    members: Index
    rows: Index
    pooling: Pool = "max"
    normaliser: Normaliser | None = None
    attention: PairForm | None = None
    calibrate: Callable[[Floats], Floats] | None = None

    @property
    def width(self) -> int:
        """How many scores of vectors a trial takes, M C."""
        return self.members.shape[1] * self.rows.shape[1]

    def of_pairs(self, enroll: Index, test: Index) -> Floats:
        """The scores of trials (N,), (N,): rows of `members` and of `rows`."""
        members, rows = self.members[enroll], self.rows[test]
        if self.width == 1:
            return self._pooled(self._scores(members[:, 0], rows[:, 0])[:, None])
        scores = np.full((len(enroll), members.shape[1], rows.shape[1]), -np.inf)
        cosines = np.full_like(scores, -np.inf)
        for m, c in product(range(members.shape[1]), range(rows.shape[1])):
            there = (members[:, m] >= 0) & (rows[:, c] >= 0)
            left, right = members[there, m], rows[there, c]
            scores[there, m, c] = self._scores(left, right)
            if self.attention is not None:
                cosines[there, m, c] = self.attention.of_pairs(left, right)
        return self._pooled(self._joined(scores, cosines))

    def of_all(self, enroll: Index) -> Floats:
        """The scores of some enrollments with all test utterances (E', U), by matrix products."""
        members = self.members[enroll]
        there = members >= 0
        part = np.asarray(self.form.of_all(members[there]), np.float64)
        if self.normaliser is not None:
            part = self.normaliser.of_all(part, members[there])
        if members.shape[1] == 1 and there.all():
            return self._of_streams(part)
        scores = np.full((*members.shape, part.shape[1]), -np.inf)
        scores[there] = part
        cosines = np.full_like(scores, -np.inf)
        if self.attention is not None:
            cosines[there] = self.attention.of_all(members[there])
        return self._of_streams(self._joined(scores, cosines))

    def _of_streams(self, scores: Floats) -> Floats:
        """Of all test vectors (E', V) -> of all test utterances (E', U)."""
        if self.rows.shape[1] == 1 and np.array_equal(self.rows[:, 0], np.arange(scores.shape[1])):
            return self._pooled(scores[..., None])
        return self._pooled(np.where(self.rows >= 0, scores[:, self.rows], -np.inf))

    def _scores(self, left: Index, right: Index) -> Floats:
        scores = self.form.of_pairs(left, right)
        return scores if self.normaliser is None else self.normaliser.of_pairs(scores, left, right)

    def _joined(self, scores: Floats, cosines: Floats) -> Floats:
        """One score from those of an enrollment's vectors: (N, M, C) -> (N, C); minus infinity where there is none."""
        there = scores > -np.inf
        if self.attention is not None:
            best = np.maximum(cosines.max(axis=1, keepdims=True), -1e300)
            weights = np.exp(cosines - best)
        else:
            weights = there.astype(np.float64)
        total = weights.sum(axis=1)
        with np.errstate(invalid="ignore"):
            joined = np.where(there, scores * weights, 0).sum(axis=1) / total
        return np.where(total > 0, joined, -np.inf)

    def _pooled(self, scores: Floats) -> Floats:
        """(..., C) -> (...)."""
        if self.calibrate is not None:
            scores = self.calibrate(scores)
        return scores[..., 0] if scores.shape[-1] == 1 else pool(scores, self.pooling)
