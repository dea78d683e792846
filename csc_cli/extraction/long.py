"""A recording through the network in windows, whose streams come out in one order.

Legend: C streams, T samples of a window, S segments, E dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from csc_cli import dsp
from csc_cli.errors import AudioError
from csc_cli.extraction.batches import WINDOW_S, rows_of
from csc_cli.extraction.network import run
from csc_cli.extraction.recordings import Recording, overflow, piece_reader, refuse_silence
from csc_cli.extraction.stitch import StreamOrder, windows
from csc_cli.nn.model import SpeakerModel


class Window(NamedTuple):
    """One window, at the model's rate, its streams in the order of the recording's."""

    mixture: np.ndarray  # (T,)
    separated: np.ndarray  # (C, T)
    segments: np.ndarray  # (C, S, E); S is 0 where the window is silent
    samples: int  # of the window at the recording's own rate


def process_windows(model: SpeakerModel, recording: Recording, batch_seconds: float) -> Iterator[Window]:
    """The windows of a recording, `batch_seconds` of audio at a time.

    Raises:
        AudioError: as `read_audio`; outputs that are not finite; silence, once all windows are read.
    """
    rate = model.config.sample_rate
    read, order = piece_reader(recording), StreamOrder()
    lowest, highest = np.inf, -np.inf
    spans = windows(recording.samples, recording.sample_rate)
    rows = rows_of(WINDOW_S, batch_seconds)
    for first in range(0, len(spans), rows):
        own = [read(start, stop) for start, stop in spans[first : first + rows]]
        lowest, highest = min(lowest, *(x.min() for x in own)), max(highest, *(x.max() for x in own))
        mixtures = [dsp.resample(samples, recording.sample_rate, rate) for samples in own]
        for samples, mixture, output in zip(own, mixtures, run(model, mixtures, WINDOW_S * rate), strict=True):
            if not np.isfinite(output.vectors).all():
                raise AudioError(overflow(recording))
            taken = order.place(output.vectors, np.square(output.separated, dtype=np.float64).sum(1))
            segments = output.segments[taken] if mixture.any() else output.segments[:, :0]
            yield Window(mixture, output.separated[taken], segments, len(samples))
    refuse_silence(recording, lowest, highest)
