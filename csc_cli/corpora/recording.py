"""What differs between two recordings of one synthetic speaker: microphone, line, room noise and level.

The distributions are ours: mild beside those of the mixtures, which come on top in training and in trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft

from csc_cli.mixtures.channel import response
from csc_cli.mixtures.manifest import Channel

_EQUALISER_BANDS = 8


@dataclass(frozen=True)
class Recording:
    """How one utterance is recorded."""

    channel: Channel
    snr_db: float
    noise_slope_db: float  # an octave: 0 is white, -3 is pink
    peak_db: float  # of full scale
    lead_s: float
    trail_s: float


def draw_recording(rng: np.random.Generator) -> Recording:
    """Random conditions, all from `rng`."""
    equaliser_db = tuple(rng.uniform(-5.0, 5.0, _EQUALISER_BANDS).tolist())
    return Recording(
        channel=Channel(equaliser_db, float(rng.uniform(40.0, 200.0)), float(rng.uniform(3000.0, 3900.0))),
        snr_db=float(rng.uniform(20.0, 40.0)),
        noise_slope_db=float(rng.uniform(-6.0, 0.0)),
        peak_db=float(rng.uniform(-20.0, -2.0)),
        lead_s=float(rng.uniform(0.05, 0.3)),
        trail_s=float(rng.uniform(0.05, 0.3)),
    )


def record(speech: np.ndarray, from_hz: int, to_hz: int, recording: Recording, rng: np.random.Generator) -> np.ndarray:
    """The speech (T,) as it arrives, at the lower rate `to_hz`: with noise, through the channel, at its level.

    All of it is one product in the frequency domain, where a lower sampling rate is a cut of the spectrum;
    lead and trail keep the wrap-around silent.

    Returns:
        (T to_hz / from_hz + lead and trail,) float64 within -1 to 1.
    """
    common = int(np.gcd(from_hz, to_hz))
    lead, trail = (round(seconds * from_hz) for seconds in (recording.lead_s, recording.trail_s))
    length = lead + len(speech) + trail
    periods = scipy.fft.next_fast_len(-(-length * common // from_hz))
    padded = np.zeros(periods * (from_hz // common))
    padded[lead : lead + len(speech)] = speech
    size = periods * (to_hz // common)
    spectrum = scipy.fft.rfft(padded)[: size // 2 + 1]
    hz = np.arange(len(spectrum)) * (to_hz / size)
    spectrum[hz >= to_hz / 2] = 0.0  # half the rate is real in one spectrum and complex in the other
    spectrum += _noise(spectrum, hz, recording, rng)
    samples = scipy.fft.irfft(spectrum * response(recording.channel, size, to_hz), size)
    samples = samples[: length * to_hz // from_hz]
    return samples * (10 ** (recording.peak_db / 20) / np.abs(samples).max())


def _noise(speech: np.ndarray, hz: np.ndarray, recording: Recording, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=len(hz)) + 1j * rng.normal(size=len(hz))
    noise *= 10 ** (recording.noise_slope_db / 20 * np.log2(np.maximum(hz, 50.0) / 1000.0)) * (hz > 0)
    power = np.sum(np.abs(speech) ** 2) / np.sum(np.abs(noise) ** 2)
    return noise * np.sqrt(power) * 10 ** (-recording.snr_db / 20)
