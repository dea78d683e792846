"""Where there is speech: an energy detector, deterministic and blind to the recording's scale.

Levels, signal-to-interference ratios and overlaps of this package are of *active* speech, because a third
or more of a read recording is silence. The detector (ours):

1. energy of each 10 ms frame, averaged over 5 frames (50 ms);
2. `loud` is the 95th percentile and `quiet` the 10th, both in dB, over the frames within 60 dB of the
   loudest one (so that zeros around a recording change nothing);
3. a frame is active if its energy is above max(loud - 30 dB, min(quiet + 8 dB, loud - 15 dB));
4. stretches shorter than 80 ms are clicks, and not active, unless there are no longer ones.

The first term is the range of speech, the second lifts the threshold over steady background noise.
"""

from __future__ import annotations

import numpy as np

FRAME_S = 0.01
SMOOTH_FRAMES = 5
RANGE_DB = 30.0
ABOVE_NOISE_DB = 8.0
LEAST_RANGE_DB = 15.0
SILENCE_DB = 60.0
CLICK_FRAMES = 8


def frame_length(rate: int) -> int:
    """Samples a frame at `rate` Hz."""
    return round(rate * FRAME_S)


def activity(samples: np.ndarray, rate: int) -> np.ndarray:
    """Which 10 ms frames hold speech.

    Args:
        samples: (T,) samples at `rate` Hz, any scale.

    Returns:
        (ceil(T / frame),) bool; nowhere true if all samples are zero.
    """
    return _active(_frame_power(samples, frame_length(rate)))


def active_level_db(samples: np.ndarray, rate: int) -> float:
    """Root mean square over the active frames of `samples` (T,), in dB of full scale; -inf in silence."""
    if samples.size == 0:
        return -np.inf
    frame = frame_length(rate)
    power = _frame_power(samples, frame)
    active = _active(power)
    count = np.count_nonzero(active) * frame
    if active.size and active[-1]:
        count -= active.size * frame - samples.size  # the last frame may be a part of one
    if not count:
        return -np.inf
    return float(10 * np.log10(power[active].sum() * frame / count))


def _frame_power(samples: np.ndarray, frame: int) -> np.ndarray:
    """Mean square of each frame (a part of a frame at the end counts as filled up with zeros), float64."""
    whole = samples.size // frame
    head = samples[: whole * frame].reshape(whole, frame)
    power = np.einsum("ij,ij->i", head, head, dtype=np.float64)
    tail = samples[whole * frame :]
    if tail.size:
        power = np.append(power, np.square(tail, dtype=np.float64).sum())
    return power / frame


def _active(power: np.ndarray) -> np.ndarray:
    if power.size == 0 or not power.any():
        return np.zeros(power.shape, dtype=bool)
    sums = np.concatenate(([0.0], np.cumsum(np.pad(power, SMOOTH_FRAMES // 2))))
    # A running sum leaves rounding noise, also below zero, where there is silence.
    smooth = np.maximum(sums[SMOOTH_FRAMES:] - sums[:-SMOOTH_FRAMES], 1e-13 * sums[-1]) / SMOOTH_FRAMES
    level = 10 * np.log10(smooth)
    heard = np.sort(level[level > level.max() - SILENCE_DB])
    loud, quiet = heard[int(0.95 * (heard.size - 1))], heard[int(0.10 * (heard.size - 1))]
    threshold = max(loud - RANGE_DB, min(quiet + ABOVE_NOISE_DB, loud - LEAST_RANGE_DB))
    return _without_clicks(level > threshold)


def _without_clicks(active: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    short = ends - begins < CLICK_FRAMES
    if short.any() and not short.all():
        for begin, end in zip(begins[short], ends[short], strict=True):
            active[begin:end] = False
    return active
