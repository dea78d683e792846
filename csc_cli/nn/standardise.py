"""Standardised segments: what keeps a young network's embeddings from becoming one vector (ours).

Legend: B mixtures, C streams, S segments, D features.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """Batch normalisation of the segments that hold speech: no mean, unit deviation in each dimension.

    A young network's segments are nearly one vector. Without this the contrastive loss finds it easiest to
    make them one vector (seen: L_batch stays at log J), for what they share outweighs what parts them.
    """

    mean: Tensor
    variance: Tensor
    updates: Tensor

    def __init__(self, dimensions: int, momentum: float = 0.98) -> None:
        super().__init__()
        self.momentum = momentum
        # Replaced under data-parallel training by a sum over ranks with gradient.
        self.total: Callable[[Tensor], Tensor] = lambda sums: sums
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("variance", torch.ones(dimensions))
        self.register_buffer("updates", torch.tensor(0.0))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, C, S, D), mask (B, 1, S, 1) -> (B, C, S, D); in evaluation by the statistics of training."""
        mean, variance = self.mean, self.variance
        if self.training:
            keep = mask.expand(*x.shape[:-1], 1).to(x.dtype)
            axes = tuple(range(x.dim() - 1))
            sums = torch.cat([(x * keep).sum(axes), (x.square() * keep).sum(axes), keep.sum()[None]])
            total, square, count = self.total(sums).split([x.shape[-1], x.shape[-1], 1])
            mean = total / count
            variance = (square / count - mean.square()).clamp(min=0)
            self.follow(mean.detach(), variance.detach())
        return (x - mean) / (variance + 1e-5).sqrt()

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Running statistics: a plain average at first, then with momentum."""
        old = torch.clamp(self.updates / (self.updates + 1), max=self.momentum)
        self.mean.lerp_(mean, 1 - old)
        self.variance.lerp_(variance, 1 - old)
        self.updates += 1
