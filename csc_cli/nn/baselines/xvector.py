"""The frame layers of the x-vector network (Snyder et al., ICASSP 2018, table 1).

Legend: B recordings, F mel bins, L frames, D features.
"""

from __future__ import annotations

from torch import Tensor, nn

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.layers import Tdnn


class XVectorTrunk(nn.Module):
    """Five TDNN layers with contexts of 5, 3 (every 2nd), 3 (every 3rd), 1 and 1 frames.

    The paper's widths are 512 and, in the last layer, 1500; here W and 3 W.
    """

    def __init__(self, mels: int, channels: int) -> None:
        super().__init__()
        self.features = 3 * channels  # D
        self.blocks = nn.ModuleList(
            [
                Tdnn(mels, channels, 5),
                Tdnn(channels, channels, 3, dilation=2),
                Tdnn(channels, channels, 3, dilation=3),
                Tdnn(channels, channels),
                Tdnn(channels, self.features),
            ]
        )

    def forward(self, x: Tensor, frames: Frames) -> Tensor:
        """(B, F, L) -> (B, D, L)."""
        for block in self.blocks:
            x = block(x, frames)
        return x
