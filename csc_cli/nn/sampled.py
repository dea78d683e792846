"""The ablation: k sampled negatives in place of the whole inventory (InfoNCE: van den Oord et al. 2018).

Legend: A anchors, N rows, E dimensions, K candidates an anchor.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from csc_cli.nn.contrastive import log_density_ratio


def draw_negatives(valid: Tensor, count: int, choice: torch.Generator) -> Tensor:
    """`count` + 1 different rows among the `valid` (N,), or all where there are no more: (at most count + 1,).

    One more than asked for, so that an anchor whose own row is drawn has `count` others too.
    """
    draws = torch.rand(len(valid), generator=choice).masked_fill(~valid.cpu(), 2.0)
    taken = min(count + 1, int(valid.sum()))
    return draws.topk(taken, largest=False).indices.to(valid.device)


def sampled_loss(
    vectors: Tensor, rows: Tensor, alpha: Tensor, candidates: Tensor, drawn: Tensor, count: int, unit: bool = True
) -> Tensor:
    """-log( f(z, g_k) / (f(z, g_k) + sum over `count` negatives) ) of each anchor, for each of K candidates k.

    The negatives are `drawn` (at most count + 1,) without the candidate, or without the last one where the
    candidate is not among them: uniform without replacement among all other rows. No correction for the
    sampling is made, so log(count + 1) minus this loss is InfoNCE's bound.

    Args:
        vectors: (A, E); rows: (N, E) as stored; candidates: (A, K) rows.

    Returns:
        (A, K) nats.
    """
    taken = rows[torch.cat([drawn, candidates.flatten()])]
    taken = functional.normalize(taken, dim=-1) if unit else taken
    negatives, own = taken[: len(drawn)], taken[len(drawn) :].unflatten(0, candidates.shape)
    against = log_density_ratio(vectors, negatives, alpha, unit)  # (A, drawn)
    itself = log_density_ratio(vectors[:, None], own, alpha, unit).squeeze(1)  # (A, K)
    hidden = candidates[..., None] == drawn  # (A, K, drawn)
    if len(drawn) > count:
        hidden[..., -1] |= ~hidden.any(-1)
    others = against[:, None].expand_as(hidden).masked_fill(hidden, float("-inf"))
    return torch.cat([itself[..., None], others], -1).logsumexp(-1) - itself
