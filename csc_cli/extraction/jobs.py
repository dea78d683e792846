"""What extraction and separation share: a model, a data directory, batches, and the run over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from csc_cli import __version__, progress
from csc_cli.errors import CscError, DataError, some
from csc_cli.extraction.batches import Batch, plan
from csc_cli.extraction.network import Output, cached_model, run
from csc_cli.extraction.parts import digest
from csc_cli.extraction.recordings import Failure, Recording, overflow, probe_all, read_whole, state_of
from csc_cli.files import sha256
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.nn.model import SETTINGS, WEIGHTS, SpeakerModel, load_model, pick_device
from csc_cli.parallel import ordered_map

Numbered = tuple[int, Batch]
Job = TypeVar("Job")


@dataclass(frozen=True)
class Model:
    """A model directory on a device, loaded once a process; travels to other processes by name."""

    directory: Path
    device: str
    identity: str

    def load(self) -> SpeakerModel:
        return cached_model(self.directory, self.device, self.identity)


def open_model(directory: str | Path, device: str) -> Model:
    """Check that the model can be loaded, and the device is there. Errors as `load_model` and `pick_device`."""
    directory, place = Path(directory), str(pick_device(device))
    load_model(directory)
    return Model(directory, place, digest(*(sha256(directory / name) for name in (SETTINGS, WEIGHTS))))


def make_out(out: str | Path) -> Path:
    """The folder OUT, made where it is not there.

    Raises:
        DataError: it cannot be made, or Kaldi's tables cannot name files in it.
    """
    out = Path(out)
    if "," in str(out):
        raise DataError(f"{out}: Kaldi's names of tables divide at commas; choose a folder without one")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from error
    return out


@dataclass(frozen=True)
class Task:
    """A data directory to be put through a model."""

    model: Model
    data: DataDir
    batch_seconds: float
    resample: bool = True
    voiced: Mapping[str, np.ndarray] | None = None
    """Decisions on the frames of each utterance, by which its speech is cut out."""

    @cached_property
    def identity(self) -> str:
        """A checksum of all that the network's outputs depend on."""
        states = [state_of(utterance) for utterance in self.data.utterances]
        if self.voiced is not None:
            decisions = (self.voiced[utterance.id] for utterance in self.data.utterances)
            states = [[*state, len(x), np.packbits(x).tobytes().hex()] for state, x in zip(states, decisions)]
        # Other devices round otherwise; the number of processes does not matter.
        kind = self.model.device.partition(":")[0]
        return digest(__version__, self.model.identity, states, self.batch_seconds, self.resample, kind)

    def batches(self, nj: int) -> tuple[list[Batch], list[Failure]]:
        """The batches, and the recordings whose header cannot be read. Notes those shorter than one window."""
        config = self.model.load().config
        recordings, failures = probe_all(self.data.utterances, config.sample_rate, self.resample, nj, self.voiced)
        short = [item.id for item in recordings if item.length(config.sample_rate) < config.window]
        if short:
            window_ms = 1000 * config.window / config.sample_rate
            progress.note(f"shorter than one window ({window_ms:g} ms), filled up with zeros: {some(short)}")
        return plan(recordings, config.sample_rate, self.batch_seconds), failures


def process(
    function: Callable[[Job, Numbered], None], job: Job, batches: list[Batch], done: Callable[[Numbered], bool],
    nj: int, description: str,
) -> None:  # fmt: skip
    """Run `function(job, batch)` on the batches that are not done, in `nj` processes."""
    left = [item for item in enumerate(batches) if not done(item)]
    if len(left) < len(batches):
        progress.note(f"going on: {len(batches) - len(left)} of {len(batches)} batches are done")
    for _ in progress.track(ordered_map(partial(function, job), left, nj), description, total=len(left)):
        pass


def run_short(model: SpeakerModel, batch: Batch) -> tuple[list[tuple[Recording, np.ndarray, Output]], list[Failure]]:
    """Recordings of a batch with their samples (T,) at the model's rate and the network's outputs; what failed."""
    read: list[np.ndarray] = []
    failures: list[Failure] = []
    for recording in batch.recordings:
        try:
            read.append(read_whole(recording, model.config.sample_rate))
        except CscError as error:
            failures.append(Failure(recording.id, str(error)))
            # Its row stays, empty, so that the bytes of the others do not depend on it.
            read.append(np.zeros(0, np.float32))
    sound = []
    for recording, samples, output in zip(batch.recordings, read, run(model, read, batch.length), strict=True):
        if not len(samples):
            continue
        if np.isfinite(output.vectors).all() and np.isfinite(output.separated).all():
            sound.append((recording, samples, output))
        else:
            failures.append(Failure(recording.id, overflow(recording)))
    return sound, failures
