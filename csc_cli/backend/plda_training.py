"""Expectation maximisation of the two-covariance model.

Legend: K speakers, D dimensions, n utterances of a speaker, S scatter within speakers, N vectors.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

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
    order = np.argsort(statistics.counts, kind="stable")
    means = statistics.means[order] - statistics.means.mean(axis=0)
    sizes, starts, members = np.unique(statistics.counts[order], return_index=True, return_counts=True)
    groups = [slice(start, start + count) for start, count in zip(starts, members)]
    within = between = np.eye(means.shape[1])
    for _ in range(iterations):
        within, between = _iterate(statistics, means, sizes, groups, within, between)
    return within, between


def _iterate(
    statistics: SpeakerStatistics,
    means: Floats,
    sizes: NDArray[np.int64],
    groups: list[slice],
    within: Floats,
    between: Floats,
) -> tuple[Floats, Floats]:
    """One step, where W = I and B = diag(psi): every V is diagonal there, w = n V m, and m - w = w / (n psi)."""
    psi, vectors = scipy.linalg.eigh(between, within)
    back = np.linalg.inv(vectors)  # x = back' latent
    latent = means @ vectors  # (K, D)
    for_between = np.zeros_like(within)  # sum of w w'
    for_within = np.zeros_like(within)  # sum of w w' / n
    variance, of_utterances = np.zeros(len(psi)), np.zeros(len(psi))  # sum of V, of n V
    for n, group in zip(sizes, groups):
        posterior = psi / (1 + n * psi)
        w = latent[group] * (n * posterior)
        squared = w.T @ w
        for_between += squared
        for_within += squared / n
        variance += len(w) * posterior
        of_utterances += len(w) * n * posterior
    for_within /= np.outer(psi, psi)
    speakers = len(means)
    new_between = back.T @ (for_between + np.diag(variance)) @ back / speakers
    new_within = (statistics.scatter + back.T @ (for_within + np.diag(of_utterances)) @ back) / statistics.total
    return _symmetric(new_within), _symmetric(new_between)


def _symmetric(matrix: Floats) -> Floats:
    return (matrix + matrix.T) / 2
