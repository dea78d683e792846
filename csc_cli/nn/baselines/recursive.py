"""Recursive attentive pooling: one embedding after another from a recording of several talkers.

S. Horiguchi et al., "Recursive attentive pooling for extracting speaker embeddings from multi-speaker
recordings", arXiv 2408.17142. Each attention is told what those before it have taken, and its scores say
whether there was a talker left to take.

Legend: B recordings, Q embeddings of one recording, D features, L frames, A channels of the attention.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.pooling import ATTENTION, in_context, over_time, weighted_statistics

THRESHOLD = 0.5  # of the existence probability (sec. 3.2)
COUNTING_WEIGHT = 0.1  # alpha, of L_cnt beside the speakers' loss (eq. 15)


class Recursed(NamedTuple):
    pooled: Tensor  # (B, Q, 2 D)
    existence: Tensor  # (B, Q) logits of p_n


class Recursive(nn.Module):
    """Q attentions through one set of weights (eq. 9 to 14, 21).

    Coverage is counted relative to attention that is even: c_t times the recording's frames, 1 on average.
    That is eq. 10 in training and eq. 21 afterwards, with W_c in units of the training's frames, so their
    number need not be known. It changes where training starts (ours): with c_t itself, of the size 1 / T, the
    second embedding is the first again for a long while.
    """

    def __init__(self, features: int, embeddings: int) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.hidden = nn.Conv1d(3 * features, ATTENTION, 1)  # W_1, b_1
        self.coverage = nn.Conv1d(features, ATTENTION, 1, bias=False)  # W_c
        self.out = nn.Conv1d(ATTENTION, features, 1)  # W_2, b_2
        self.exists = nn.Linear(features, 1)  # w, b

    def forward(self, x: Tensor, frames: Frames) -> Recursed:
        """(B, D, L) -> statistics under each attention, and whether it found somebody."""
        counts = frames.counts[:, None, None].to(x.dtype)
        context = in_context(self.hidden, x, frames)  # W_1 e_t + b_1, eq. 1 to 3
        pooled: list[Tensor] = []
        existence: list[Tensor] = []
        attentions: list[Tensor] = []
        for _ in range(self.embeddings):
            hidden = context
            if attentions:
                covered = torch.stack(attentions).sum(0)  # c_t, below eq. 10
                hidden = context + self.coverage(covered * counts)
            scores = self.out(functional.relu(hidden))  # eq. 10
            attentions.append(over_time(scores, frames))  # eq. 9
            pooled.append(weighted_statistics(x, attentions[-1]))  # eq. 12, 13
            existence.append(self.exists(mean_scores(scores, frames))[:, 0])  # eq. 14
        return Recursed(torch.stack(pooled, 1), torch.stack(existence, 1))


def mean_scores(scores: Tensor, frames: Frames) -> Tensor:
    """Mean of the scores over the real frames: (B, D, L) -> (B, D)."""
    if frames.mask is not None:
        scores = scores.masked_fill(~frames.mask, 0)
    return scores.sum(2) / frames.counts[:, None].to(scores.dtype)


def counting_loss(existence: Tensor, talkers: Tensor) -> Tensor:
    """L_cnt for each recording (eq. 19; for Q = 2 eq. 20).

    p_1 ... p_N are driven to 1 and p_{N+1} to 0, as the text below eq. 19 says; the printed equations have
    it the other way round, against the text and the threshold. As in eq. 20 the first talker is taken for
    granted, and where N = Q nothing is asked of a talker Q + 1.

    Args:
        existence: (B, Q) logits; talkers: (B,) how many there are, N.

    Returns:
        (B,) nats, the mean over the terms of a recording; 0 where there is none (Q = 1).
    """
    place = torch.arange(1, existence.shape[1] + 1, device=existence.device)
    wanted = (place <= talkers[:, None]).to(existence.dtype)
    asked = (place > 1) & (place <= talkers[:, None] + 1)
    loss = functional.binary_cross_entropy_with_logits(existence, wanted, reduction="none")
    return (loss * asked).sum(1) / asked.sum(1).clamp(min=1)


def found(existence: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Which embeddings are of a talker: (B, Q) logits -> (B, Q); the first always, up to the first p_n below."""
    there = existence.sigmoid() >= threshold
    there = torch.cat([torch.ones_like(there[:, :1]), there[:, 1:]], 1)
    return there.long().cumprod(1).bool()
