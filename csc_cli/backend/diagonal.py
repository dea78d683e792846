"""Two covariances made diagonal by one transform. numpy alone: scipy takes a tenth of a second to load."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError

Floats = NDArray[np.float64]


class Diagonal(NamedTuple):
    """`transform` W `transform`' = I, `transform` B `transform`' = diag(`psi`)."""

    psi: Floats  # (D,), descending
    transform: Floats  # (D, D)
    inverse: Floats  # (D, D)


def with_signs(rows: Floats) -> Floats:
    """Rows (d, D) that are unique but for their signs, each with its largest value positive: (d, D)."""
    return rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]


def diagonalise(within: Floats, between: Floats) -> Diagonal:
    """With W = L L' (Cholesky) and L^-1 B L^-T = Q diag(psi) Q', the transform is Q' L^-1.

    Args:
        within: W (D, D). between: B (D, D).

    Raises:
        DataError: W is not positive definite.
    """
    try:
        root = np.linalg.cholesky(within)
        whiten = np.linalg.inv(root)
        psi, vectors = np.linalg.eigh(whiten @ between @ whiten.T)
    except np.linalg.LinAlgError:
        raise DataError(
            "the within-speaker covariance is singular: some directions do not vary within speakers; "
            "reduce the dimension first (csc lda train)"
        ) from None
    vectors = vectors[:, ::-1]
    return Diagonal(psi[::-1], vectors.T @ whiten, root @ vectors)
