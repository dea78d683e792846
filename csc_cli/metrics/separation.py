"""How well talkers were separated: scale-invariant signal-to-noise ratio, and its gain over the mixture.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019.
Legend: C talkers, T samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csc_cli.errors import DataError

Floats = NDArray[np.float64]
LIMIT_DB = 150.0  # stands for a perfect estimate; minus it for one without anything of the reference


class SeparationScore(NamedTuple):
    """SI-SNR of each talker under the best permutation, in dB, in the order of the references."""

    permutation: NDArray[np.intp]  # (C,) the estimate that belongs to each reference
    si_snr: Floats  # (C,)
    improvement: Floats  # (C,) over taking the mixture itself for the estimate


def si_snr(estimate: ArrayLike, reference: ArrayLike) -> Floats:
    """10 log10 |a s|^2 / |s_hat - a s|^2 in dB, a = <s_hat, s> / |s|^2, both with zero mean (eq. 3 there).

    Args:
        estimate: (..., T), s_hat.
        reference: (..., T), s; leading axes are broadcast against those of the estimate.

    Returns:
        (...) float64.

    Raises:
        DataError: the lengths differ, a signal is not finite, or a reference is constant (silent).

    >>> round(float(si_snr([1.0, -1.0, 1.0, -1.1], [1.0, -1.0, 1.0, -1.0])), 1)
    29.2
    """
    s_hat, s = _signal(estimate, "estimate"), _signal(reference, "reference")
    if s_hat.shape[-1] != s.shape[-1]:
        raise DataError(f"an estimate of {s_hat.shape[-1]} samples and a reference of {s.shape[-1]}")
    # Compared before the mean is taken away, which rounding may leave a little off.
    if (s == s[..., :1]).all(axis=-1).any():
        raise DataError("a reference is silent (constant): SI-SNR needs a signal; leave that talker out")
    s_hat, s = s_hat - s_hat.mean(axis=-1, keepdims=True), s - s.mean(axis=-1, keepdims=True)
    scaled = (s_hat * s).sum(axis=-1, keepdims=True) / np.square(s).sum(axis=-1, keepdims=True) * s
    signal, noise = np.square(scaled).sum(axis=-1), np.square(s_hat - scaled).sum(axis=-1)
    floor = 10 ** (-LIMIT_DB / 10) * (signal + noise)
    with np.errstate(invalid="ignore"):  # 0 / 0 of a silent estimate, replaced below
        ratio = 10 * np.log10((signal + floor) / (noise + floor))
    return np.where(signal + noise > 0, ratio, -LIMIT_DB)


def si_snr_improvement(estimates: ArrayLike, references: ArrayLike, mixture: ArrayLike) -> SeparationScore:
    """SI-SNR and its gain over the mixture, under the assignment of estimates to references with most SI-SNR.

    Args:
        estimates: (C', T), at least as many as references; what is left over is ignored.
        references: (C, T).
        mixture: (T,).

    Raises:
        DataError: as `si_snr`, or fewer estimates than references.
    """
    from scipy.optimize import linear_sum_assignment

    estimates, references = np.atleast_2d(estimates), np.atleast_2d(references)
    if len(estimates) < len(references):
        raise DataError(f"{len(estimates)} estimates for {len(references)} talkers: one each is needed")
    pairwise = si_snr(estimates[None], references[:, None])  # (C, C'): reference, estimate
    talkers, permutation = linear_sum_assignment(pairwise, maximize=True)
    best = pairwise[talkers, permutation]
    return SeparationScore(permutation, best, best - si_snr(mixture, references))


def _signal(signal: ArrayLike, name: str) -> Floats:
    signal = np.asarray(signal, np.float64)
    if signal.ndim == 0 or signal.shape[-1] == 0:
        raise DataError(f"the {name} has no samples")
    if not np.isfinite(signal).all():
        raise DataError(f"the {name} has samples that are NaN or infinite")
    return signal
