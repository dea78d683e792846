"""A data directory as its tables: what subset, split, copy and combine take and give, entry by entry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.faults import raise_first
from csc_cli.kaldi.layout import AUDIO, PLAIN, base_folder, is_of_data_dir, keys_of, resolve
from csc_cli.kaldi.specifiers import is_pipe, split_offset, split_range, unwritable
from csc_cli.kaldi.structure import read_structure, refuse_no_folder
from csc_cli.kaldi.text import without_gc
from csc_cli.progress import note

BACKUP = ".backup"
# Files that are written last, so that an interrupted write does not pass for a data directory.
LAST = ("utt2spk", "wav.scp")


@dataclass(frozen=True)
class Tables:
    """The files of a data directory: `of["text"]["utt1"]` is a line's value; spk2utt follows from utt2spk.

    `plain` has the files that are no tables (frame_shift, stm, glm, ctm), as they are. Names of
    files are such that they open from the working folder.
    """

    path: Path
    of: Mapping[str, Mapping[str, str]]
    plain: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def utt2spk(self) -> Mapping[str, str]:
        """Speaker by utterance, in C order of the utterances."""
        return self.of.get("utt2spk", {})

    @cached_property
    def spk2utt(self) -> dict[str, list[str]]:
        """Utterances by speaker, both in C order."""
        table: dict[str, list[str]] = {}
        for utterance, speaker in self.utt2spk.items():
            table.setdefault(speaker, []).append(utterance)
        return dict(sorted(table.items()))

    def recordings(self, utterances: Iterable[str]) -> set[str]:
        """The recordings that hold these utterances."""
        if "segments" not in self.of:
            return set(utterances)
        segments = self.of["segments"]
        return {segments[utterance].split(None, 1)[0] for utterance in utterances}

    @without_gc()
    def select(self, utterances: Iterable[str]) -> Tables:
        """Only these utterances, with what the tables say of them, their speakers and their recordings."""
        wanted = set(utterances)
        recordings = self.recordings(wanted)
        keys = {
            "utterance": wanted,
            "speaker": set(map(self.utt2spk.__getitem__, wanted)),
            "recording": recordings,
        }
        kept = {}
        for name, table in self.of.items():
            inside = keys["recording" if name == "wav.scp" else keys_of(name)]
            every = table.keys() <= inside
            kept[name] = table if every else {key: value for key, value in table.items() if key in inside}
        plain = {name: _of_recordings(name, data, recordings) for name, data in self.plain.items()}
        return Tables(self.path, {name: table for name, table in kept.items() if table}, plain)

    def write(self, out: str | Path) -> None:
        """Write the files to the folder `out`, sorted as with LC_ALL=C, each whole or not at all.

        Files of an earlier data directory there that are not written now go to `out/.backup`.

        Raises:
            DataError: there are no utterances; a file cannot be written.
        """
        out = Path(out)
        if not self.utt2spk:
            raise DataError(f"{out}: there are no utterances to write; look at what was selected")
        _set_aside(out, {*self.of, *self.plain, "spk2utt"})
        for name in LAST:
            (out / name).unlink(missing_ok=True)
        for name in (*self.plain, "spk2utt", *sorted(self.of, key=lambda name: (name in LAST, name))):
            write_whole(out / name, self.content(name))

    def content(self, name: str) -> bytes:
        """A file's bytes; a table has a line a key, in C order, key and value apart by one space."""
        if name in self.plain:
            return self.plain[name]
        if name == "spk2utt":
            rows = [f"{speaker} {' '.join(utterances)}\n" for speaker, utterances in self.spk2utt.items()]
        else:
            # Code points ascend as their UTF-8 does.
            table = self.of[name]
            rows = [f"{key} {table[key]}\n" if table[key] else f"{key}\n" for key in sorted(table)]
        return "".join(rows).encode()

    def summary(self, source: Tables) -> str:
        """What was taken of `source`, in words."""
        speakers = f"{len(self.spk2utt)} of {len(source.spk2utt)} speakers"
        return f"{len(self.utt2spk)} of {len(source.utt2spk)} utterances, {speakers}"


@without_gc()
def read_tables(path: str | Path) -> Tables:
    """Read the data directory `path`; wav.scp may be absent, as in a directory of features.

    Raises:
        DataError: the first of the faults in or between its files, and how many more.
    """
    path = Path(path)
    refuse_no_folder(path)
    structure = read_structure(path, need_wav=False)
    raise_first(structure.faults)
    base = base_folder(path, structure.wav.values)
    of = {table.path.name: table.as_dict() for table in (structure.utt2spk, *structure.extra.values())}
    if structure.segments is not None:
        of["segments"] = structure.segments.as_dict()
    if structure.wav.keys:
        of["wav.scp"] = structure.wav.as_dict()
    for name, table in of.items():
        if name == "wav.scp" or AUDIO.fullmatch(name):
            of[name] = table if base is None else {key: resolve(value, base) for key, value in table.items()}
        elif name.endswith(".scp"):
            of[name] = _located(table, path)
    return Tables(path, of, read_plain(path))


def read_plain(path: Path) -> dict[str, bytes]:
    """The files of a data directory that are no tables."""
    return {name: (path / name).read_bytes() for name in PLAIN if (path / name).is_file()}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises DataError where that cannot be."""
    try:
        with open_atomic(path, "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise unwritable(path, error) from error


def refuse_own_folder(out: str | Path, *sources: str | Path) -> None:
    """Raises DataError where `out` is one of the folders that are read."""
    for source in sources:
        if os.path.realpath(out) == os.path.realpath(source):
            raise DataError(f"{out}: is the data directory that is read; give another folder to write to")


def _located(table: dict[str, str], folder: Path) -> dict[str, str]:
    """Entries of an scp of archives; relative names that open only from the scp's own folder are completed."""
    if all(value.startswith("/") for value in table.values()):
        return table
    prefix: dict[str, str] = {}
    located = {}
    for key, value in table.items():
        name = value if is_pipe(value) else split_offset(split_range(value)[0])[0]
        if name not in prefix:
            inside = not is_pipe(name) and not os.path.exists(name) and (folder / name).exists()
            prefix[name] = f"{folder.absolute()}/" if inside and not name.startswith("/") else ""
        located[key] = prefix[name] + value
    return located


def _of_recordings(name: str, data: bytes, recordings: set[str]) -> bytes:
    """The lines of an stm or ctm about these recordings, and its comments; other files as they are."""
    if name not in ("stm", "ctm"):
        return data
    keys = {key.encode() for key in recordings}

    def belongs(line: bytes) -> bool:
        return line.startswith(b";;") or not keys.isdisjoint(line.split(None, 1)[:1])

    return b"".join(line for line in data.splitlines(keepends=True) if belongs(line))


def _set_aside(out: Path, written: set[str]) -> None:
    """Move what an earlier run left in `out`, and this one does not replace, to its .backup."""
    stale = [file for file in (out.iterdir() if out.is_dir() else ()) if is_of_data_dir(file.name)]
    for file in sorted(stale):
        if file.name not in written and file.is_file():
            (out / BACKUP).mkdir(exist_ok=True)
            os.replace(file, out / BACKUP / file.name)
            note(f"{file}: is not of the new data; moved to {out / BACKUP}")
