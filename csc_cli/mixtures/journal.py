"""A folder in the making: its stamp, and the journal of the mixtures whose files are whole.

A line of the journal is `SCALE[,OVERLAP] DIGESTS PLAN`: the factor of the files, the overlap where it is
measured, the files' SHA-256 (`-` without audio), and the mixture's line of mix.jsonl. A mixture that was left out
has a line `! ID MESSAGE`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from csc_cli.errors import DataError
from csc_cli.files import sha256, write_json
from csc_cli.mixtures.checksums import SUMS, listed
from csc_cli.mixtures.write import audio_path, kinds
from csc_cli.progress import note

STAMP = "simulate.json"
PLAN = "mix.jsonl"
PART = "mixtures.part"
SKIPPED = "skipped"
TABLES = ("wav.scp", "utt2spk", "spk2utt", "utt2spks", "utt2cond", "utt2overlap", "utt2scale")
# The older name of the journal too.
PRODUCTS = (PART, PLAN, "mix.jsonl.part", SUMS, SKIPPED, *TABLES)
AUDIO = ("wav", "spk[0-9]*", "noise1")
LEFT_OUT = "! "


@dataclass(frozen=True)
class Entry:
    """A mixture that was made."""

    scale: float
    overlap: float | None  # of speech, where it was measured
    digests: tuple[str, ...]  # of its files, in the order of `kinds`; () without audio
    plan: str  # its line of mix.jsonl

    @classmethod
    def parse(cls, line: str) -> Entry:
        """The entry of a line that `line` wrote."""
        figures, digests, plan = line.rstrip("\n").split(" ", 2)
        scale, _, overlap = figures.partition(",")
        return cls(
            float(scale), float(overlap) if overlap else None, () if digests == "-" else tuple(digests.split(",")), plan
        )

    def line(self) -> str:
        """The line of the journal, without its end."""
        figures = repr(self.scale) if self.overlap is None else f"{self.scale!r},{self.overlap:.6f}"
        return f"{figures} {','.join(self.digests) or '-'} {self.plan}"

    @cached_property
    def record(self) -> dict[str, Any]:
        """The mixture's keys and values; `from_line` has checked them before."""
        return json.loads(self.plan)

    @property
    def id(self) -> str:
        return self.record["id"]

    @property
    def speakers(self) -> list[str]:
        return [source["speaker"] for source in self.record["sources"]]

    @property
    def kinds(self) -> tuple[str, ...]:
        talkers = len(self.record["sources"])
        noise = self.record["noise"] is not None or bool(self.record.get("codec"))
        return kinds(talkers, noise, plain=talkers == 1 and not noise)


def begin(out: Path, stamp: dict[str, Any], ending: str | None) -> bool:
    """Make the folder ready for mixtures; False if it is whole already.

    Args:
        ending: of the audio files; None: there are none.

    Raises:
        DataError: the folder holds a data directory that was not made here.
    """
    found = _read_stamp(out / STAMP)
    if found == stamp and _whole(out, ending):
        (out / PART).unlink(missing_ok=True)
        left = f"; mixtures that were left out are in {out / SKIPPED}" if (out / SKIPPED).exists() else ""
        note(f"{out}: whole already; left as it is{left}")
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


def resume(out: Path, ending: str | None, skip_bad: bool) -> int:
    """The number of lines of the journal that hold: whole, of files that are there, and not of a mixture that was
    left out unless that is asked for. What follows them is cut off."""
    size = count = 0
    with open(out / PART, "rb") as stream:
        for raw in stream:
            if not raw.endswith(b"\n"):
                break
            line = raw.decode("utf-8")
            if line.startswith(LEFT_OUT):
                if not skip_bad:
                    break
            elif ending is not None and not _is_there(out, Entry.parse(line), ending):
                break
            size += len(raw)
            count += 1
    os.truncate(out / PART, size)
    return count


def entries(out: Path) -> Iterator[Entry]:
    """The mixtures that were made, in the order in which they were asked for."""
    with open(out / PART, encoding="utf-8") as stream:
        yield from (Entry.parse(line) for line in stream if not line.startswith(LEFT_OUT))


def in_order(out: Path) -> Iterator[Entry]:
    """The mixtures that were made, in C order of their ids; where the journal is in that order, none is held."""
    if _ascends(out):
        yield from entries(out)
        return
    places: list[tuple[str, int]] = []
    with open(out / PART, "rb") as stream:
        at = 0
        for raw in stream:
            line = raw.decode("utf-8")
            if not line.startswith(LEFT_OUT):
                places.append((Entry.parse(line).id, at))
            at += len(raw)
        for _, place in sorted(places):
            stream.seek(place)
            yield Entry.parse(stream.readline().decode("utf-8"))


def left_out(out: Path) -> Iterator[str]:
    """`ID MESSAGE` of each mixture that was left out."""
    with open(out / PART, encoding="utf-8") as stream:
        yield from (line.removeprefix(LEFT_OUT).rstrip("\n") for line in stream if line.startswith(LEFT_OUT))


def _ascends(out: Path) -> bool:
    last = ""
    for entry in entries(out):
        if entry.id <= last:
            return False
        last = entry.id
    return True


def _read_stamp(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def _whole(out: Path, ending: str | None) -> bool:
    if not (out / PLAN).exists() or not (out / ("utt2spks" if ending is None else "wav.scp")).exists():
        return False
    if listed(out, PLAN) not in (None, sha256(out / PLAN)):
        return False
    if ending is None:
        return True
    try:
        with open(out / PLAN, encoding="utf-8") as stream:
            made = (Entry(1.0, None, (), line) for line in stream)
            return all(_is_there(out, entry, ending) for entry in made)
    except (ValueError, KeyError, TypeError):  # damaged since
        return False


def _is_there(out: Path, entry: Entry, ending: str) -> bool:
    return all(os.path.exists(audio_path(out, kind, entry.id, ending)) for kind in entry.kinds)


def _audio_folders(out: Path) -> list[Path]:
    names = [path for pattern in AUDIO for path in out.glob(pattern)]
    return [path for path in names if path.is_dir()]


def _clear(out: Path) -> None:
    # The journal and the plan go first and the stamp last, so that nobody takes what is left for a part or a whole.
    for name in PRODUCTS:
        (out / name).unlink(missing_ok=True)
    for folder in _audio_folders(out):
        shutil.rmtree(folder)
    for path in [*out.glob("spk[0-9]*.scp"), *out.glob("noise1.scp"), out / STAMP]:
        path.unlink(missing_ok=True)
