"""Losses over the pairs of a batch, without class vectors: GE2E and NT-Xent, of the self-supervised rivals.

A label is whatever makes two embeddings alike: an utterance two crops were cut from, or a speaker.

Legend: A embeddings, E dimensions, J different labels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Ge2e(nn.Module):
    """Generalised end-to-end loss, its softmax form (Wan et al., ICASSP 2018, eq. 5 to 9)."""

    def __init__(self, weight: float = 10.0, bias: float = -5.0) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.tensor(math.log(weight)))  # eq. 5 asks for w > 0
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """(A, E) of any length, (A,) labels -> (A,) nats; 0 where the label is -1 or has no other embedding."""
        return ge2e_loss(embeddings, labels, self.log_weight.exp(), self.bias)


def ge2e_loss(embeddings: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """-S_k + log sum_j exp S_j, S_j = w cos(e, c_j) + b, c_j the mean of the unit vectors of label j.

    An embedding is not part of its own label's mean (eq. 8). The bias falls out of the softmax form.

    Args:
        embeddings: (A, E); labels: (A,), -1 takes no part; weight, bias: scalars.

    Returns:
        (A,) nats; 0 where the label is -1 or has no other embedding.
    """
    z = functional.normalize(embeddings, dim=-1)
    names = labels.unique()
    names = names[names >= 0]
    if not len(names):
        return embeddings.sum(-1) * 0
    own = labels[:, None] == names  # (A, J)
    member = own.to(z.dtype)
    sums, counts = member.mT @ z, member.sum(0)
    centre = functional.normalize(sums, dim=-1)
    others = own.to(z.dtype) @ sums - z  # sum of the own label without the embedding itself
    alone = (member * counts).sum(1) < 2
    # At a vector of zeros there is no direction to follow: those rows are masked below.
    away = (z * functional.normalize(torch.where(alone[:, None], z, others), dim=-1)).sum(-1)
    similarity = weight * torch.where(own, away[:, None], z @ centre.mT) + bias
    target = own.long().argmax(1)
    loss = functional.cross_entropy(similarity, target, reduction="none")
    return torch.where(alone, torch.zeros_like(loss), loss)


def nt_xent_loss(embeddings: Tensor, labels: Tensor, temperature: float | Tensor) -> Tensor:
    """NT-Xent (Chen et al., SimCLR, ICML 2020, eq. 1) against all other embeddings of the batch.

    With more than two embeddings a label, the mean over the positives of the same form (Khosla et al.,
    NeurIPS 2020, eq. 2).

    Args:
        embeddings: (A, E) of any length; labels: (A,), -1 takes no part.

    Returns:
        (A,) nats; 0 where the label is -1 or has no other embedding.
    """
    z = functional.normalize(embeddings, dim=-1)
    known = labels >= 0
    other = known & ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = other & (labels[:, None] == labels) & known[:, None]
    # An embedding with nothing to be told from still needs a finite sum; it is masked by `positive`.
    allowed = other | ~other.any(1, keepdim=True)
    logits = (z @ z.mT / temperature).masked_fill(~allowed, float("-inf"))
    log_share = logits - logits.logsumexp(1, keepdim=True)
    return -log_share.masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp(min=1)
