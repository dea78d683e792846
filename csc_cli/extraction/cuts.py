"""The speech of a recording, cut out by decisions on frames: what Kaldi's `select-voiced-frames` does to features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from csc_cli.errors import AudioError
from csc_cli.kaldi.vad import speech_ranges

MOST_BETWEEN = 1 << 18
"""Samples between two stretches, beyond which each is read by itself."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The stretches that are kept of a recording of `samples` samples, one after the other; at its own rate."""

    samples: int
    packed: bytes  # of ranges (K, 2) int64: hashable, and small beside a million recordings

    @classmethod
    def of(cls, voiced: np.ndarray, samples: int, sample_rate: int) -> Cut:
        """What decisions (T,) on frames of 10 ms keep.

        Raises:
            DataError: as `speech_ranges`. AudioError: nothing is kept.
        """
        ranges = speech_ranges(voiced, samples, sample_rate)
        if not len(ranges):
            raise AudioError("has no voiced frame by its decisions; leave it out, or lower the threshold of csc vad")
        return cls(samples, ranges.astype(np.int64).tobytes())

    @property
    def ranges(self) -> np.ndarray:
        """First and end (K, 2) of each stretch."""
        return np.frombuffer(self.packed, np.int64).reshape(-1, 2)

    @property
    def kept(self) -> int:
        """Samples that are kept."""
        return int(np.diff(self.ranges).sum())

    def spans(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Where in the recording the kept samples `start` to `stop` lie."""
        ranges = self.ranges
        sizes = ranges[:, 1] - ranges[:, 0]
        before = np.cumsum(sizes) - sizes
        begin = ranges[:, 0] + np.clip(start - before, 0, sizes)
        end = ranges[:, 0] + np.clip(stop - before, 0, sizes)
        return [(a, b) for a, b in zip(begin.tolist(), end.tolist()) if a < b]

    def read(self, read: Callable[[int, int], np.ndarray], start: int, stop: int) -> np.ndarray:
        """The kept samples `start` to `stop`, from a function that reads samples of the recording.

        What lies between two stretches is read with them unless it is long: opening the file costs more.
        """
        pieces: list[np.ndarray] = []
        spans = self.spans(start, stop)
        while spans:
            near = next((i for i, (a, b) in enumerate(pairwise(spans), 1) if b[0] - a[1] > MOST_BETWEEN), len(spans))
            first = spans[0][0]
            samples = read(first, spans[near - 1][1])
            pieces += [samples[a - first : b - first] for a, b in spans[:near]]
            spans = spans[near:]
        return np.concatenate(pieces)

    def apply(self, samples: np.ndarray) -> np.ndarray:
        """The kept of all samples (T,)."""
        return np.concatenate([samples[first:end] for first, end in self.ranges.tolist()])
