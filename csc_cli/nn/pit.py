"""Utterance-level permutation-invariant training (Kolbaek et al. 2017, sec. III)."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import torch
from torch import Tensor


@cache
def _orders(streams: int) -> tuple[tuple[int, ...], ...]:
    return tuple(permutations(range(streams)))


def best_permutation(cost: Tensor) -> Tensor:
    """The stream that each reference is assigned to, with the least total cost.

    Args:
        cost: (B, C estimates, C references), lower is better.

    Returns:
        (B, C) long: entry (b, r) is the estimate for reference r. No gradient.

    >>> best_permutation(torch.tensor([[[9., 0.], [0., 9.]]]))
    tensor([[1, 0]])
    """
    streams = cost.shape[-1]
    orders = torch.tensor(_orders(streams), device=cost.device)  # (C!, C): order[r] = estimate of reference r
    totals = cost.detach()[:, orders, torch.arange(streams, device=cost.device)].sum(-1)  # (B, C!)
    return orders[totals.argmin(-1)]


def assign(values: Tensor, permutation: Tensor) -> Tensor:
    """Reorder the stream axis (1) of `values` (B, C, ...) so that stream r belongs to reference r."""
    index = permutation.reshape(*permutation.shape, *(1,) * (values.dim() - 2)).expand(-1, -1, *values.shape[2:])
    return values.gather(1, index)
