"""Fitting a PLDA to vectors of another domain, of which no speakers are known.

Legend: N vectors, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.plda import Plda
from csc_cli.errors import ConfigError, DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AdaptConfig:
    """Kaldi's options of the same names, with its defaults."""

    within_covar_scale: float = 0.3  # how much of the excess variance of a direction goes to W
    between_covar_scale: float = 0.7  # and how much to B
    mean_diff_scale: float = 1.0  # how much (new mean - old mean) (...)' adds to the new covariance

    def __post_init__(self) -> None:
        for name in ("within_covar_scale", "between_covar_scale", "mean_diff_scale"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ConfigError(f"--{name.replace('_', '-')} {value:g}: must be at least 0")


def mean_and_covariance(blocks: Iterable[NDArray[np.floating]]) -> tuple[Floats, Floats, int]:
    """Mean (D,), covariance (D, D) and number N of the vectors in blocks (n, D), in one pass."""
    count = 0
    centre = total = products = np.zeros(0)
    for x in blocks:
        if not count:
            # Taken off first, so that no digits are lost where the mean is large.
            centre = x.mean(axis=0, dtype=np.float64)
            total, products = np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1]))
        moved = x - centre
        total += moved.sum(axis=0)
        products += moved.T @ moved
        count += len(x)
    if not count:
        raise DataError("no vectors; give some")
    return centre + total / count, products / count - np.outer(total, total) / count**2, count


def adapt(plda: Plda, mean: Floats, covariance: Floats, config: AdaptConfig | None = None) -> Plda:
    """The PLDA of a domain with this mean (D,) and total covariance (D, D); the steps are Kaldi's.

    Where the model's own total covariance W + B is the identity, the directions in which the new one is larger than 1
    are found; the excess there is shared out between W and B. Directions with less variance stay as they are.

    Raises:
        DataError: another dimension than the model's, or one direction left without variance within speakers.
    """
    config = config or AdaptConfig()
    if mean.size != plda.dim:
        raise DataError(f"the PLDA has {plda.dim} dimensions and the vectors {mean.size}; take them of one kind")
    moved = mean - plda.mean_
    covariance = covariance + config.mean_diff_scale * np.outer(moved, moved)
    whiten = plda.transform_ / np.sqrt(1 + plda.psi_)[:, None]  # W + B becomes I
    values, vectors = np.linalg.eigh(whiten @ covariance @ whiten.T)
    excess = np.maximum(values - 1, 0)
    share = plda.psi_ / (1 + plda.psi_)  # B there; W is the rest
    within = (vectors.T * (1 - share)) @ vectors + np.diag(config.within_covar_scale * excess)
    between = (vectors.T * share) @ vectors + np.diag(config.between_covar_scale * excess)
    back = np.linalg.inv(vectors.T @ whiten)
    return Plda.of_covariances(mean, back @ within @ back.T, back @ between @ back.T)
