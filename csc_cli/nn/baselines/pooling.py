"""Pooling: the frames of a recording become the mean and deviation of each feature, once or Q times.

Legend: B recordings, Q embeddings of one recording, D features, L frames, A channels of the attention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.layers import MaskedBatchNorm
from csc_cli.nn.precision import at_least_float32

ATTENTION = 128  # A (arXiv 2005.07143, sec. 4.1)
SMALLEST = 1e-12  # variance under the root, whose gradient at 0 is not finite


class Statistics(nn.Module):
    """Mean and deviation over the frames (Snyder et al. 2018), the deviation with n - 1 as in SpeechBrain."""

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, D, L) -> (B, 1, 2 D)."""
        weights = frame_weights(x, frames)
        mean, deviation = weighted_statistics(x, weights).chunk(2, 1)
        counts = frames.counts[:, None].to(x.dtype)
        return torch.cat([mean, deviation * (counts / (counts - 1).clamp(min=1)).sqrt()], 1)[:, None]


class Attentive(nn.Module):
    """Channel- and context-dependent statistics (arXiv 2005.07143, sec. 3.1, eq. 1 to 3; as in SpeechBrain).

    The attention sees each frame beside the mean and deviation of the recording, and weighs every feature on
    its own. For Q > 1 there are Q attentions over one hidden layer (ours).
    """

    def __init__(self, features: int, embeddings: int = 1) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.hidden = nn.Conv1d(3 * features, ATTENTION, 1)
        self.norm = MaskedBatchNorm(ATTENTION)
        self.out = nn.Conv1d(ATTENTION, embeddings * features, 1)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, D, L) -> (B, Q, 2 D)."""
        hidden = self.norm(in_context(self.hidden, x, frames).relu(), frames.mask).tanh()
        scores = self.out(hidden).unflatten(1, (self.embeddings, -1))  # (B, Q, D, L)
        weights = [over_time(part, frames) for part in scores.unbind(1)]
        return torch.stack([weighted_statistics(x, part) for part in weights], 1)


def frame_weights(x: Tensor, frames: Frames) -> Tensor:
    """1 / n at each of the n real frames, 0 at padding: (B, 1, L)."""
    mask = torch.ones_like(x[:, :1]) if frames.mask is None else frames.mask.to(x.dtype)
    return mask / frames.counts[:, None, None].to(x.dtype)


def over_time(scores: Tensor, frames: Frames) -> Tensor:
    """Softmax over the real frames: (B, D, L) -> (B, D, L), 0 at padding."""
    scores = at_least_float32(scores)
    return (scores if frames.mask is None else scores.masked_fill(~frames.mask, float("-inf"))).softmax(2)


def weighted_statistics(x: Tensor, weights: Tensor) -> Tensor:
    """Mean and deviation under weights (B, D or 1, L) that add up to 1: (B, D, L) -> (B, 2 D)."""
    x = at_least_float32(x)
    mean = (weights * x).sum(2)
    variance = (weights * (x - mean[..., None]).square()).sum(2)
    return torch.cat([mean, variance.clamp(min=SMALLEST).sqrt()], 1)


def in_context(layer: nn.Conv1d, x: Tensor, frames: Frames) -> Tensor:
    """A 1x1 layer over (frame, mean, deviation): (B, D, L) -> (B, A, L).

    The parts for mean and deviation are the same at all frames and are computed once.
    """
    own, context = layer.weight.split([x.shape[1], 2 * x.shape[1]], 1)
    statistics = weighted_statistics(x, frame_weights(x, frames))
    return functional.conv1d(x, own, layer.bias) + functional.linear(statistics, context[..., 0])[..., None]
