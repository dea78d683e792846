"""Which recordings are processed together: a pure function of their lengths and the settings.

A batch is padded to its bucket's fixed length, so neither the order of the input nor the number of
processes changes a byte of the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from csc_cli.errors import ConfigError
from csc_cli.extraction.recordings import Recording

WHOLE_S = 60.0
"""Longer recordings are processed in windows, so that memory does not grow with their length."""
WINDOW_S = 20
HOP_S = 10
LEAST_S = 0.25
STEPS = 8  # buckets an octave: at most 9 % padding


@dataclass(frozen=True, slots=True)
class Batch:
    """Recordings that are padded to `length` samples at the model's rate, or one long recording in windows."""

    recordings: tuple[Recording, ...]
    length: int

    @property
    def is_long(self) -> bool:
        return self.recordings[0].seconds > WHOLE_S


def bucket_length(samples: int, sample_rate: int) -> int:
    """The least of the fixed lengths LEAST_S 2^(n / STEPS) that holds `samples`.

    >>> [bucket_length(n, 8000) for n in (1, 2000, 2001, 16000)]
    [2000, 2000, 2181, 16000]
    """
    step = max(0, math.floor(STEPS * math.log2(max(samples, 1) / (LEAST_S * sample_rate))))
    while (length := math.floor(LEAST_S * sample_rate * 2 ** (step / STEPS))) < samples:
        step += 1
    return length


def plan(recordings: Iterable[Recording], sample_rate: int, batch_seconds: float) -> list[Batch]:
    """Batches of at most `batch_seconds` seconds of padded audio, or of one recording, the longest first.

    Args:
        sample_rate: of the model, in Hz.

    Raises:
        ConfigError: `batch_seconds` is not positive.
    """
    if not batch_seconds > 0:
        raise ConfigError(f"--batch-seconds {batch_seconds:g}: must be positive")
    batches: list[Batch] = []
    buckets: dict[int, list[Recording]] = {}
    for recording in sorted(recordings, key=lambda item: (-item.length(sample_rate), item.id)):
        if recording.seconds > WHOLE_S:
            batches.append(Batch((recording,), WINDOW_S * sample_rate))
        else:
            buckets.setdefault(bucket_length(recording.length(sample_rate), sample_rate), []).append(recording)
    for length, members in buckets.items():
        rows = rows_of(length / sample_rate, batch_seconds)
        batches += [Batch(tuple(members[i : i + rows]), length) for i in range(0, len(members), rows)]
    return batches


def rows_of(seconds: float, batch_seconds: float) -> int:
    """Rows of `seconds` seconds each in a batch of at most `batch_seconds`; at least one."""
    return max(1, int(batch_seconds / seconds))
