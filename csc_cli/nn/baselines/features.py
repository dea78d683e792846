"""Log-mel filterbanks as Kaldi's compute-fbank-feats makes them, in torch, for a batch, with a gradient.

As in Kaldi: 25 ms windows every 10 ms, only windows that fit (snip-edges), mean removed, pre-emphasis 0.97,
Povey window, power spectrum of the next power of two, triangles on the mel scale from 20 Hz to Nyquist.
Unlike Kaldi: a recording is brought to unit RMS first, the floor is relative to that and is added rather
than a bound, there is no dither, and a recording shorter than a window gives one frame, filled up with zeros.

Legend: B recordings, T samples, L frames, F mel bins.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.errors import ConfigError
from csc_cli.nn.precision import at_least_float32

WINDOW_S, HOP_S, PREEMPHASIS, LOWEST_HZ = 0.025, 0.010, 0.97, 20.0
FLOOR = 1e-6  # power of the white noise whose windowed spectrum is the floor, relative to the recording: -60 dB


class Frames(NamedTuple):
    """Which frames of a padded batch are real."""

    counts: Tensor  # (B,) long, at least 1
    mask: Tensor | None  # (B, 1, L) true at real frames; None: all are


class LogMel(nn.Module):
    """Samples -> log-mel energies, the mean of each bin over the real frames removed."""

    window: Tensor
    filters: Tensor

    def __init__(self, sample_rate: int, mels: int, mean_removed: bool = True) -> None:
        super().__init__()
        self.mean_removed = mean_removed
        self.width, self.hop = int(sample_rate * WINDOW_S), int(sample_rate * HOP_S)
        self.points = 2 ** math.ceil(math.log2(self.width))
        hann = torch.hann_window(self.width, periodic=False, dtype=torch.float64)
        self.register_buffer("window", hann.pow(0.85).float(), persistent=False)
        self.register_buffer("filters", mel_filters(mels, self.points, sample_rate).float(), persistent=False)
        self.floor = FLOOR * float(self.window.square().sum())

    def frame_count(self, lengths: Tensor) -> Tensor:
        """Frames of recordings of `lengths` samples."""
        return torch.div(lengths - self.width, self.hop, rounding_mode="floor").clamp(min=0) + 1

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Frames]:
        """samples (B, T), lengths (B,) real samples -> features (B, F, L), 0 at padding; frames."""
        with torch.autocast(samples.device.type, enabled=False):
            x = at_least_float32(samples)
            x = x * (torch.arange(x.shape[1], device=x.device) < lengths[:, None])
            power = x.square().sum(1, keepdim=True) / lengths[:, None].clamp(min=1)
            x = x / power.clamp(min=1e-14).sqrt()  # clamped first: the gradient of a root at 0 is not finite
            features = self.energies(x).add(self.floor).log().mT
            counts = self.frame_count(lengths)
            mask = (torch.arange(features.shape[2], device=x.device) < counts[:, None])[:, None]
            if self.mean_removed:
                features = features - (features * mask).sum(2, keepdim=True) / counts[:, None, None]
            return features * mask, Frames(counts, None if bool(mask.all()) else mask)

    def energies(self, x: Tensor) -> Tensor:
        """(B, T) -> mel energies (B, L, F)."""
        frames = functional.pad(x, (0, max(0, self.width - x.shape[1]))).unfold(1, self.width, self.hop)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], 2)
        spectrum = torch.fft.rfft((frames - PREEMPHASIS * before) * self.window.to(x.dtype), n=self.points)
        return (spectrum.real.square() + spectrum.imag.square()) @ self.filters.to(x.dtype)


def mel_filters(mels: int, points: int, sample_rate: int) -> Tensor:
    """Kaldi's triangles (points / 2 + 1, F) in float64; their sides are straight on the mel scale.

    Raises:
        ConfigError: a triangle is so narrow that no point of the spectrum falls into it.
    """

    def mel(hertz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hertz / 700)

    low, high = mel(torch.tensor([LOWEST_HZ, sample_rate / 2], dtype=torch.float64))
    edges = torch.linspace(0, 1, mels + 2, dtype=torch.float64) * (high - low) + low
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    at = mel(torch.arange(points // 2 + 1, dtype=torch.float64) * sample_rate / points)[:, None]
    filters = torch.minimum((at - left) / (centre - left), (right - at) / (right - centre)).clamp(min=0)
    if not bool((filters.sum(0) > 1e-3).all()):
        raise ConfigError(f"mels={mels}: at {sample_rate} Hz some bins would hold no point of the spectrum; take fewer")
    return filters
