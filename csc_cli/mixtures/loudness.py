"""Integrated loudness of one channel by ITU-R BS.1770-4: K-weighting, blocks of 400 ms, two gates."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft

BLOCK_S, STEP_S = 0.4, 0.1
OFFSET_DB = -0.691
ABSOLUTE_LUFS = -70.0
RELATIVE_DB = -10.0


def loudness_lufs(samples: np.ndarray, rate: int) -> float:
    """Loudness of `samples` (T,) in LUFS; -inf where no block is above the absolute gate.

    What is shorter than a block is one block of its own. The weighting is a product in the frequency domain, of the
    recommendation's two biquads at any rate (its 48 kHz design by the bilinear transform, anew for each rate).
    """
    size = scipy.fft.next_fast_len(samples.size + rate // 4, real=True)
    spectrum = scipy.fft.rfft(samples, size, workers=1) * _weighting(size, rate)
    power = np.square(scipy.fft.irfft(spectrum, size, workers=1)[: samples.size], dtype=np.float64)
    block, step = min(samples.size, round(BLOCK_S * rate)), round(STEP_S * rate)
    sums = np.concatenate(([0.0], np.cumsum(power)))
    starts = np.arange(0, samples.size - block + 1, step)
    means = (sums[starts + block] - sums[starts]) / block
    loud = means[means > 10 ** ((ABSOLUTE_LUFS - OFFSET_DB) / 10)]
    if not loud.size:
        return -np.inf
    gated = loud[loud > loud.mean() * 10 ** (RELATIVE_DB / 10)]
    return float(OFFSET_DB + 10 * np.log10(gated.mean()))


@lru_cache(maxsize=16)
def _weighting(size: int, rate: int) -> np.ndarray:
    """Response (size / 2 + 1,) complex64 of the shelf and the high pass."""
    turn = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones(turn.size, dtype=np.complex128)
    for numerator, denominator in (_shelf(rate), _high_pass(rate)):
        response *= np.polynomial.polynomial.polyval(turn, numerator) / np.polynomial.polynomial.polyval(
            turn, denominator
        )
    return response.astype(np.complex64)


Biquad = tuple[list[float], list[float]]


def _shelf(rate: int) -> Biquad:
    """The first biquad (a shelf of +4 dB); its constants give the recommendation's coefficients at 48 kHz."""
    k = np.tan(np.pi * 1681.974450955533 / rate)
    quality, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    a0 = 1 + k / quality + k * k
    b = [high + middle * k / quality + k * k, 2 * (k * k - high), high - middle * k / quality + k * k]
    return [float(value / a0) for value in b], [1.0, float(2 * (k * k - 1) / a0), float((1 - k / quality + k * k) / a0)]


def _high_pass(rate: int) -> Biquad:
    """The second biquad, at 38 Hz."""
    k = np.tan(np.pi * 38.13547087602444 / rate)
    quality = 0.5003270373238773
    a0 = 1 + k / quality + k * k
    return [1.0, -2.0, 1.0], [1.0, float(2 * (k * k - 1) / a0), float((1 - k / quality + k * k) / a0)]
