"""What the rival networks share: convolutions and normalisation that padding does not reach.

Each convolution mirrors a recording at its own ends (as SpeechBrain does at a batch's), so no layer
needs its input masked, and what stands behind a recording's end is never read.

Legend: B recordings, C channels, L frames.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.precision import at_least_float32


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics are of real frames alone, and of all processes of a training."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    # Replaced under data-parallel training by a sum over processes with gradient.
    total: Callable[[Tensor], Tensor] | None = None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, C, L), mask (B, 1, L) true at real frames, None where all are -> (B, C, L)."""
        if not self.training or (mask is None and self.total is None and x.shape[0] * x.shape[2] > 1):
            return super().forward(x)
        x = at_least_float32(x)
        shift = self.running_mean[:, None]  # near the mean, so that the difference of two sums keeps its digits
        moved = x - shift if mask is None else (x - shift) * mask
        real = x.new_full((1,), x.shape[0] * x.shape[2]) if mask is None else mask.sum().to(x.dtype)[None]
        sums = torch.cat([moved.sum((0, 2)), moved.square().sum((0, 2)), real])
        sums = sums if self.total is None else self.total(sums)
        first, second, count = sums.split([x.shape[1], x.shape[1], 1])
        mean = first / count
        variance = (second / count - mean.square()).clamp(min=0)
        mean = mean + shift[:, 0]
        self.follow(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return torch.addcmul((self.bias - mean * scale)[:, None], x, scale[:, None])

    @torch.no_grad()
    def follow(self, mean: Tensor, variance: Tensor) -> None:
        """Running statistics, as torch's own layer keeps them."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


def share_statistics(network: nn.Module, total: Callable[[Tensor], Tensor] | None) -> None:
    """Let all batch normalisations of a network sum their statistics by `total`: over all processes, with gradient."""
    for module in network.modules():
        if isinstance(module, MaskedBatchNorm):
            module.total = total


class Tdnn(nn.Module):
    """Convolution over time, ReLU, batch normalisation; the length stays."""

    def __init__(self, inputs: int, outputs: int, width: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.reach = dilation * (width - 1) // 2  # frames to either side
        self.conv = nn.Conv1d(inputs, outputs, width, dilation=dilation)
        self.norm = MaskedBatchNorm(outputs)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, C, L) -> (B, outputs, L)."""
        return self.norm(functional.relu(self.conv(mirror(x, frames, self.reach))), frames.mask)


def mirror(x: Tensor, frames: Frames, reach: int) -> Tensor:
    """Put `reach` mirrored frames around each recording: (B, C, L) -> (B, C, L + 2 reach).

    A recording of n frames is continued with the period 2 (n - 1), so it may be shorter than `reach`.
    What lies behind a recording's mirrored end is left as it is.
    """
    if not reach:
        return x
    if frames.mask is None and x.shape[2] > reach:
        return functional.pad(x, (reach, reach), mode="reflect")
    steps = torch.arange(reach, device=x.device)
    counts = frames.counts[:, None]
    left = take(x, folded(steps - reach, counts))
    right = take(x, folded(counts + steps, counts))
    padded = torch.cat([left, x, torch.zeros_like(right)], 2)
    places = (reach + counts + steps)[:, None].expand_as(right)
    return padded.scatter(2, places, right)


def folded(positions: Tensor, counts: Tensor) -> Tensor:
    """Positions beyond the ends of recordings of `counts` (B, 1) frames, mirrored into them: (B, reach)."""
    period = (2 * counts - 2).clamp(min=1)
    inside = torch.remainder(positions, period)
    return torch.minimum(inside, period - inside).clamp(max=counts - 1)


def take(x: Tensor, index: Tensor) -> Tensor:
    """The frames `index` (B, reach) of each recording: (B, C, reach)."""
    return x.gather(2, index[:, None].expand(-1, x.shape[1], -1))


def mean_over(x: Tensor, frames: Frames) -> Tensor:
    """Mean over the real frames: (B, C, L) -> (B, C, 1)."""
    if frames.mask is None:
        return x.mean(2, keepdim=True)
    return x.masked_fill(~frames.mask, 0).sum(2, keepdim=True) / frames.counts[:, None, None].to(x.dtype)
