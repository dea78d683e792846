"""Scores of many pairs, each made of one enrollment and one test vector.

Legend: E enrollments, V test vectors, D dimensions, N pairs, G groups of enrollments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Index = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class PairForm:
    """score(e, v) = <left_e, right_v> + constant_e + sum_d curvature_gd right_vd^2, g the group of e.

    A cosine needs the first term alone. PLDA's log likelihood ratio has them all; its curvature depends on the number
    of enrollment utterances, of which there are few, so that each group of enrollments shares one.
    """

    left: Floats  # (E, D)
    right: Floats  # (V, D)
    constant: Floats  # (E,)
    curvature: Floats  # (G, D), or (0, D) where it is zero
    group: Index  # (E,)

    @classmethod
    def product(cls, left: Floats, right: Floats) -> PairForm:
        """The inner products of left (E, D) and right (V, D)."""
        dims = left.shape[1]
        return cls(left, right, np.zeros(len(left)), np.zeros((0, dims)), np.zeros(len(left), np.int32))

    def single(self) -> PairForm:
        """The same in float32: half the memory, and half the time of matrix products."""
        left, right, constant, curvature = (
            part.astype(np.float32) for part in (self.left, self.right, self.constant, self.curvature)
        )
        return PairForm(left, right, constant, curvature, self.group)

    def of_pairs(self, enroll: Index, test: Index) -> NDArray[np.float64]:
        """The scores of pairs of rows (N,), (N,)."""
        from csc_cli.backend import kernels  # loads numba: not for training

        scores = np.empty(len(enroll))
        if len(self.curvature):
            kernels.quadratic(self.left, self.right, self.constant, self.curvature, self.group, enroll, test, scores)
        else:
            kernels.bilinear(self.left, self.right, self.constant, enroll, test, scores)
        return scores

    def of_all(self, enroll: slice | Index = slice(None), test: slice | Index = slice(None)) -> Floats:
        """The scores of all pairs of some enrollments and some tests, by a matrix product: (E', V')."""
        left, right = self._extended
        return left[enroll] @ right[test].T

    @cached_property
    def _extended(self) -> tuple[Floats, Floats]:
        """Both sides with more columns, so that the inner product of two rows is the whole score."""
        if not len(self.curvature) and not self.constant.any():
            return self.left, self.right
        groups = np.eye(len(self.curvature), dtype=self.left.dtype)[self.group] if len(self.curvature) else None
        squares = np.square(self.right) @ self.curvature.T  # (V, G)
        ones = np.ones((len(self.right), 1), self.right.dtype)
        left = [self.left, self.constant[:, None]] + ([groups] if groups is not None else [])
        return np.hstack(left), np.hstack([self.right, ones, squares])
