"""The recordings to be processed: their lengths from the headers, their samples at the model's rate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from csc_cli import dsp
from csc_cli.errors import AudioError, CscError
from csc_cli.extraction.cuts import Cut
from csc_cli.kaldi.audio import frames_of, read_audio, read_header
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.sources import place_of
from csc_cli.kaldi.specifiers import is_pipe


@dataclass(frozen=True, slots=True)
class Recording:
    """An utterance, with its own rate in Hz and its samples at that rate: those of `cut`, or all."""

    utterance: Utterance
    sample_rate: int
    samples: int
    cut: Cut | None = None

    @property
    def id(self) -> str:
        return self.utterance.id

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate

    def length(self, sample_rate: int) -> int:
        """Samples at `sample_rate`."""
        return dsp.resampled_length(self.samples, self.sample_rate, sample_rate)


@dataclass(frozen=True, slots=True)
class Failure:
    """A recording that could not be processed, and why."""

    id: str
    message: str


def probe(
    utterance: Utterance, sample_rate: int, resample: bool = True, voiced: Mapping[str, np.ndarray] | None = None
) -> Recording | Failure:
    """Rate and length from the header; a Failure where it cannot be read, or has another rate and may not.

    A pipe's output may have no length in its header, and is read. `voiced` has the decisions on its frames by its id.
    """
    try:
        rate, samples = _rate_and_length(utterance)
        if rate != sample_rate and not resample:
            message = f"is at {rate} Hz, the model at {sample_rate} Hz"
            raise AudioError(f"{place_of(utterance)}: {message}; resample it, or leave --no-resample out")
        if voiced is None:
            return Recording(utterance, rate, samples)
        return _cut(utterance, rate, samples, voiced[utterance.id])
    except CscError as error:
        return Failure(utterance.id, str(error))


def _rate_and_length(utterance: Utterance) -> tuple[int, int]:
    """Hz, and samples at that rate."""
    if is_pipe(utterance.recording):
        samples, rate = read_audio(utterance)
        return rate, len(samples)
    header = read_header(utterance)
    return header.sample_rate, frames_of(utterance, header)


def _cut(utterance: Utterance, sample_rate: int, samples: int, voiced: np.ndarray) -> Recording:
    try:
        cut = Cut.of(voiced, samples, sample_rate)
    except CscError as error:
        raise AudioError(f"utterance '{utterance.id}': {error}") from error
    return Recording(utterance, sample_rate, cut.kept, cut)


def probe_all(
    utterances: Sequence[Utterance], sample_rate: int, resample: bool = True, nj: int = 1,
    voiced: Mapping[str, np.ndarray] | None = None,
) -> tuple[list[Recording], list[Failure]]:  # fmt: skip
    """Probe all utterances, `nj` at a time."""
    function = partial(probe, sample_rate=sample_rate, resample=resample, voiced=voiced)
    with ThreadPoolExecutor(nj) as pool:
        probed = list(pool.map(function, utterances))
    failures = [item for item in probed if isinstance(item, Failure)]
    return [item for item in probed if isinstance(item, Recording)], failures


def read_whole(recording: Recording, sample_rate: int) -> np.ndarray:
    """The samples (T,) float32 at `sample_rate`.

    Raises:
        AudioError: as `read_audio`; the header's length does not hold; silence.
    """
    samples, rate = read_audio(recording.utterance)
    expected = recording.cut.samples if recording.cut else recording.samples
    if len(samples) != expected:
        message = f"has {len(samples)} samples, its header says {expected}"
        raise AudioError(f"{place_of(recording.utterance)}: {message}; write it again")
    if recording.cut:
        samples = recording.cut.apply(samples)
    refuse_silence(recording, float(samples.min()), float(samples.max()))
    return dsp.resample(samples, rate, sample_rate)


def refuse_silence(recording: Recording, lowest: float, highest: float) -> None:
    """Raises AudioError where all samples are equal, for the extremes `lowest` and `highest` of them."""
    if lowest == highest:
        message = f"is silent: all {recording.samples} samples are {lowest:g}"
        raise AudioError(f"{place_of(recording.utterance)}: {message}; leave it out")


def overflow(recording: Recording) -> str:
    """The message for a recording of which the network makes outputs that are not finite."""
    message = "the network's outputs are not finite; look at the level of its samples"
    return f"{place_of(recording.utterance)}: {message}"


def piece_reader(recording: Recording) -> Callable[[int, int], np.ndarray]:
    """A function that reads samples `start` to `stop`, at the recording's own rate.

    A file is opened at the place; a pipe cannot be, so its output is kept.
    """
    utterance, rate, cut = recording.utterance, recording.sample_rate, recording.cut
    if is_pipe(utterance.recording):
        samples, _ = read_audio(utterance)
        kept = cut.apply(samples) if cut else samples
        return lambda start, stop: kept[start:stop]

    def read(start: int, stop: int) -> np.ndarray:
        begin = round(utterance.start_s * rate)
        part = replace(utterance, start_s=(begin + start) / rate, end_s=(begin + stop) / rate)
        return read_audio(part)[0]

    if cut is None:
        return read
    return lambda start, stop: cut.read(read, start, stop)


def state_of(utterance: Utterance) -> list[str | int | float | None]:
    """What tells whether an utterance is the one of an earlier run: its names, place, file size and time."""
    try:
        status = os.stat(utterance.recording)
        state = [status.st_size, status.st_mtime_ns]
    except OSError:
        state = [-1, -1]
    span = [utterance.start_s, utterance.end_s, utterance.channel]
    return [utterance.id, utterance.speaker, utterance.recording, *span, *state]
