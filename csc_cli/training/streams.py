"""Which stream is whose, and what is measured of streams.

Legend: B mixtures, C streams (or references), S segments, T samples.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csc_cli.nn.pit import assign
from csc_cli.nn.si_snr import pairwise_si_snr
from csc_cli.training.batches import MixtureBatch


def pick(cost: Tensor, permutation: Tensor) -> Tensor:
    """The entries of the chosen pairs: (B, C estimates, C references), (B, C) -> (B, C references)."""
    return cost.gather(1, permutation[:, None, :]).squeeze(1)


def mean_of_segments(each: Tensor | None, mask: Tensor, speakers: Tensor) -> Tensor:
    """The mean over real segments of their losses for the reference that their stream is assigned to.

    (B, C estimates, S, C references), mask (B, S), speakers (B, C) -> (B, C references); zeros for None.
    """
    if each is None:
        return torch.zeros(speakers.shape, device=speakers.device)
    own = assign(each, speakers).diagonal(dim1=1, dim2=3).mT  # (B, C, S)
    keep = mask[:, None].to(own.dtype)
    return (own * keep).sum(-1) / keep.sum(-1).clamp(min=1)


def permutation_nats(streams: int, talkers: int = 2) -> float:
    """What choosing a permutation by the labels can tell at the most, nats a talker: log(C! / (C - T)!) / T."""
    return (math.lgamma(streams + 1) - math.lgamma(streams - talkers + 1)) / talkers


def heard_cost(snr: Tensor, active: Tensor) -> Tensor:
    """Minus SI-SNR (B, C estimates, C references), 0 for silent references, which may have any stream."""
    return torch.where(active[:, None], -snr, 0.0)


def snr_gain(snr: Tensor, batch: MixtureBatch, real: Tensor, permutation: Tensor, active: Tensor) -> Tensor:
    """SI-SNR improvement (B, C) dB over the mixture itself, where several talkers are active; 0 elsewhere."""
    unprocessed = pairwise_si_snr(batch.mixture[:, None], batch.sources, real)[:, 0]
    return (pick(snr, permutation) - unprocessed) * mixed(active)


def mixed(active: Tensor) -> Tensor:
    """The active streams (B, C) of mixtures with at least two of them."""
    return active & (active.sum(1, keepdim=True) > 1)
