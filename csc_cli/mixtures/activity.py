"""Where there is speech: an energy detector, deterministic and blind to the recording's scale.

Levels, signal-to-interference ratios and overlaps of this package are of *active* speech, because a third
or more of a read recording is silence. The detector (ours):

1. energy of each 10 ms frame, averaged over 5 frames (50 ms);
2. `loud`: three quarters of the sum of all frames' amplitudes lie in frames that are no louder. Silence
   has no weight in it, and a click little;
3. `quiet`: the 10th percentile between the first and the last frame that is above loud - 75 dB, so that
   zeros around a recording change nothing;
4. a frame is active if its energy is above max(loud - 29 dB, min(quiet + 8 dB, loud - 15 dB)).

The 29 dB are the range of speech; `quiet` lifts the threshold over steady background noise. 16-bit rounding
changes next to nothing.
"""

from __future__ import annotations

import numpy as np

FRAME_S = 0.01
SMOOTH_FRAMES = 5
LOUD_SHARE = 0.75
QUIET_SHARE = 0.1
RANGE_DB = 29.0
ABOVE_NOISE_DB = 8.0
LEAST_RANGE_DB = 15.0
ZEROS_DB = 75.0
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


def active_range(active: np.ndarray) -> tuple[int, int]:
    """(first, end) of the speech in frames; stretches shorter than 80 ms at the ends are clicks and left out.

    Args:
        active: (frames,) bool, true somewhere. Where all stretches are so short, they are the speech.
    """
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= CLICK_FRAMES
    if long.any():
        begins, ends = begins[long], ends[long]
    return int(begins[0]), int(ends[-1])


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
    order = np.sort(level)
    amplitudes = np.cumsum(10 ** (order / 20))
    loud = order[np.searchsorted(amplitudes, LOUD_SHARE * amplitudes[-1])]
    heard = np.flatnonzero(level > loud - ZEROS_DB)
    # Sorted already if no frame is left out, as is usual.
    inside = np.sort(level[heard[0] : heard[-1] + 1]) if heard.size < level.size else order
    quiet = inside[int(QUIET_SHARE * (inside.size - 1))]
    threshold = max(loud - RANGE_DB, min(quiet + ABOVE_NOISE_DB, loud - LEAST_RANGE_DB))
    return level > threshold
