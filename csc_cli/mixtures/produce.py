"""Many mixtures into a folder: in order, on several processes, going on after an interruption.

A folder in the making holds its stamp (which settings and data it is made from) and a journal, a line for each
mixture whose files are whole. When all are done come the tables, the checksums and, last of all, `mix.jsonl`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import IO, Any

from csc_cli.errors import CscError, DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures import journal, tables
from csc_cli.mixtures.bulk import Fault, Plan, plan_lines
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.journal import LEFT_OUT, PART, PLAN, Entry
from csc_cli.mixtures.manifest import Mixture, to_line
from csc_cli.mixtures.overlap import speech_overlap
from csc_cli.mixtures.render import Rendered, render
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import Surroundings
from csc_cli.mixtures.write import AudioFormat, Written, write_rendered
from csc_cli.parallel import batched, ordered_map
from csc_cli.progress import track

__all__ = ["PLAN", "Job", "Outcome", "Product", "data_digest", "jobs_of", "produce"]

JOBS_AT_A_TIME = 8
"""That a process takes: passing them on one by one would cost a tenth of their rendering."""


@dataclass(frozen=True)
class Job:
    """A mixture to be made: `where` names its line in messages, `utterances` hold its sources' audio.

    `vad` says where their speech is; None: csc's own detector does. `surroundings` hold noises and rooms.
    """

    where: str
    plan: Draw | Mixture
    utterances: tuple[Utterance, ...]
    vad: VadTable | None = None
    surroundings: Surroundings = Surroundings()


@dataclass(frozen=True)
class Product:
    """What is made of each job: audio or the plan alone, and the form of the tables (see `tables.write_tables`)."""

    audio: bool = True
    references: bool = True
    own_speaker: bool = True
    overlap: bool = False  # measure it, for utt2overlap
    form: AudioFormat = AudioFormat()
    resample: bool = True  # recordings of another rate, rather than refuse them
    skip_bad: bool = False  # leave out mixtures whose sources cannot be used

    @property
    def ending(self) -> str | None:
        """Of the audio files; None: there are none."""
        return self.form.ending if self.audio else None

    def stamp(self) -> dict[str, Any]:
        """What the stamp says of it. `skip_bad` is not in it: a run that met a bad source is gone on with."""
        overlap = {"overlap": True} if self.overlap else {}
        form = self.form.stamp() if self.audio else {}
        return {"audio": self.audio, **overlap, **form, **({} if self.resample else {"resample": False})}


@dataclass(frozen=True)
class Outcome:
    """Whether anything was to do; how many mixtures were left out, and why the first of them was."""

    fresh: bool
    skipped: int = 0
    first: str = ""

    def told(self, out: Path) -> str:
        """A clause for people about what was left out; nothing where all is there."""
        if not self.skipped:
            return ""
        return f"; {self.skipped} left out, listed in {out / journal.SKIPPED}, first: {self.first}"


def produce(
    out: Path,
    stamp: dict[str, Any],
    jobs: Callable[[], Iterable[Job]],
    total: int,
    product: Product,
    nj: int = 1,
    plan: Plan | None = None,
) -> Outcome:
    """Make the mixtures of `jobs()` in the folder `out`, the same bytes for any `nj`.

    Args:
        stamp: all that the result depends on, beside `product`. A folder of the same stamp is left alone if it is
            whole and gone on with if not; one of another stamp is made anew.
        total: the number of jobs.
        plan: the same mixtures as a plan, for a product without audio: drawn without passing jobs on.

    Raises:
        DataError: `out` holds a data directory that was not made here, is being written by another run, or the
            disk is full.
        CscError: of a job, with its `where`. What was made stays and is not made again.
    """
    try:
        if not journal.begin(out, stamp | product.stamp(), product.ending):
            return Outcome(False)
        with _locked(out) as stream:
            done = journal.resume(out, product.ending, product.skip_bad)
            if plan is not None and not product.audio and not product.overlap:
                work = _planned(plan_lines(plan, done, total, nj), out, product)
            else:
                batches = batched(islice(jobs(), done, None), 1 if nj == 1 else JOBS_AT_A_TIME)
                made = ordered_map(partial(_make_all, out=out, product=product), batches, nj)
                work = (line for lines in made for line in lines)
            for line in track(work, f"mixtures in {out}", total - done):
                stream.write(line + "\n")
                if product.audio:
                    stream.flush()
        skipped, first = tables.write_skipped(out)
        tables.write_tables(out, product.ending, product.references, product.own_speaker)
        tables.write_plan(out, product.ending)
        (out / PART).unlink()
    except OSError as error:
        raise unwritable(out, error) from error
    return Outcome(True, skipped, first)


def jobs_of(
    out: Path, draws: Callable[[], Iterable[Draw]], surroundings: Surroundings, vad: VadTable | None = None
) -> Iterator[Job]:
    """The jobs of drawn mixtures, each named by its line of `out`/mix.jsonl and with no more than what it needs."""
    for line, draw in enumerate(draws(), start=1):
        decided = vad.subset(draw.needed) if vad else None
        yield Job(f"{out / PLAN}:{line}", draw, draw.needed, decided, surroundings)


def data_digest(data: DataDir) -> str:
    """A digest of the data directory's tables and of the sizes and times of its recordings."""
    digest = sha256()
    for utterance in data.utterances:
        try:
            status = os.stat(utterance.recording)
            file = (status.st_size, status.st_mtime_ns)
        except OSError:  # a pipe, or a fault that will be named when it is read
            file = (0, 0)
        digest.update(repr((utterance, file)).encode())
    return digest.hexdigest()


@contextmanager
def _locked(out: Path) -> Iterator[IO[str]]:
    """The journal to be added to, by this run alone."""
    with open(out / PART, "a", encoding="utf-8", newline="\n") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{out}: another run is writing there; wait for its end, or give another folder") from None
        except OSError:  # a file system without locks
            pass
        yield stream


def _planned(lines: Iterable[str | Fault], out: Path, product: Product) -> Iterator[str]:
    """Lines of the journal of a plan without audio."""
    for line in lines:
        if isinstance(line, str):
            yield Entry(1.0, None, (), line).line()
        elif product.skip_bad and isinstance(line.error, DataError):
            yield f"{LEFT_OUT}{line.id} {' '.join(str(line.error).split())}"
        else:
            raise type(line.error)(f"{out / PLAN}:{line.line}: {line.error}") from line.error


def _make_all(jobs: tuple[Job, ...], out: Path, product: Product) -> list[str]:
    return [_make(job, out, product) for job in jobs]


def _make(job: Job, out: Path, product: Product) -> str:
    """Plan, render and write one mixture; its line of the journal."""
    try:
        store = AudioStore(
            job.utterances, _rate(job), vad=job.vad, resample=product.resample, surroundings=job.surroundings
        )
        try:
            mixture, rendered, overlap = _render(job, store, product)
        except DataError as error:
            if not product.skip_bad:
                raise
            return f"{LEFT_OUT}{job.plan.id} {' '.join(str(error).split())}"
        written = Written(1.0, ()) if rendered is None else write_rendered(mixture, rendered, out, product.form)
    except CscError as error:
        raise type(error)(f"{job.where}: {error}") from error
    return Entry(written.scale, overlap, written.digests, to_line(mixture)).line()


def _render(job: Job, store: AudioStore, product: Product) -> tuple[Mixture, Rendered | None, float | None]:
    mixture = job.plan.plan(store) if isinstance(job.plan, Draw) else job.plan
    rendered = render(mixture, store) if product.audio else None
    return mixture, rendered, speech_overlap(mixture, store) if product.overlap else None


def _rate(job: Job) -> int:
    return job.plan.config.sample_rate if isinstance(job.plan, Draw) else job.plan.sample_rate
