"""What is done to vectors before they are scored. Legend: N vectors, D dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError, some

Floats = NDArray[np.float64]


class Centre:
    """Subtract a mean: that of the vectors it was fitted on, or a given one."""

    mean_: Floats  # (D,)

    def fit(self, x: NDArray[np.floating]) -> Centre:
        """Learn `mean_` from x (N, D)."""
        self.mean_ = np.asarray(x, np.float64).mean(axis=0)
        return self

    @classmethod
    def at(cls, mean: NDArray[np.floating]) -> Centre:
        """Fitted, with `mean` (D,)."""
        centre = cls()
        centre.mean_ = np.asarray(mean, np.float64)
        return centre

    def transform(self, x: NDArray[np.floating]) -> Floats:
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
