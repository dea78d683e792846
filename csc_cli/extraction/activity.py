"""How much of a recording each stream is: its energy, and for how long it is heard.

Legend: C streams, T samples, N frames of FRAME_S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAME_S = 0.02
RANGE_DB = 30.0
"""A stream is heard in a frame where it has more than the recording's loud level less this."""
LOUD = 0.95  # the loud level is this quantile of the recording's frames
SILENT_DB = -200.0


class Activity(NamedTuple):
    """Of each stream: (C,) energy in dB of the recording's, (C,) seconds in which it is heard."""

    energy_db: np.ndarray
    seconds: np.ndarray


def frame_energies(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Sums of squares (..., N) float64 over the frames of (..., T) samples; the last frame may be a part of one."""
    frame = max(1, round(FRAME_S * sample_rate))
    tail = -samples.shape[-1] % frame
    padded = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(0, tail)])
    return np.square(padded, dtype=np.float64).reshape(*samples.shape[:-1], padded.shape[-1] // frame, frame).sum(-1)


def activity(streams: np.ndarray, recording: np.ndarray, seconds: float) -> Activity:
    """Energy and seconds of streams (C, N), from `frame_energies` of theirs and of the recording's (N,).

    Args:
        seconds: length of the recording.
    """
    total = recording.sum()
    ratio = streams.sum(1) / total if total > 0 else np.zeros(len(streams))
    energy_db = 10 * np.log10(np.maximum(ratio, 10 ** (SILENT_DB / 10)))
    time = (streams > _threshold(recording)).sum(1) * FRAME_S
    return Activity(energy_db, np.minimum(time, seconds))


def heard(energies: np.ndarray) -> np.ndarray:
    """In which frames each signal is heard by itself: energies (..., N) of its frames -> (..., N) bool."""
    return energies > _threshold(energies)[..., None]


def _threshold(energies: np.ndarray) -> np.ndarray:
    """RANGE_DB below the loud level of (..., N) frames: (...)."""
    return np.quantile(energies, LOUD, axis=-1) * 10 ** (-RANGE_DB / 10)


def active_streams(energy_db: np.ndarray, least_db: float) -> list[int]:
    """The streams (C,) of at least `least_db`; the one of most energy always."""
    return sorted({int(np.argmax(energy_db)), *np.flatnonzero(energy_db >= least_db).tolist()})
