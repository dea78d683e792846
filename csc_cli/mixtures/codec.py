"""Telephone codecs at 8 kHz: G.711 (mu-law, A-law) by a table, GSM 06.10 by libsndfile.

A mixture of another rate is brought to 8 kHz and back by cutting its spectrum. What is beyond full scale is scaled
down before the codec and up again after it, so that nothing is clipped.
"""

from __future__ import annotations

import io
from functools import lru_cache
from math import gcd

import numpy as np
import scipy.fft
import soundfile

CODEC_HZ = 8000
FULL = 32768.0
EDGE_S = 0.05  # zeros around a mixture, so that its ends do not meet in the FFT


def transmit(samples: np.ndarray, rate: int, kind: str) -> np.ndarray:
    """`samples` (T,) at `rate` Hz as they come out of the codec: (T,) float32.

    Args:
        kind: mulaw, alaw or gsm.
    """
    down = resample(samples, rate, CODEC_HZ)
    scale = max(1.0, float(np.abs(down).max(initial=0)) * FULL / (FULL - 1))
    whole = np.rint(down * (FULL / scale)).astype(np.int16)
    decoded = gsm(whole) if kind == "gsm" else table(kind)[whole.astype(np.int32) + 32768]
    out = resample(decoded.astype(np.float32) * np.float32(scale / FULL), CODEC_HZ, rate)
    return _to_length(out, samples.size)


def resample(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """(T,) -> (ceil(T to_hz / from_hz),) float32 by cutting or widening the spectrum; T itself at the same rate."""
    if from_hz == to_hz:
        return samples
    common = gcd(from_hz, to_hz)
    length = -(-samples.size * to_hz // from_hz)
    needed = samples.size + round(EDGE_S * from_hz)
    periods = scipy.fft.next_fast_len(-(-needed * common // from_hz), real=True)
    size, new_size = periods * (from_hz // common), periods * (to_hz // common)
    spectrum = scipy.fft.rfft(samples, size, workers=1)
    keep = min(size, new_size) // 2 + 1
    cut = np.zeros(new_size // 2 + 1, dtype=spectrum.dtype)
    cut[:keep] = spectrum[:keep]
    if min(size, new_size) % 2 == 0:
        cut[keep - 1] = 0  # half the lower rate is real in one spectrum and complex in the other
    out = scipy.fft.irfft(cut, new_size, overwrite_x=True, workers=1)[:length]
    return (out * np.float32(new_size / size)).astype(np.float32, copy=False)


@lru_cache(maxsize=2)
def table(kind: str) -> np.ndarray:
    """What G.711 makes of each 16-bit sample from -32768 to 32767: (65536,) int16.

    The values of the recommendation's tables (mu-law of 14 bits, A-law of 13), moved to 16 bits.
    """
    value = np.arange(-32768, 32768)
    sign = np.where(value < 0, -1, 1)
    if kind == "mulaw":
        # 14-bit magnitude, biased by 33: segments of 16 steps that double in size.
        biased = np.minimum(np.abs(value) >> 2, 8158) + 33
        shift = np.floor(np.log2(biased)).astype(int) - 4
        decoded = (((biased >> shift) << shift) + (1 << shift >> 1)) - 33
        return (sign * decoded * 4).astype(np.int16)
    # 13-bit values; negative ones by their complement, so that both halves have the same steps.
    magnitude = np.minimum(np.where(value < 0, ~value, value) >> 3, 4095)
    shift = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(int) - 4, 1)
    decoded = ((magnitude >> shift) << shift) + (1 << shift >> 1)
    return (sign * decoded * 8).astype(np.int16)


def gsm(samples: np.ndarray) -> np.ndarray:
    """`samples` (T,) int16 at 8 kHz through GSM 06.10 full rate: (T,) int16."""
    frames = np.pad(samples, (0, -samples.size % 320))
    stream = io.BytesIO()
    soundfile.write(stream, frames, CODEC_HZ, format="WAV", subtype="GSM610")
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="int16")
    return _to_length(decoded, samples.size)


def _to_length(samples: np.ndarray, length: int) -> np.ndarray:
    return samples[:length] if samples.size >= length else np.pad(samples, (0, length - samples.size))
