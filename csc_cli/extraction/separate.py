"""A data directory becomes one wav a talker, of the recording's length and rate.

Legend: C streams, T samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli import dsp
from csc_cli.errors import AudioError, ConfigError, CscError, DataError
from csc_cli.extraction.batches import HOP_S, Batch
from csc_cli.extraction.jobs import Model, Numbered, Task, make_out, open_model, process, run_short
from csc_cli.extraction.long import process_windows
from csc_cli.extraction.parts import Parts, digest, is_whole, report_failures, write_stamp
from csc_cli.extraction.recordings import Failure, Recording
from csc_cli.extraction.stitch import crossfade
from csc_cli.extraction.wavs import StreamWriter, file_name
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import write_map
from csc_cli.nn.model import SpeakerModel

STAMP = "separate.json"


@dataclass(frozen=True)
class SeparateJob:
    """What a process needs to separate a batch."""

    model: Model
    parts: Parts
    out: Path
    batch_seconds: float
    unrounded: bool


def separate_data_dir(
    model_dir: str | Path,
    data_dir: str | Path,
    out_dir: str | Path,
    *,
    batch_seconds: float = 60.0,
    nj: int = 1,
    device: str = "auto",
    unrounded: bool = False,
) -> str:
    """Write OUT/spk1/UTT.wav, OUT/spk2/UTT.wav, ... and spk1.scp, ...; the entry of `csc separate`.

    A rerun goes on where an interrupted one stopped, and does nothing where all is whole. With `unrounded` the
    wavs hold 32-bit floats in place of 16-bit samples.

    Returns:
        A line about what was written.

    Raises:
        ConfigError, DataError: of the model, the device, the data directory; a full disk.
        DataError: at the end, where some recordings failed; the others are written.
    """
    out = make_out(out_dir)
    task = Task(open_model(model_dir, device), DataDir.load(data_dir), batch_seconds)
    identity = digest(task.identity, "separate", *(["unrounded"] if unrounded else []))
    config = task.model.load().config
    if not config.separates:
        raise ConfigError(f"{model_dir}: an embedder alone, which separates nothing; give a model with an encoder")
    streams = config.streams
    if is_whole(out / STAMP, identity):
        return f"{out}: already whole; nothing to do"
    job = SeparateJob(task.model, Parts(out, identity), out, batch_seconds, unrounded)
    batches, failures = task.batches(nj)

    def done(item: Numbered) -> bool:
        ids = [recording.id for recording in item[1].recordings]
        return job.parts.is_done(item[0]) and all(path.is_file() for utt in ids for path in wavs(out, utt, streams))

    process(separate_batch, job, batches, done, nj, "separating")
    (out / STAMP).unlink(missing_ok=True)
    failures += _failures(job.parts, len(batches))
    failed = {failure.id for failure in failures}
    sound = [utterance.id for utterance in task.data.utterances if utterance.id not in failed]
    if sound:
        files = _write_scps(out, sound, streams)
        files += [path for utterance in sound for path in wavs(out, utterance, streams)]
        write_stamp(out / STAMP, identity, files, len(failures), {})
    if not failures:
        job.parts.remove()
    report_failures(out, failures, len(task.data.utterances))
    return f"{len(sound)} recordings, {streams} streams each -> {out}/spk1.scp"


def wavs(out: Path, utterance: str, streams: int) -> list[Path]:
    """The files of an utterance's streams."""
    return [out / f"spk{stream + 1}" / file_name(utterance) for stream in range(streams)]


def _write_scps(out: Path, utterances: list[str], streams: int) -> list[Path]:
    scps = [out / f"spk{stream + 1}.scp" for stream in range(streams)]
    for stream, scp in enumerate(scps):
        write_map(scp, {utterance: str(wavs(out, utterance, streams)[stream]) for utterance in utterances})
    return scps


def _failures(parts: Parts, count: int) -> list[Failure]:
    failures: list[Failure] = []
    for number in range(count):
        part = parts.load(number)
        if part is None:
            raise CscError(f"{parts.folder}: file {number} is gone or damaged; run the command again")
        failures += part[1]
    return failures


def separate_batch(job: SeparateJob, item: Numbered) -> None:
    """Write the streams of a batch's recordings, and keep a part that says so."""
    number, batch = item
    model = job.model.load()
    failures = _separate_long(job, model, batch) if batch.is_long else _separate_short(job, model, batch)
    job.parts.save(number, {}, failures)


def _separate_short(job: SeparateJob, model: SpeakerModel, batch: Batch) -> list[Failure]:
    sound, failures = run_short(model, batch)
    for recording, _, output in sound:
        with _writer(job, model, recording) as writer:
            writer.write(at_own_rate(output.separated, recording, recording.samples, model.config.sample_rate))
    return failures


def _separate_long(job: SeparateJob, model: SpeakerModel, batch: Batch) -> list[Failure]:
    recording = batch.recordings[0]
    try:
        with _writer(job, model, recording) as writer:
            for piece in separate_long(model, recording, job.batch_seconds):
                writer.write(piece)
    except AudioError as error:
        return [Failure(recording.id, str(error))]
    return []


def separate_long(model: SpeakerModel, recording: Recording, batch_seconds: float) -> Iterator[np.ndarray]:
    """The streams of a recording of any length at its own rate, in pieces (C, T). Errors as `process_windows`."""
    windows = process_windows(model, recording, batch_seconds)
    rate = model.config.sample_rate
    pieces = (at_own_rate(window.separated, recording, window.samples, rate) for window in windows)
    yield from crossfade(pieces, HOP_S * recording.sample_rate)


def at_own_rate(streams: np.ndarray, recording: Recording, samples: int, sample_rate: int) -> np.ndarray:
    """(C, T) at the model's `sample_rate` -> (C, samples) at the recording's; what lay above half of the lower
    of the two rates stays away."""
    back = dsp.resample(streams, sample_rate, recording.sample_rate)[:, :samples]
    if back.shape[1] != samples:
        raise DataError(f"utterance '{recording.id}': {back.shape[1]} of {samples} samples came back")
    return back


def _writer(job: SeparateJob, model: SpeakerModel, recording: Recording) -> StreamWriter:
    paths = wavs(job.out, recording.id, model.config.streams)
    return StreamWriter(paths, recording.sample_rate, job.unrounded)
