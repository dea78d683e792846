"""What is done to vectors before they are scored; learned by `fit`, applied by `transform`.

Legend: N vectors, D dimensions, d dimensions afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError, some

Floats = NDArray[np.float64]


class Transform(Protocol):
    """A part of a `Chain`."""

    def fit(self, x: NDArray[np.floating], speakers: Any = None) -> Any:
        """Learn from x (N, D) and, if need be, the speaker of each (N,); returns self. Twice is once."""

    def transform(self, x: NDArray[np.floating], *, keys: Sequence[str] | None = None) -> Floats:
        """x (N, D) -> (N, d); `keys` (N,) name rows in messages."""


class Centre:
    """Subtract a mean: that of the vectors it was fitted on, or a given one."""

    mean_: Floats  # (D,)

    def fit(self, x: NDArray[np.floating], speakers: object = None) -> Centre:
        """Learn `mean_` from x (N, D)."""
        self.mean_ = np.asarray(x, np.float64).mean(axis=0)
        return self

    @classmethod
    def at(cls, mean: NDArray[np.floating]) -> Centre:
        """Fitted, with `mean` (D,)."""
        centre = cls()
        centre.mean_ = np.asarray(mean, np.float64)
        return centre

    def transform(self, x: NDArray[np.floating], *, keys: Sequence[str] | None = None) -> Floats:
        """x (N, D) less the mean.

        Raises:
            DataError: not fitted, or the mean is of another dimension.
        """
        if not hasattr(self, "mean_"):
            raise DataError("Centre: transform before fit; fit it first")
        if x.shape[-1] != self.mean_.size:
            raise DataError(
                f"the mean has {self.mean_.size} values and the vectors {x.shape[-1]}; take them of one kind"
            )
        return x - self.mean_


class Affine:
    """x -> L x + b, the matrix (L, b) being Kaldi's (d, D + 1); or L alone (d, D)."""

    matrix_: Floats

    @classmethod
    def of(cls, matrix: NDArray[np.floating]) -> Affine:
        """Fitted, with this matrix."""
        affine = Affine()
        affine.matrix_ = np.asarray(matrix, np.float64)
        return affine

    def fit(self, x: NDArray[np.floating], speakers: Any = None) -> Affine:
        """Nothing is learned: the matrix is given."""
        return self

    def transform(self, x: NDArray[np.floating], *, keys: Sequence[str] | None = None) -> Floats:
        """x (N, D) -> (N, d).

        Raises:
            DataError: not fitted, or the matrix is for another dimension.
        """
        if not hasattr(self, "matrix_"):
            raise DataError(f"{type(self).__name__}: transform before fit; fit it first")
        columns, dim = self.matrix_.shape[1], x.shape[1]
        if columns == dim:
            return x @ self.matrix_.T
        if columns == dim + 1:
            return x @ self.matrix_[:, :-1].T + self.matrix_[:, -1]
        raise DataError(
            f"the transform has {columns} columns, for vectors of {columns - 1} values (or {columns}, without an "
            f"offset), not {dim}; take them of one kind"
        )


class LengthNorm:
    """Scale each vector to length sqrt(D), as Kaldi does, or to 1."""

    def __init__(self, *, scaleup: bool = True) -> None:
        self.scaleup = scaleup

    def fit(self, x: NDArray[np.floating], speakers: object = None) -> LengthNorm:
        """Nothing is learned."""
        return self

    def transform(self, x: NDArray[np.floating], *, keys: Sequence[str] | None = None) -> Floats:
        """x (N, D), scaled.

        Raises:
            DataError: rows of length zero.
        """
        unit = unit_length(x, keys if keys is not None else [f"row {row}" for row in range(len(x))])
        return unit * np.sqrt(x.shape[1]) if self.scaleup else unit


def unit_length(x: NDArray[np.floating], keys: Sequence[str]) -> Floats:
    """x (N, D), each row divided by its Euclidean length; `keys` (N,) are for the message.

    Raises:
        DataError: rows of length zero.
    """
    x = np.asarray(x, np.float64)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not length.all():
        zero = [keys[row] for row in np.flatnonzero(length == 0).tolist()]
        raise DataError(f"{len(zero)} vector(s) of length zero, which have no direction: {some(zero)}; leave them out")
    return x / length
