"""The frame layers of ECAPA-TDNN (Desplanques, Thienpondt, Demuynck, Interspeech 2020, arXiv 2005.07143).

Layers, order and sizes are those of SpeechBrain's network, which the tests hold this one against.

Legend: B recordings, F mel bins, L frames, W channels, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.layers import Tdnn, mean_over

SCALE, SQUEEZED = 8, 128  # groups of channels in a Res2 layer; channels inside squeeze-excitation (sec. 4.1)


class Res2(nn.Module):
    """Groups of channels one after another, each given the result of the one before (sec. 3.2; Gao et al. 2019)."""

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        group = channels // SCALE
        self.blocks = nn.ModuleList(Tdnn(group, group, width, dilation) for _ in range(SCALE - 1))

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, W, L) -> (B, W, L)."""
        first, *others = x.chunk(SCALE, 1)
        done = [first]
        for index, (block, part) in enumerate(zip(self.blocks, others, strict=True)):
            done.append(block(part if index == 0 else part + done[-1], frames))
        return torch.cat(done, 1)


class SqueezeExcitation(nn.Module):
    """Scale each channel by what the means of all channels over the recording say (sec. 3.2, eq. 4 and 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv1d(channels, SQUEEZED, 1)
        self.excite = nn.Conv1d(SQUEEZED, channels, 1)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, W, L) -> (B, W, L)."""
        return x * self.excite(self.squeeze(mean_over(x, frames)).relu()).sigmoid()


class SeRes2Block(nn.Module):
    """Dense, Res2, dense and squeeze-excitation, with a residual path around all (fig. 1)."""

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        self.before = Tdnn(channels, channels)
        self.res2 = Res2(channels, width, dilation)
        self.after = Tdnn(channels, channels)
        self.gate = SqueezeExcitation(channels)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, W, L) -> (B, W, L)."""
        return x + self.gate(self.after(self.res2(self.before(x, frames), frames), frames), frames)


class EcapaTrunk(nn.Module):
    """A TDNN layer, three SE-Res2 blocks, and all their outputs together (sec. 3.3, fig. 2).

    The paper has W = 512 or 1024 and D = 1536 for both; here D = 3 W, as with 512.
    """

    def __init__(self, mels: int, channels: int) -> None:
        super().__init__()
        self.features = 3 * channels  # D
        self.first = Tdnn(mels, channels, 5)
        self.blocks = nn.ModuleList(SeRes2Block(channels, 3, dilation) for dilation in (2, 3, 4))
        self.aggregate = Tdnn(3 * channels, self.features)

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, F, L) -> (B, D, L)."""
        x = self.first(x, frames)
        outputs = []
        for block in self.blocks:
            x = block(x, frames)
            outputs.append(x)
        return self.aggregate(torch.cat(outputs, 1), frames)
