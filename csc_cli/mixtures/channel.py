"""A channel's frequency response, and its use by one product in the frequency domain."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft

from csc_cli.mixtures.manifest import Channel

LOWEST_CENTRE_HZ = 100.0
BUTTERWORTH_ORDER = 4
SPILL_S = 0.064
SIZE_STEP = 2048


class Grid(NamedTuple):
    """The frequencies of an rfft in the forms that the responses need; all (F,)."""

    power: np.ndarray  # (f / 1 kHz)^(2 order), float32
    band: np.ndarray  # index of the equaliser's centre below f, clipped to the last but one
    weight: np.ndarray  # how far from that centre to the next, along a half cosine, float32
    pink: np.ndarray  # f^-1/2, with 0 at 0 Hz and below 20 Hz, float32


def band_centres(bands: int, rate: int) -> np.ndarray:
    """The equaliser's centres in Hz: `bands` of them, log-spaced from 100 Hz to half the rate."""
    return np.geomspace(LOWEST_CENTRE_HZ, rate / 2, bands)


def fft_size(length: int, rate: int) -> int:
    """A good FFT length for `length` samples and the room that a response's ringing takes.

    Few different sizes (steps of 2048 samples), so that the grids stay cached.
    """
    needed = length + round(SPILL_S * rate)
    return scipy.fft.next_fast_len(-(-needed // SIZE_STEP) * SIZE_STEP, real=True)


@lru_cache(maxsize=64)
def grid(size: int, rate: int, bands: int) -> Grid:
    """The grid of a real FFT of `size` at `rate` Hz for equalisers of `bands` (0: none) values."""
    hz = np.fft.rfftfreq(size, 1 / rate)
    band, weight = np.zeros(0, dtype=np.intp), np.zeros(0)
    if bands:
        place = np.log(np.maximum(hz, LOWEST_CENTRE_HZ) / LOWEST_CENTRE_HZ)
        place *= (bands - 1) / np.log(rate / 2 / LOWEST_CENTRE_HZ)
        band = np.minimum(place.astype(np.intp), bands - 2)
        weight = 0.5 - 0.5 * np.cos(np.pi * np.clip(place - band, 0, 1))
    pink = np.where(hz >= 20, 1 / np.sqrt(np.maximum(hz, 20)), 0)
    power = (hz / 1000) ** (2 * BUTTERWORTH_ORDER)
    return Grid(power.astype(np.float32), band, weight.astype(np.float32), pink.astype(np.float32))


def response(channel: Channel, size: int, rate: int) -> np.ndarray:
    """The channel's gain (F,) float32 at the frequencies of a real FFT of `size`."""
    freqs = grid(size, rate, len(channel.equaliser_db))
    gain = np.ones(size // 2 + 1, dtype=np.float32)
    if channel.equaliser_db:
        level = np.asarray(channel.equaliser_db, dtype=np.float32) * np.float32(np.log(10) / 20)
        step = np.diff(level)
        gain = np.exp(level[freqs.band] + step[freqs.band] * freqs.weight)
    limit: np.ndarray = np.ones(1, dtype=np.float32)
    if channel.low_hz > 0:
        limit = freqs.power / (freqs.power + np.float32((channel.low_hz / 1000) ** (2 * BUTTERWORTH_ORDER)))
    if channel.high_hz < rate / 2:
        corner = np.float32((channel.high_hz / 1000) ** (2 * BUTTERWORTH_ORDER))
        limit = limit * (corner / (freqs.power + corner))
    return gain * np.sqrt(limit)


def apply(channels: tuple[Channel, ...], samples: np.ndarray, rate: int) -> np.ndarray:
    """`samples` (T,) through the channels, one after another: (T,) float32; ringing beyond the ends is cut."""
    if not channels:
        return samples
    size = fft_size(samples.size, rate)
    spectrum = scipy.fft.rfft(samples, size, workers=1)
    for channel in channels:
        spectrum *= response(channel, size, rate)
    return scipy.fft.irfft(spectrum, size, overwrite_x=True, workers=1)[: samples.size]


def generated_noise(kind: str, length: int, rate: int, seed: int, channels: tuple[Channel, ...]) -> np.ndarray:
    """`length` samples of white or pink (20 Hz and up) Gaussian noise through `channels`, at no set level."""
    rng = np.random.Generator(np.random.PCG64(seed))
    if kind == "white" and not channels:
        return rng.standard_normal(length, dtype=np.float32)
    size = fft_size(length, rate)
    spectrum = rng.standard_normal((size // 2 + 1, 2), dtype=np.float32).view(np.complex64)[:, 0]
    spectrum[0] = 0
    if kind == "pink":
        spectrum *= grid(size, rate, 0).pink
    for channel in channels:
        spectrum *= response(channel, size, rate)
    return scipy.fft.irfft(spectrum, size, overwrite_x=True, workers=1)[:length]
