"""Separation losses between every estimate and every reference, in dB.

Axes of all results: (B, C estimates, C references). Legend: B mixtures, C streams, T samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TAU = 1e-3  # -30 dB: nothing is gained below it
EPS = 1e-8


def _centre(x: Tensor, mask: Tensor) -> Tensor:
    """Take away the mean over the real samples; padded samples become 0."""
    mean = (x * mask).sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)
    return (x - mean) * mask


def pairwise_si_snr(estimates: Tensor, references: Tensor, mask: Tensor) -> Tensor:
    """Scale-invariant signal-to-noise ratio (Le Roux et al. 2019, eq. 3-5), signals without mean.

    Args:
        estimates, references: (B, C, T) samples.
        mask: (B, T), true at real samples.

    Returns:
        (B, C estimates, C references) dB; a silent reference gives a very low, finite number.
    """
    keep = mask[:, None].to(estimates.dtype)
    s_hat, s = _centre(estimates, keep), _centre(references, keep)
    dot = s_hat @ s.mT  # (B, C, C)
    energy = s.square().sum(-1)[:, None, :]  # of references
    total = s_hat.square().sum(-1)[:, :, None]  # of estimates
    target = dot.square() / (energy + EPS)
    # |s_hat|^2 = |target|^2 + |rest|^2 by orthogonality; no (B, C, C, T) tensor is made.
    rest = (total - target).clamp(min=0)
    return 10 * torch.log10((target + EPS) / (rest + EPS))


def limited(snr: Tensor, limit_db: float) -> Tensor:
    """SI-SNR that approaches `limit_db` and does not pass it: -10 log10(10^(-snr / 10) + 10^(-limit / 10)).

    As the soft threshold of Wisdom et al. (MixIT, 2020): nothing is gained by what is far above it.
    """
    nepers = math.log(10) / 10
    floor = torch.full_like(snr, -limit_db * nepers)
    return -torch.logaddexp(-snr * nepers, floor) / nepers


def pairwise_scale_aware(estimates: Tensor, references: Tensor, mask: Tensor, tau: float = TAU) -> Tensor:
    """10 log10(|s - s_hat|^2 + tau |s|^2) - 10 log10 |s|^2 (method's section 1): lower is better.

    Shapes as in `pairwise_si_snr`. Bounded below by 10 log10 tau; for active references.
    """
    keep = mask[:, None].to(estimates.dtype)
    s_hat, s = estimates * keep, references * keep
    energy = s.square().sum(-1)[:, None, :]
    error = s_hat.square().sum(-1)[:, :, None] + energy - 2 * (s_hat @ s.mT)
    return 10 * torch.log10(error.clamp(min=0) + tau * energy + EPS) - 10 * torch.log10(energy + EPS)


def silent_loss(estimates: Tensor, mixture: Tensor, mask: Tensor, tau: float = TAU) -> Tensor:
    """10 log10(|s_hat|^2 + tau |x|^2) - 10 log10 |x|^2 for a stream that should be silent.

    Args:
        estimates: (B, C, T); mixture: (B, T); mask: (B, T).

    Returns:
        (B, C) dB, at least 10 log10 tau.
    """
    keep = mask.to(estimates.dtype)
    power = (mixture * keep).square().sum(-1, keepdim=True)
    left = (estimates * keep[:, None]).square().sum(-1)
    return 10 * torch.log10(left + tau * power + EPS) - 10 * torch.log10(power + EPS)
