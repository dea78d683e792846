"""What LDA and PLDA need of their training vectors: counts and means of speakers, scatter within them.

Legend: N vectors, D dimensions, K speakers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError

Floats = NDArray[np.float64]
BLOCK = 1024


@dataclass(frozen=True, eq=False)
class SpeakerStatistics:
    """All in float64; speakers in any order."""

    counts: NDArray[np.int64]  # (K,)
    means: Floats  # (K, D)
    scatter: Floats  # (D, D), sum over all vectors of (x - mean of x's speaker) (...)'

    @classmethod
    def of(cls, x: NDArray[np.floating], speakers: Sequence[str] | NDArray[np.generic]) -> SpeakerStatistics:
        """Of x (N, D) and the speaker of each (N,).

        Raises:
            DataError: not as many speakers as vectors, no vectors, or values that are not finite.
        """
        names, index = np.unique(np.asarray(speakers), return_inverse=True)
        if x.ndim != 2 or not x.size or len(index) != len(x):
            raise DataError(f"{len(index)} speakers for vectors of shape {x.shape}; give (N, D) and a speaker for each")
        if not np.isfinite(x).all():
            raise DataError("vectors with values that are not finite; compute them again")
        blocks = ((x[start : start + BLOCK], index[start : start + BLOCK]) for start in range(0, len(x), BLOCK))
        return cls.gather(blocks, len(names))

    @classmethod
    def gather(
        cls, blocks: Iterable[tuple[NDArray[np.floating], NDArray[np.integer]]], speakers: int
    ) -> SpeakerStatistics:
        """Of blocks of vectors (n, D) with the number of each one's speaker (n,), from 0 to `speakers` - 1.

        Numbers that do not come are left out.
        """
        counts = np.zeros(speakers, np.int64)
        sums = products = centre = np.zeros(0)
        for x, index in blocks:
            if not centre.size:
                # Taken off first, so that no digits are lost where the mean is large.
                centre = x.mean(axis=0, dtype=np.float64)
                sums, products = np.zeros((speakers, x.shape[1])), np.zeros((x.shape[1], x.shape[1]))
            moved = x - centre
            products += moved.T @ moved
            add_by_group(moved, index, sums, counts)
        if not centre.size:
            return cls(counts[:0], np.zeros((0, 0)), np.zeros((0, 0)))
        sums, counts = sums[counts > 0], counts[counts > 0]
        scatter = products - (sums.T / counts) @ sums
        return cls(counts, sums / counts[:, None] + centre, scatter)

    @property
    def total(self) -> int:
        """N."""
        return int(self.counts.sum())

    def check(self, what: str) -> None:
        """Whether covariances within and between speakers can be told.

        Raises:
            DataError: one speaker, none with two utterances, or vectors that do not vary in every direction.
        """
        speakers, dim = self.means.shape
        if speakers < 2:
            raise DataError(f"one speaker; {what} needs several")
        if self.counts.max() < 2:
            raise DataError(
                f"none of {speakers} speakers has two utterances; {what} needs some that do: is utt2spk right?"
            )
        rank = np.linalg.matrix_rank(self.covariance, hermitian=True)
        if rank < dim:
            raise DataError(
                f"{self.total} vectors of {dim} dimensions vary in {rank} directions only, so their covariance is "
                "singular; use more vectors, or fewer dimensions"
            )

    @property
    def covariance(self) -> Floats:
        """Of all vectors (D, D)."""
        return (self.scatter + self.between_scatter) / self.total

    @property
    def mean(self) -> Floats:
        """Of all vectors (D,)."""
        return self.counts @ self.means / self.total

    @property
    def between_scatter(self) -> Floats:
        """Sum over speakers of count times (mean - mean of all) (...)': (D, D)."""
        moved = self.means - self.mean
        return (moved.T * self.counts) @ moved


def add_by_group(vectors: Floats, groups: NDArray[np.integer], sums: Floats, counts: NDArray[np.int64]) -> None:
    """Add each of the vectors (n, D) to the sum (K, D) of its group (n,), and count it (K,)."""
    order = np.argsort(groups, kind="stable")
    present, starts, members = np.unique(groups[order], return_index=True, return_counts=True)
    sums[present] += np.add.reduceat(vectors[order], starts, axis=0)
    counts[present] += members
