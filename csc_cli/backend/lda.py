"""Linear discriminant analysis, as Kaldi has it. Legend: N vectors, D dimensions, d dimensions kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.diagonal import with_signs
from csc_cli.backend.statistics import SpeakerStatistics
from csc_cli.backend.transforms import Affine
from csc_cli.errors import ConfigError, DataError

Floats = NDArray[np.float64]


class LDA(Affine):
    """Project onto the `dim` directions that best tell speakers apart.

    K. Fukunaga, "Introduction to statistical pattern recognition", 1990, chapter 10.

    With T the covariance of all vectors and W that within speakers, t T + (1 - t) W, t = `total_covariance_factor`,
    becomes the identity; its eigenvalues are first raised to `covariance_floor` times the largest. The mean becomes 0.
    """

    def __init__(self, *, dim: int = 100, total_covariance_factor: float = 0.0, covariance_floor: float = 1e-6) -> None:
        if dim < 1:
            raise ConfigError(f"--dim {dim}: must be at least 1")
        if not 0 <= total_covariance_factor <= 1:
            raise ConfigError(f"--total-covariance-factor {total_covariance_factor:g}: must lie between 0 and 1")
        if not 0 <= covariance_floor < 1:
            raise ConfigError(f"--covariance-floor {covariance_floor:g}: must be at least 0 and less than 1")
        self.dim = dim
        self.total_covariance_factor = total_covariance_factor
        self.covariance_floor = covariance_floor

    def fit(self, x: NDArray[np.floating], speakers: Sequence[str] | NDArray[np.generic] | None = None) -> LDA:
        """Learn from x (N, D) and the speaker of each (N,).

        Raises:
            DataError: as `fit_statistics`, or without speakers.
        """
        if speakers is None:
            raise DataError("LDA: learns from speakers; give the speaker of each vector")
        return self.fit_statistics(SpeakerStatistics.of(x, speakers))

    def fit_statistics(self, statistics: SpeakerStatistics) -> LDA:
        """Learn from counts, means and scatter.

        Raises:
            DataError: as `SpeakerStatistics.check`, or a smaller dimension than `dim`.
        """
        statistics.check("LDA")
        if self.dim > statistics.means.shape[1]:
            raise DataError(f"--dim {self.dim}: the vectors have {statistics.means.shape[1]} dimensions")
        between = statistics.between_scatter / statistics.total
        within = statistics.scatter / statistics.total
        values, vectors = np.linalg.eigh(within + self.total_covariance_factor * between)
        values = np.maximum(values, self.covariance_floor * values[-1])
        whiten = vectors.T / np.sqrt(values)[:, None]
        _, directions = np.linalg.eigh(whiten @ between @ whiten.T)  # ascending
        linear = with_signs(directions[:, ::-1][:, : self.dim].T @ whiten)
        self.matrix_ = np.column_stack([linear, -linear @ statistics.mean])
        return self
