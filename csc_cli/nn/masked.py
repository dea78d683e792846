"""Means and deviations that padding does not reach."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(x: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Mean over `axis` of the entries where the broadcast `mask` is true; 0 where there is none."""
    keep = mask.to(x.dtype)
    return (x * keep).sum(axis) / keep.sum(axis).clamp(min=1)


def statistics(x: Tensor, mask: Tensor) -> Tensor:
    """Mean and deviation of each segment's real frames: (..., S, K, D), mask (..., S, K, 1) -> (..., S, 2 D)."""
    mean = masked_mean(x, mask, -2)
    variance = masked_mean(x.square(), mask, -2) - mean.square()
    return torch.cat([mean, variance.clamp(min=1e-4).sqrt()], -1)
