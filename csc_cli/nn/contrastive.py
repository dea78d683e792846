"""The probabilistic contrastive loss, free from negative sampling.

f(h, g) = exp(-alpha d(h, g)), d the squared Euclidean distance: of unit vectors, where the logits are
-alpha d = 2 alpha cos - 2 alpha, or (an ablation) of vectors as long as they are. The normaliser runs
over the whole inventory: nothing is sampled (Wang et al., ICASSP 2021; the two terms and the
leave-one-mixture-out rule are ours).

Legend: A anchors, N rows of the inventory, J groups of a batch, E dimensions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class InverseTemperature(nn.Module):
    """alpha = exp(a), learned, held in [1, 100]."""

    def __init__(self, start: float = 10.0, learned: bool = True) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(math.log(start)), requires_grad=learned)

    def forward(self) -> Tensor:
        with torch.no_grad():  # beyond a limit a clamp of the result would have no gradient to come back by
            self.a.clamp_(0.0, math.log(100.0))
        return self.a.exp()


def closeness(vectors: Tensor, others: Tensor, unit: bool = True) -> Tensor:
    """Minus the squared Euclidean distance: (..., A, E), (..., N, E) -> (..., A, N).

    With `unit` both sides are taken to have unit length, and nothing checks it.
    """
    twice = 2 * (vectors @ others.mT)
    if unit:
        return twice - 2
    return twice - vectors.square().sum(-1)[..., None] - others.square().sum(-1)[..., None, :]


def log_density_ratio(vectors: Tensor, others: Tensor, alpha: Tensor, unit: bool = True) -> Tensor:
    """log f = -alpha |h - g|^2: (..., A, E), (..., N, E) -> (..., A, N)."""
    return alpha * closeness(vectors, others, unit)


def contrastive_loss(logits: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """-log( f(z, g_k) / sum_j f(z, g_j) ) for each anchor.

    Args:
        logits: (A, N) log density ratios.
        target: (A,) the own row k of each anchor; -1 masks an anchor (silent stream, row not yet visited).
        valid: (N,) or (A, N), false at rows that do not take part.

    Returns:
        (A,) nats, 0 at masked anchors.
    """
    if valid is not None:
        logits = logits.masked_fill(~valid, float("-inf"))
    known = target >= 0
    loss = functional.cross_entropy(logits, target.clamp(min=0), reduction="none")
    return torch.where(known, loss, torch.zeros_like(loss))


def entropy(counts: Tensor) -> float:
    """H(K) in nats of the label frequencies `counts` (N,), the ceiling of the bound I(z; K) >= H(K) - L_inv.

    The bound (Barber & Agakov 2003) holds for rows that do not depend on the sample.
    """
    p = counts.double() / counts.sum()
    return float(-(p[p > 0] * p[p > 0].log()).sum())
