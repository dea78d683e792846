"""The tables that make a Kaldi data directory of a folder of mixtures, its plan and its checksums.

Written line by line from the journal: of a million mixtures no more than ids is ever held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from csc_cli.errors import DataError
from csc_cli.files import open_atomic, sha256
from csc_cli.kaldi.text import write_map
from csc_cli.mixtures.journal import PLAN, SKIPPED, SUMS, TABLES, Entry, entries, in_order, left_out
from csc_cli.mixtures.write import audio_name, audio_path


class Tables:
    """Files of lines, opened when they get their first line; whole or not at all when the block ends."""

    def __init__(self, folder: Path, first: tuple[str, ...] = ()) -> None:
        """`first` are opened at once, and appear last, the first of them last of all."""
        self.folder, self.first = folder, first
        self.streams: dict[str, IO[Any]] = {}

    def __enter__(self) -> Tables:
        with ExitStack() as self.stack:
            for name in self.first:
                self._stream(name)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)

    def line(self, name: str, key: str, value: str) -> None:
        """Add a line to the table `name`."""
        self._stream(name).write(f"{key} {value}\n" if value else f"{key}\n")

    def _stream(self, name: str) -> IO[Any]:
        if name not in self.streams:
            self.streams[name] = self.stack.enter_context(open_atomic(self.folder / name))
        return self.streams[name]


def write_tables(out: Path, ending: str | None, references: bool, own_speaker: bool) -> None:
    """Write utt2spks, utt2cond, utt2overlap and, where there is audio, the rest of a Kaldi data directory.

    Args:
        ending: of the audio files; None: there are none.
        references: name each source's audio in spk1.scp, spk2.scp, ... and noise1.scp.
        own_speaker: each recording is its own speaker in utt2spk, since it has several; otherwise it is the
            first talker.

    Raises:
        DataError: there is no mixture, or a name that a table cannot hold.
    """
    if next(entries(out), None) is None:
        raise DataError(f"{out}: no mixture is left; all have sources that cannot be used, see {out / SKIPPED}")
    if "\n" in str(out) or "\r" in str(out):
        raise DataError(f"{str(out)!r}: wav.scp cannot hold line breaks; write to another folder")
    spk2utt: dict[str, list[str]] = {}
    # wav.scp appears last, so that an interrupted run does not leave what passes for a data directory.
    with Tables(out, ("wav.scp", "utt2spk") if ending else ()) as tables:
        for entry in in_order(out):
            id, speakers = entry.id, entry.speakers
            tables.line("utt2spks", id, " ".join(speakers))
            if entry.record["condition"]:
                tables.line("utt2cond", id, entry.record["condition"])
            if entry.overlap is not None:
                tables.line("utt2overlap", id, f"{entry.overlap:.3f}")
            if ending is None:
                continue
            tables.line("utt2scale", id, f"{entry.scale:g}")
            _audio_lines(tables, out, entry, ending, references)
            if own_speaker or not speakers:
                tables.line("utt2spk", id, id)
                tables.line("spk2utt", id, id)
            else:
                tables.line("utt2spk", id, speakers[0])
                spk2utt.setdefault(speakers[0], []).append(id)
    if spk2utt:
        write_map(out / "spk2utt", spk2utt)


def _audio_lines(tables: Tables, out: Path, entry: Entry, ending: str, references: bool) -> None:
    names = {kind: audio_path(out, kind, entry.id, ending) for kind in entry.kinds}
    tables.line("wav.scp", entry.id, names["wav"])
    if references:
        # One talker alone is the mixture itself.
        sources = {kind: name for kind, name in names.items() if kind != "wav"} or {"spk1": names["wav"]}
        for kind, name in sources.items():
            tables.line(f"{kind}.scp", entry.id, name)


def write_skipped(out: Path) -> tuple[int, str]:
    """Write the list of the mixtures that were left out, if there is one; their number, and the first."""
    count, first = 0, ""
    with Tables(out) as tables:
        for line in left_out(out):
            id, _, message = line.partition(" ")
            tables.line(SKIPPED, id, message)
            count, first = count + 1, first or message
    return count, first


def write_plan(out: Path, ending: str | None) -> None:
    """Write the checksums of the folder's files, then mix.jsonl, which says that all is there."""
    digest = hashlib.sha256()
    with open_atomic(out / PLAN) as plan:
        for entry in entries(out):
            plan.write(entry.plan + "\n")
            digest.update(entry.plan.encode() + b"\n")
        with open_atomic(out / SUMS) as sums:
            for value, name in _sums(out, ending):
                sums.write(f"{value}  {name}\n")
            sums.write(f"{digest.hexdigest()}  {PLAN}\n")


def _sums(out: Path, ending: str | None) -> Iterator[tuple[str, str]]:
    if ending is not None:
        for entry in entries(out):
            for kind, digest in zip(entry.kinds, entry.digests, strict=True):
                yield digest, f"{kind}/{audio_name(entry.id, ending)}"
    for path in sorted(out.iterdir()):
        # The scp files name the folder: without them, the same mixtures have the same sums wherever they lie.
        if path.name in TABLES and path.suffix != ".scp":
            yield sha256(path), path.name
