"""Kaldi's energy detector of speech (`compute-vad`), and what its decisions mean in samples.

Legend: T frames, N samples. A frame is voiced where at least a share of the frames around it have more log energy than
`threshold + scale x mean`; each frame for itself, with no notion of continuity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csc_cli.errors import ConfigError, DataError

FULL_SCALE = 32768.0
LEAST_ENERGY = float(np.finfo(np.float32).eps)
BLOCK = 4096
TOLERANCE = 2
"""Decisions may be so many more or fewer than the recording has frames."""


@dataclass(frozen=True)
class VadConfig:
    """The options of `compute-vad`, with Kaldi's defaults."""

    energy_threshold: float = 5.0
    energy_mean_scale: float = 0.5  # of the mean log energy of the utterance, which is added to the threshold
    frames_context: int = 0  # frames on each side that are asked, too
    proportion_threshold: float = 0.6  # of the frames asked that must be above the threshold

    def __post_init__(self) -> None:
        if not np.isfinite(self.energy_threshold):
            raise ConfigError(f"--vad-energy-threshold {self.energy_threshold}: must be a finite number")
        if not 0 <= self.energy_mean_scale < np.inf:
            raise ConfigError(f"--vad-energy-mean-scale {self.energy_mean_scale}: must be at least 0")
        if self.frames_context < 0:
            raise ConfigError(f"--vad-frames-context {self.frames_context}: must be at least 0")
        if not 0 < self.proportion_threshold < 1:
            raise ConfigError(f"--vad-proportion-threshold {self.proportion_threshold}: must lie between 0 and 1")


@dataclass(frozen=True)
class FrameConfig:
    """The frames of Kaldi's features, with the defaults of `compute-mfcc-feats`."""

    length_ms: float = 25.0
    shift_ms: float = 10.0
    snip_edges: bool = True  # frames lie within the recording; else they are centred, and their number is N / shift
    dither: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.shift_ms <= self.length_ms < 10_000:
            message = "must be positive, the shift no longer than the frame"
            raise ConfigError(f"--frame-length {self.length_ms}, --frame-shift {self.shift_ms}: {message}")
        if not 0 <= self.dither < np.inf:
            raise ConfigError(f"--dither {self.dither}: must be at least 0")

    def samples(self, sample_rate: int) -> tuple[int, int]:
        """Samples of a frame and from one to the next, rounded down as Kaldi does."""
        return int(sample_rate * 0.001 * self.length_ms), int(sample_rate * 0.001 * self.shift_ms)

    def count(self, samples: int, sample_rate: int) -> int:
        """Frames of a recording of so many samples."""
        length, shift = self.samples(sample_rate)
        if not self.snip_edges:
            return (samples + shift // 2) // shift
        return 0 if samples < length else 1 + (samples - length) // shift


def log_energies(samples: np.ndarray, sample_rate: int, config: FrameConfig) -> np.ndarray:
    """The first coefficient of Kaldi's MFCC as they are by default (`--use-energy`, `--raw-energy`): (T,) float32.

    The log of the sum of squares of each frame without its mean, on the scale of 16-bit samples. Kaldi's dither is
    random noise; here its energy in the mean, dither^2 (length - 1), is added, so that the same samples give the same
    decisions, and digital silence does not pull the mean down (ours).

    Args:
        samples: (N,), 1 is full scale.
    """
    length, shift = config.samples(sample_rate)
    count = config.count(len(samples), sample_rate)
    if not count:
        return np.zeros(0, np.float32)
    scaled = np.asarray(samples, np.float64) * FULL_SCALE
    if not config.snip_edges:
        scaled = scaled[_reflected(len(scaled), shift // 2 - length // 2, (count - 1) * shift + length)]
    frames = np.lib.stride_tricks.sliding_window_view(scaled, length)[::shift][:count]
    energy = np.empty(count)
    for begin in range(0, count, BLOCK):  # running sums would be quicker, and lose what is quiet beside what is loud
        block = frames[begin : begin + BLOCK]
        energy[begin : begin + BLOCK] = np.square(block - block.mean(axis=1, keepdims=True)).sum(axis=1)
    energy += config.dither**2 * (length - 1)
    return np.log(np.maximum(energy, LEAST_ENERGY)).astype(np.float32)


def _reflected(size: int, start: int, count: int) -> np.ndarray:
    """Indices of `count` samples from `start` on, in a recording that is mirrored at its ends (-1 is 0, -2 is 1)."""
    place = np.arange(start, start + count) % (2 * size)
    return np.where(place < size, place, 2 * size - 1 - place)


def decide(log_energy: np.ndarray, config: VadConfig) -> np.ndarray:
    """Which frames are voiced, (T,) bool, from their log energy (T,); in float32, as Kaldi computes it."""
    log_energy = np.asarray(log_energy, np.float32)
    frames = len(log_energy)
    threshold = np.float32(config.energy_threshold)
    if config.energy_mean_scale and frames:
        threshold += np.float32(config.energy_mean_scale) * log_energy.sum() / np.float32(frames)
    above = np.concatenate([[0], np.cumsum(log_energy > threshold)])
    here = np.arange(frames)
    begin = np.maximum(here - config.frames_context, 0)
    end = np.minimum(here + config.frames_context + 1, frames)
    asked = (end - begin).astype(np.float32)
    return (above[end] - above[begin]) >= asked * np.float32(config.proportion_threshold)


def speech_ranges(voiced: np.ndarray, samples: int, sample_rate: int) -> np.ndarray:
    """The stretches of samples (K, 2), first and end, that decisions (T,) on frames of 25 ms every 10 ms call voiced.

    Each frame decides for the 10 ms around its centre, the first and last for what lies beyond. Whether edges were
    snipped is told by the number of decisions.

    Raises:
        DataError: the number of decisions is not that of the recording's frames.
    """
    configs = FrameConfig(snip_edges=True), FrameConfig(snip_edges=False)
    counts = [config.count(samples, sample_rate) for config in configs]
    off, which = min((abs(len(voiced) - count), which) for which, count in enumerate(counts))
    config, expected = configs[which], counts[1]
    if off > TOLERANCE or not len(voiced):
        message = f"{len(voiced)} decisions for {samples / sample_rate:.2f} s, which are about {expected} frames"
        raise DataError(f"{message} of 10 ms; compute the decisions from these recordings again")
    length, shift = config.samples(sample_rate)
    first = (length - shift) // 2 if config.snip_edges else 0
    edges = first + shift * np.arange(len(voiced) + 1)
    edges[0], edges[-1] = 0, samples
    edges = np.minimum(edges, samples)
    changes = np.flatnonzero(np.diff(voiced.astype(np.int8), prepend=0, append=0))
    ranges = edges[changes].reshape(-1, 2)
    return ranges[ranges[:, 0] < ranges[:, 1]]
