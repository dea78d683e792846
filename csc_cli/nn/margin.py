"""Softmax with an additive angular margin, and margin-mixup: the losses of the supervised rivals.

Legend: A anchors, N rows (classes), E dimensions, K labels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SMALLEST = 1e-7  # of 1 - cos^2 under the root, whose gradient at 0 is not finite


class Rows(nn.Module):
    """A learned vector for each of N classes."""

    def __init__(self, rows: int, dimensions: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(rows, dimensions) / math.sqrt(dimensions))

    def cosine(self, z: Tensor) -> Tensor:
        """Cosine of embeddings of any length with each row: (..., E) -> (..., N)."""
        return functional.normalize(z, dim=-1) @ functional.normalize(self.vectors, dim=-1).mT


def aam_logits(cosine: Tensor, target: Tensor, margin: float | Tensor, scale: float) -> Tensor:
    """Logits of the additive angular margin softmax (Deng et al., ArcFace, CVPR 2019, eq. 3).

    The own row's cos(theta) becomes cos(theta + m). Beyond theta + m = pi the cosine would rise again; there
    it is cos(theta) - m sin(m) instead, as in the authors' code, which keeps it falling.

    Args:
        cosine: (A, N); target: (A,) own row, -1 for an anchor without one (its logits have no margin).
        margin: m in radians, 0 <= m < pi, one for all or (A,).
        scale: s.

    Returns:
        (A, N).
    """
    m = torch.as_tensor(margin, dtype=cosine.dtype, device=cosine.device).expand(len(cosine))
    index = target.clamp(min=0)[:, None]
    own = cosine.gather(1, index)[:, 0]
    sine = (1 - own.square()).clamp(min=SMALLEST).sqrt()
    pushed = torch.where(own > -m.cos(), own * m.cos() - sine * m.sin(), own - m * m.sin())
    pushed = torch.where(target >= 0, pushed, own)
    return scale * cosine.scatter(1, index, pushed[:, None])


def aam_loss(
    cosine: Tensor, target: Tensor, margin: float | Tensor, scale: float, others: Tensor | None = None
) -> Tensor:
    """Cross entropy of `aam_logits` for each anchor.

    Args:
        cosine, target, margin, scale: as for `aam_logits`.
        others: (A, K) further true labels of the anchor's recording, -1 where there is none: their rows leave
            the normaliser (ours). For one embedding that stands for all talkers of a mixture, where none of
            them is a wrong answer. Not for several embeddings under a permutation: each may then lie midway
            between all talkers' rows at no cost, and nothing parts them (seen).

    Returns:
        (A,) nats, 0 where target is -1.
    """
    logits = aam_logits(cosine, target, margin, scale)
    if others is not None:
        logits = logits.masked_fill(true_elsewhere(others, target, logits.shape[1]), float("-inf"))
    loss = functional.cross_entropy(logits, target.clamp(min=0), reduction="none")
    return torch.where(target >= 0, loss, torch.zeros_like(loss))


def true_elsewhere(others: Tensor, target: Tensor, rows: int) -> Tensor:
    """Rows (A, N) named by `others` (A, K), the own one excepted; nothing for anchors without a target."""
    named = torch.zeros(len(others), rows + 1, dtype=torch.bool, device=others.device)
    named = named.scatter(1, torch.where(others >= 0, others, rows), True)[:, :rows]
    own = functional.one_hot(target.clamp(min=0), rows).bool()
    return named & ~own & (target >= 0)[:, None]


def margin_mixup_loss(
    cosine: Tensor, first: Tensor, second: Tensor, share: Tensor, margin: float, scale: float
) -> Tensor:
    """Margin-mixup (Thienpondt, Madhu, Demuynck, ICASSP 2023, arXiv 2304.03515).

    lambda l(y_1, lambda m) + (1 - lambda) l(y_2, (1 - lambda) m), l the cross entropy of AAM-softmax: both
    labels of a mixture of two recordings count, each as much, and with as much of the margin, as its
    recording has of the mixture. With lambda = 1 it is AAM-softmax. The paper's idea; the formula is ours as
    far as it goes beyond what docs/rivals.md quotes.

    Args:
        cosine: (A, N) of the one embedding of a mixture; first, second: (A,) labels, -1 where there is none.
        share: (A,) lambda of the first in the mixture, in [0, 1].

    Returns:
        (A,) nats.
    """
    share = share.to(cosine.dtype)
    total = torch.zeros_like(share)
    for own, part in ((first, share), (second, 1 - share)):
        total = total + part * aam_loss(cosine, own, part * margin, scale)
    return total
