"""The two ways to score a pair of vectors: cosine and PLDA. Legend: E enrollments, V test vectors, D dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.forms import PairForm
from csc_cli.backend.plda import LengthNorm, Plda
from csc_cli.backend.transforms import unit_length

Floats = NDArray[np.float64]
Counts = NDArray[np.integer]


class Backend(Protocol):
    """Each side of the trials is prepared once; then a form gives the score of any pair."""

    def enroll(self, x: Floats, counts: Counts, keys: Sequence[str]) -> Floats:
        """Enrollments (E, D), each the mean of so many utterances (E,)."""

    def test(self, x: Floats, keys: Sequence[str]) -> Floats:
        """Test vectors (V, D)."""

    def form(self, enroll: Floats, counts: Counts, test: Floats) -> PairForm:
        """The scores of prepared enrollments (E, D) and tests (V, D)."""


class Cosine:
    """The cosine of the two."""

    def enroll(self, x: Floats, counts: Counts, keys: Sequence[str]) -> Floats:
        return unit_length(x, keys)

    def test(self, x: Floats, keys: Sequence[str]) -> Floats:
        return unit_length(x, keys)

    def form(self, enroll: Floats, counts: Counts, test: Floats) -> PairForm:
        return PairForm.product(enroll, test)


class PldaBackend:
    """The log likelihood ratio of a PLDA, in its latent space, with its own length normalisation."""

    def __init__(self, plda: Plda, length: LengthNorm = "expected") -> None:
        self.plda, self.length = plda, length

    def enroll(self, x: Floats, counts: Counts, keys: Sequence[str]) -> Floats:
        return self.plda.transform(x, counts, length=self.length, keys=keys)

    def test(self, x: Floats, keys: Sequence[str]) -> Floats:
        return self.plda.transform(x, length=self.length, keys=keys)

    def form(self, enroll: Floats, counts: Counts, test: Floats) -> PairForm:
        return self.plda.pair_form(enroll, counts, test)
