"""References for rendering, in float64 and written from docs/mixtures.md, not from the code."""

from __future__ import annotations

import numpy as np

from csc_cli.mixtures.manifest import Channel

RATE = 8000


def slow_active(samples: np.ndarray) -> list[bool]:
    """The detector of docs/mixtures.md, frame by frame."""
    frames = [samples[i : i + 80] for i in range(0, len(samples), 80)]
    power = [float(np.sum(np.float64(frame) ** 2)) / 80 for frame in frames]
    level = []
    for i in range(len(power)):
        mean = sum(power[j] for j in range(i - 2, i + 3) if 0 <= j < len(power)) / 5
        level.append(10 * np.log10(max(mean, 1e-13 * sum(power) / 5)))
    order, share = sorted(level), 0.0
    for loud in order:
        share += 10 ** (loud / 20)
        if share >= 0.75 * sum(10 ** (value / 20) for value in order):
            break
    heard = [i for i, value in enumerate(level) if value > loud - 75]
    inside = sorted(level[heard[0] : heard[-1] + 1])
    quiet = inside[int(0.1 * (len(inside) - 1))]
    return [value > max(loud - 29, min(quiet + 8, loud - 15)) for value in level]


def slow_level_db(samples: np.ndarray) -> float:
    mask = np.repeat(slow_active(samples), 80)[: len(samples)]
    return 10 * np.log10(np.mean(np.float64(samples)[mask] ** 2))


def slow_filter(samples: np.ndarray, channel: Channel | None) -> np.ndarray:
    if channel is None:
        return samples
    size = 1 << 18
    hz = np.fft.rfftfreq(size, 1 / RATE)
    centres = 100 * (RATE / 2 / 100) ** (np.arange(len(channel.equaliser_db)) / (len(channel.equaliser_db) - 1))
    db = np.full(hz.size, channel.equaliser_db[0])
    for low, (one, two) in enumerate(zip(channel.equaliser_db, channel.equaliser_db[1:])):
        here = (hz >= centres[low]) & (hz <= centres[low + 1] + 1e-9)
        place = np.log(hz[here] / centres[low]) / np.log(centres[low + 1] / centres[low])
        db[here] = one + (two - one) * (1 - np.cos(np.pi * place)) / 2
    low_gain = np.append(0, (1 + (channel.low_hz / hz[1:]) ** 8) ** -0.5)
    spectrum = np.fft.rfft(samples, size) * 10 ** (db / 20) * low_gain * (1 + (hz / channel.high_hz) ** 8) ** -0.5
    return np.fft.irfft(spectrum)[: len(samples)]
