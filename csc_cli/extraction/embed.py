"""A data directory becomes vectors: one an utterance or one a talker of it, and one a speaker.

Legend: C streams, S segments, E dimensions, N frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from csc_cli.errors import ConfigError, CscError
from csc_cli.extraction.activity import Activity, activity, frame_energies
from csc_cli.extraction.batches import HOP_S
from csc_cli.extraction.jobs import Model, Numbered, Task, make_out, open_model, process, run_short
from csc_cli.extraction.long import process_windows
from csc_cli.extraction.network import read_out
from csc_cli.extraction.parts import Parts, digest, is_whole, report_failures, write_stamp
from csc_cli.extraction.recordings import Failure, Recording, overflow
from csc_cli.extraction.sources import true_sources
from csc_cli.extraction.stitch import crossfade
from csc_cli.extraction.vectors import Layout, write_vectors
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import write_map
from csc_cli.kaldi.vad_files import read_decisions
from csc_cli.nn.model import SpeakerModel

STAMP = "extract.json"


class Embedded(NamedTuple):
    """One recording's vectors."""

    vectors: np.ndarray  # (C, E) float32
    activity: Activity
    segments: np.ndarray  # (S, E) of the stream of most energy

    @property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.vectors).all() and np.isfinite(self.activity.energy_db).all())


@dataclass(frozen=True)
class EmbedJob:
    """What a process needs to embed a batch."""

    model: Model
    parts: Parts
    batch_seconds: float
    keep_segments: bool


def embed_data_dir(
    model_dir: str | Path,
    data_dir: str | Path,
    out_dir: str | Path,
    *,
    streams: Literal["best", "all"] = "best",
    enroll: Literal["mean", "attention"] = "mean",
    active_db: float = 15.0,
    batch_seconds: float = 60.0,
    resample: bool = True,
    sources: bool = False,
    vad: str | None = None,
    nj: int = 1,
    device: str = "auto",
) -> str:
    """Write vectors of the utterances and speakers of a data directory; the entry of `csc extract`.

    A rerun goes on where an interrupted one stopped, and does nothing where all is whole.

    Args:
        streams: the stream of most energy, or all that are active.
        enroll: a speaker's vector: the mean over its utterances' vectors, or the readout over all their segments.
        active_db: a stream is active if its energy is at most so much below its recording's.
        batch_seconds: seconds of audio that the network takes at a time.
        resample: whether recordings of another rate than the model's are converted or fail.
        sources: embed what each talker of a recording truly said (spk1.scp, ... of the data directory) in place of
            the recording: what a perfect separation would give.
        vad: rspecifier, or path of an scp or ark, of decisions on frames of 10 ms (vad.scp): only what they call
            voiced is embedded.

    Returns:
        A line about what was written.

    Raises:
        ConfigError, DataError: of the model, the device, the data directory.
        DataError: at the end, where some recordings failed; the others' vectors are written.
    """
    if sources:
        _refuse_with_sources(streams, vad)
    layout = Layout(streams, enroll, active_db)
    out = make_out(out_dir)
    data = DataDir.load(data_dir)
    talkers, data = true_sources(data) if sources else ({}, data)
    voiced = read_decisions(as_rspecifier(vad), list(data.by_id)) if vad is not None else None
    task = Task(open_model(model_dir, device), data, batch_seconds, resample, voiced)
    identity = digest(task.identity, layout.settings)
    if is_whole(out / STAMP, identity):
        return f"{out}: already whole; nothing to do"
    return _embed(out, task, layout, identity, talkers, nj)


def _refuse_with_sources(streams: str, vad: str | None) -> None:
    if streams == "all":
        raise ConfigError("--sources: each source is one talker; leave --streams all out")
    if vad is not None:
        raise ConfigError("--sources: the decisions are on recordings, not on sources; leave --vad out")


def _embed(out: Path, task: Task, layout: Layout, identity: str, talkers: Mapping[str, list[str]], nj: int) -> str:
    """Embed the batches that are not done, write the tables, then the stamp; returns a line about them.

    Args:
        talkers: utt2streams of true sources; empty where recordings are embedded.
    """
    parts = Parts(out, digest(task.identity, layout.enroll))
    job = EmbedJob(task.model, parts, task.batch_seconds, keep_segments=layout.enroll == "attention")
    batches, failures = task.batches(nj)
    process(embed_batch, job, batches, lambda item: parts.is_done(item[0]), nj, "extracting")
    (out / STAMP).unlink(missing_ok=True)
    written = write_vectors(out, task.data, parts, len(batches), layout, lambda x: read_out(task.model.load(), x))
    failures += written.failures
    if talkers:
        write_map(out / "utt2streams", talkers)
        written.files.append(out / "utt2streams")
    if written.files:
        write_stamp(out / STAMP, identity, written.files, len(failures), layout.settings)
    if not failures:
        parts.remove()
    report_failures(out, failures, len(task.data.utterances))
    return written.summary


def embed_batch(job: EmbedJob, item: Numbered) -> None:
    """Embed the recordings of a batch and keep the results as a part."""
    number, batch = item
    model = job.model.load()
    embedded: list[tuple[Recording, Embedded]] = []
    failures: list[Failure] = []
    if batch.is_long:
        try:
            recording = batch.recordings[0]
            embedded.append((recording, embed_long(model, recording, job.batch_seconds)))
        except CscError as error:
            failures.append(Failure(recording.id, str(error)))
    else:
        sound, failures = run_short(model, batch)
        for recording, samples, output in sound:
            rate = model.config.sample_rate
            streams, mixture = frame_energies(output.separated, rate), frame_energies(samples, rate)
            heard = activity(streams, mixture, recording.seconds)
            segments = output.segments[np.argmax(heard.energy_db)]
            embedded.append((recording, Embedded(output.vectors, heard, segments)))
    failures += [Failure(recording.id, overflow(recording)) for recording, result in embedded if not result.is_finite]
    job.parts.save(number, _arrays([pair for pair in embedded if pair[1].is_finite], job.keep_segments), failures)


def embed_long(model: SpeakerModel, recording: Recording, batch_seconds: float) -> Embedded:
    """Embed a recording of any length: each stream's query and attention are over the segments of all windows.

    Errors as `process_windows`.
    """
    hop = HOP_S * model.config.sample_rate
    segments: list[np.ndarray] = []
    streams: list[np.ndarray] = []
    mixture: list[np.ndarray] = []

    def pieces() -> Iterator[np.ndarray]:
        for window in process_windows(model, recording, batch_seconds):
            segments.append(window.segments)
            yield np.concatenate([window.separated, window.mixture[None]])

    for piece in crossfade(pieces(), hop):
        energies = frame_energies(piece, model.config.sample_rate)
        streams.append(energies[:-1])
        mixture.append(energies[-1])
    heard = activity(np.concatenate(streams, 1), np.concatenate(mixture), recording.seconds)
    joined = np.concatenate(segments, 1)  # (C, S, E)
    vectors = np.stack([read_out(model, stream) for stream in joined])
    return Embedded(vectors, heard, joined[np.argmax(heard.energy_db)])


def _arrays(embedded: list[tuple[Recording, Embedded]], keep_segments: bool) -> dict[str, np.ndarray]:
    """The arrays of a part: rows for its recordings; segments one after the other."""
    results = [result for _, result in embedded]
    arrays = {
        "ids": np.array([recording.id for recording, _ in embedded], dtype=np.str_),
        "vectors": np.array([result.vectors for result in results]),
        "energy_db": np.array([result.activity.energy_db for result in results]),
        "seconds": np.array([result.activity.seconds for result in results]),
    }
    if keep_segments:
        arrays["counts"] = np.array([len(result.segments) for result in results], np.int64)
        arrays["segments"] = np.concatenate([result.segments for result in results]) if results else np.zeros((0, 1))
    return arrays
