"""Many mixtures into a folder: in order, on several processes, going on after an interruption.

A folder in the making holds its stamp (which settings and data it is made from) and `mix.jsonl.part`, a line
for each mixture whose files are whole. When all are done come the tables and, last of all, `mix.jsonl`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from csc_cli.errors import CscError, DataError
from csc_cli.files import write_json
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures import write
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.manifest import Mixture, from_line, read_mixtures, to_line, write_mixtures
from csc_cli.mixtures.overlap import speech_overlap
from csc_cli.mixtures.render import render
from csc_cli.mixtures.store import AudioStore
from csc_cli.parallel import ordered_map
from csc_cli.progress import note, track

STAMP = "simulate.json"
PLAN = "mix.jsonl"
PART = "mix.jsonl.part"
PRODUCTS = ("wav.scp", "utt2spk", "spk2utt", "utt2spks", "utt2cond", "utt2overlap", "utt2scale", PLAN, PART)


@dataclass(frozen=True)
class Job:
    """A mixture to be made: `where` names its line in messages, `utterances` hold its sources' audio.

    `vad` says where their speech is; None: csc's own detector does.
    """

    where: str
    plan: Draw | Mixture
    utterances: tuple[Utterance, ...]
    vad: VadTable | None = None


@dataclass(frozen=True)
class Product:
    """What is made of each job: audio or the plan alone, and the form of the tables (see `write.write_tables`)."""

    audio: bool = True
    references: bool = True
    own_speaker: bool = True
    overlap: bool = False  # measure it, for utt2overlap


def produce(
    out: Path,
    stamp: dict[str, Any],
    jobs: Callable[[], Iterable[Job]],
    total: int,
    product: Product,
    nj: int = 1,
) -> bool:
    """Make the mixtures of `jobs()` in the folder `out`, the same bytes for any `nj`.

    Args:
        stamp: all that the result depends on. A folder of the same stamp is left alone if it is whole and
            gone on with if not; one of another stamp is made anew.
        total: the number of jobs.

    Returns:
        False if the folder was whole.

    Raises:
        DataError: `out` holds a data directory that was not made here.
        CscError: of a job, with its `where`. What was made stays and is not made again.
    """
    stamp = stamp | {"audio": product.audio} | ({"overlap": True} if product.overlap else {})
    if not _begin(out, stamp):
        return False
    done = _done(out / PART)
    rest = islice(jobs(), done, None)
    with open(out / PART, "a", encoding="utf-8", newline="\n") as journal:
        work = ordered_map(partial(_make, out=out if product.audio else None, overlap=product.overlap), rest, nj)
        for line in track(work, f"mixtures in {out}", total - done):
            journal.write(line + "\n")
            journal.flush()
    write.write_tables(
        out, _journal(out / PART), audio=product.audio, references=product.references, own_speaker=product.own_speaker
    )
    write_mixtures(out / PLAN, (made.mixture for made in _journal(out / PART)))
    (out / PART).unlink()
    return True


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


def _make(job: Job, out: Path | None, overlap: bool) -> str:
    """Plan, render and write one mixture; its line of the journal."""
    try:
        store = AudioStore(job.utterances, _rate(job), vad=job.vad)
        mixture = job.plan.plan(store) if isinstance(job.plan, Draw) else job.plan
        scale = 1.0 if out is None else write.write_rendered(mixture, render(mixture, store), out)
        measured = f",{speech_overlap(mixture, store):.6f}" if overlap else ""
    except CscError as error:
        raise type(error)(f"{job.where}: {error}") from error
    return f"{scale!r}{measured} {to_line(mixture)}"


def _rate(job: Job) -> int:
    return job.plan.config.sample_rate if isinstance(job.plan, Draw) else job.plan.sample_rate


def _begin(out: Path, stamp: dict[str, Any]) -> bool:
    """Make the folder ready; False if it is whole already."""
    found = _read_stamp(out / STAMP)
    if found == stamp and _whole(out, stamp["audio"]):
        (out / PART).unlink(missing_ok=True)
        note(f"{out}: whole already; left as it is")
        return False
    if found is None and any((out / name).exists() for name in PRODUCTS):
        raise DataError(f"{out}: holds a data directory that was not made by this command; give another folder")
    if found != stamp or not (out / PART).exists():
        if found is not None:
            note(f"{out}: made from other settings or data, or files are missing; making it anew")
        _clear(out)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / STAMP, stamp)
        (out / PART).touch()
    # What a killed run was writing.
    for folder in (out, *_audio_folders(out)):
        for path in folder.glob(".tmp-*"):
            path.unlink()
    return True


def _read_stamp(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def _whole(out: Path, audio: bool) -> bool:
    if not (out / PLAN).exists():
        return False
    if not audio:
        return (out / "utt2spks").exists()
    if not (out / "wav.scp").exists():
        return False
    present = {folder.name: {file.name for file in folder.iterdir()} for folder in _audio_folders(out)}
    return all(
        write.audio_path(out, kind, mixture.id).name in present.get(kind, ())
        for mixture in read_mixtures(out / PLAN)
        for kind in ("wav", *write.parts(mixture))
    )


def _audio_folders(out: Path) -> list[Path]:
    names = [path for pattern in ("wav", "spk[0-9]*", "noise1") for path in out.glob(pattern)]
    return [path for path in names if path.is_dir()]


def _clear(out: Path) -> None:
    for folder in _audio_folders(out):
        shutil.rmtree(folder)
    for path in [*map(out.joinpath, PRODUCTS), *out.glob("spk[0-9]*.scp"), *out.glob("noise1.scp"), out / STAMP]:
        path.unlink(missing_ok=True)


def _done(part: Path) -> int:
    """The number of whole lines in the journal; what an interruption left of one more is cut off."""
    size = count = 0
    with open(part, "rb") as stream:
        for line in stream:
            if line.endswith(b"\n"):
                size += len(line)
                count += 1
    os.truncate(part, size)
    return count


def _journal(part: Path) -> Iterator[write.Made]:
    with open(part, encoding="utf-8") as stream:
        for line in stream:
            figures, _, text = line.partition(" ")
            yield write.Made(from_line(text), *map(float, figures.split(",")))
