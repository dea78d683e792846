"""Expectation maximisation of the two-covariance model.

Legend: K speakers, D dimensions, n utterances of a speaker, S scatter within speakers, N vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.diagonal import diagonalise
from csc_cli.backend.statistics import SpeakerStatistics

Floats = NDArray[np.float64]


def estimate(statistics: SpeakerStatistics, iterations: int) -> tuple[Floats, Floats]:
    """W and B (D, D), covariances within and between speakers, after so many iterations from W = B = I.

    A speaker's mean m (less the mean of the speakers' means) is y + e, y ~ N(0, B), e ~ N(0, W / n). Given m, y has
    covariance V = (B^-1 + n W^-1)^-1 and mean w = V n W^-1 m. So (the steps are Kaldi's, written as matrices)
    B <- sum_k (V + w w') / K and W <- (S + sum_k n (V + (m - w) (m - w)')) / N.

    Raises:
        DataError: as `SpeakerStatistics.check`.
    """
    statistics.check("PLDA")
    means = statistics.means - statistics.means.mean(axis=0)
    within = between = np.eye(means.shape[1])
    for _ in range(iterations):
        within, between = _iterate(statistics, means, within, between)
    return within, between


def _iterate(statistics: SpeakerStatistics, means: Floats, within: Floats, between: Floats) -> tuple[Floats, Floats]:
    """One step, where W = I and B = diag(psi): every V is diagonal there, w = n V m, and m - w = w / (n psi)."""
    psi, transform, back = diagonalise(within, between)
    n = statistics.counts[:, None]  # (K, 1)
    posterior = psi / (1 + n * psi)  # V (K, D)
    w = (means @ transform.T) * (n * posterior)
    rest = w / (np.sqrt(n) * psi)  # sqrt(n) (m - w)
    new_between = back @ (w.T @ w + np.diag(posterior.sum(axis=0))) @ back.T / len(means)
    new_within = statistics.scatter + back @ (rest.T @ rest + np.diag((n * posterior).sum(axis=0))) @ back.T
    return _symmetric(new_within / statistics.total), _symmetric(new_between)


def _symmetric(matrix: Floats) -> Floats:
    return (matrix + matrix.T) / 2
