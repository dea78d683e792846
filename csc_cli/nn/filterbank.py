"""Filterbanks: a waveform becomes frames of bins, and masked frames become a waveform again.

Both kinds frame the signal alike: `window` samples every `hop`, with zeros around, so that every
sample lies in exactly `window / hop` frames. The end of a padded utterance then looks the same
alone and in a batch.

Legend: B mixtures, T samples, L frames, F bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.errors import ConfigError


@dataclass(frozen=True)
class FilterbankConfig:
    kind: Literal["stft", "learned"] = "stft"
    window: int = 256  # samples
    hop: int = 64  # samples
    filters: int = 64  # F of the learned filterbank; an STFT has window / 2 + 1

    def __post_init__(self) -> None:
        if self.hop < 1 or self.window % self.hop:
            raise ConfigError(f"window={self.window}: must be a multiple of hop={self.hop}")
        if self.kind == "stft" and self.window < 2 * self.hop:
            raise ConfigError(f"hop={self.hop}: an STFT needs at least half overlap, hop <= {self.window // 2}")


class Filterbank(nn.Module):
    """What the two kinds share: framing and overlap-add."""

    bins: int

    def __init__(self, config: FilterbankConfig) -> None:
        super().__init__()
        self.window, self.hop = config.window, config.hop

    def frame_count(self, samples: Tensor) -> Tensor:
        """Frames L of signals of `samples` samples."""
        return torch.div(samples + self.hop - 1, self.hop, rounding_mode="floor") + self.window // self.hop - 1

    def frames(self, x: Tensor) -> Tensor:
        """(B, T) -> (B, L, window)."""
        lead = self.window - self.hop
        tail = lead + -x.shape[-1] % self.hop
        return functional.pad(x, (lead, tail)).unfold(-1, self.window, self.hop)

    def overlap_add(self, frames: Tensor, length: int) -> Tensor:
        """(B, L, window) -> (B, length): the transpose of `frames`."""
        total = (frames.shape[1] - 1) * self.hop + self.window
        y = functional.fold(frames.mT, (1, total), (1, self.window), stride=(1, self.hop)).flatten(1)
        lead = self.window - self.hop
        return y[:, lead : lead + length]


class Stft(Filterbank):
    """Complex spectra with a square-root Hann window on both sides; perfect reconstruction."""

    taper: Tensor

    def __init__(self, config: FilterbankConfig) -> None:
        super().__init__(config)
        self.bins = self.window // 2 + 1
        # Hann summed over window / hop shifts is window / (2 hop); dividing makes analysis and synthesis one.
        hann = torch.hann_window(self.window, dtype=torch.float64) * (2 * self.hop / self.window)
        self.register_buffer("taper", hann.sqrt().float(), persistent=False)

    def analyse(self, x: Tensor) -> Tensor:
        """(B, T) -> complex (B, L, F)."""
        return torch.fft.rfft(self.frames(x) * self.taper)

    def magnitude(self, spectrum: Tensor) -> Tensor:
        """(B, L, F) magnitudes; white noise of unit power has about 1 in each bin."""
        # The gradient of |z| at 0 is undefined; the smallest normal number keeps silence finite.
        power = spectrum.real.square() + spectrum.imag.square()
        return (power / (self.hop) + 1e-12).sqrt()

    def synthesise(self, spectrum: Tensor, length: int) -> Tensor:
        """Complex (B, L, F) -> (B, length)."""
        return self.overlap_add(torch.fft.irfft(spectrum, n=self.window) * self.taper, length)


class Learned(Filterbank):
    """Conv1d, ReLU, transposed Conv1d (Luo & Mesgarani, Conv-TasNet, 2019, sec. II-B)."""

    def __init__(self, config: FilterbankConfig) -> None:
        super().__init__(config)
        self.bins = config.filters
        self.analysis = nn.Parameter(torch.empty(self.window, self.bins))
        self.synthesis = nn.Parameter(torch.empty(self.bins, self.window))
        nn.init.normal_(self.analysis, std=1 / math.sqrt(self.window))
        nn.init.normal_(self.synthesis, std=1 / math.sqrt(self.bins * self.window / self.hop))

    def analyse(self, x: Tensor) -> Tensor:
        """(B, T) -> non-negative (B, L, F)."""
        return functional.relu(self.frames(x) @ self.analysis)

    def magnitude(self, spectrum: Tensor) -> Tensor:
        """(B, L, F): the learned responses themselves, which are never negative."""
        return spectrum

    def synthesise(self, spectrum: Tensor, length: int) -> Tensor:
        """(B, L, F) -> (B, length)."""
        return self.overlap_add(spectrum @ self.synthesis, length)


def make_filterbank(config: FilterbankConfig) -> Stft | Learned:
    """The filterbank that `config.kind` names."""
    return Stft(config) if config.kind == "stft" else Learned(config)
