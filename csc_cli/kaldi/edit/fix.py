"""Mending a data directory: what is sound in every table stays, the rest is told and kept in .backup."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from csc_cli.errors import DataError, at
from csc_cli.files import atomic_path
from csc_cli.kaldi.audio_checks import audio_faults
from csc_cli.kaldi.checks import Asked, speaker_faults
from csc_cli.kaldi.contents import value_faults
from csc_cli.kaldi.edit.complete import Dropped, complete
from csc_cli.kaldi.edit.tables import BACKUP, Tables, read_plain, write_whole
from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import CORE, is_of_data_dir
from csc_cli.kaldi.structure import Structure, pipe_faults, read_structure, refuse_no_folder
from csc_cli.kaldi.text import Table, parse, without_gc

MOST = 20
"""So many lines of one file are told; all that is dropped stands in .backup/dropped."""


@dataclass
class Fixed:
    """What was done to a data directory; its text is for people."""

    path: Path
    unsound: list[Fault] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    counts: str = ""
    left: list[Fault] = field(default_factory=list)

    def __str__(self) -> str:
        told: dict[Path, int] = {}
        lines = []
        for fault in self.unsound:
            told[fault.path] = told.get(fault.path, 0) + 1
            if told[fault.path] <= MOST:
                lines.append(at(fault.path, fault.line, fault.message))
        lines += [f"{path}: {count - MOST} more lines like these" for path, count in told.items() if count > MOST]
        lines += [f"{self.path}/{drop}" for drop in self.dropped]
        files = f"changed {', '.join(self.changed)}; old files are in {self.path / BACKUP}"
        return "\n".join([*lines, f"{self.path}: {self.counts}; {files if self.changed else 'nothing to change'}"])


@without_gc()
def fix_data_dir(
    path: str | Path,
    asked: Asked | None = None,
    utt_extra_files: Sequence[str] = (),
    spk_extra_files: Sequence[str] = (),
) -> Fixed:
    """Leave in the data directory `path` what is sound in all its tables, sorted; returns what was done.

    Lines that are damaged, or whose value is not what it must be, go; then utterances that a table
    lacks (see `complete`); spk2utt is made of utt2spk. Files that change are copied to .backup first.
    Of further tables by utterance or speaker, named by the user, the entries of what is left stay.

    Raises:
        DataError: no utt2spk (or spk2utt to make it of); nothing sound remains. Nothing is written then.
    """
    path, asked = Path(path), asked or Asked()
    refuse_no_folder(path)
    structure = read_structure(path, need_wav=False)
    _refuse_unreadable(structure)
    faults = structure.unsound + pipe_faults(structure)
    for table in structure.tables():
        faults += value_faults(table, non_print=asked.non_print)
    if asked.audio:
        faults += audio_faults(structure, asked.read_audio, asked.nj)
    data = Tables(path, _sound(structure, faults), read_plain(path))
    whole, dropped = complete(data)
    if not whole.utt2spk:
        reasons = [str(drop) for drop in dropped] + [at(f.path.name, f.line, f.message) for f in faults[:1]]
        raise DataError(f"{path}: no utterance is sound in every table, nothing was changed ({'; '.join(reasons)})")
    extra = {name: parse(path / name, in_order=False, values=False) for name in (*utt_extra_files, *spk_extra_files)}
    whole = _with_extra(whole, extra, spk_extra_files)
    parse_faults = [fault for table in (*structure.tables(), *extra.values()) for fault in table.faults]
    fixed = Fixed(path, parse_faults + faults, dropped, counts=f"kept {whole.summary(data)}")
    fixed.changed = _write(path, whole, _dropped_lines(fixed.unsound, dropped))
    if "wav.scp" not in data.of and "feats.scp" not in data.of:
        fault = Fault(path / "wav.scp", None, "is missing", "write it: lines 'UTTERANCE FILE'")
        fixed.left.append(fault)
    if asked.spk_sort:
        keys, values = list(whole.utt2spk), list(whole.utt2spk.values())
        fixed.left += speaker_faults(Table(path / "utt2spk", keys, values, range(1, len(keys) + 1), []))
    return fixed


def _refuse_unreadable(structure: Structure) -> None:
    for table in structure.tables():
        for fault in table.faults:
            if fault.message.startswith("cannot be read") and (table is not structure.utt2spk or not structure.spk2utt):
                raise DataError(str(fault))


def _sound(structure: Structure, faults: Sequence[Fault]) -> dict[str, Mapping[str, str]]:
    """The tables without their unsound lines; utt2spk in order."""
    bad: dict[str, set[int | None]] = {}
    for fault in faults:
        bad.setdefault(fault.path.name, set()).add(fault.line)
    of: dict[str, Mapping[str, str]] = {}
    for table in structure.tables():
        name, unsound = table.path.name, bad.get(table.path.name, set())
        rows = zip(table.keys, table.values, table.lines, strict=True)
        # An empty file says nothing and is set aside; a table of which no line is sound lacks every utterance.
        empty = table.path.exists() and not table.path.stat().st_size
        if name == "spk2utt" or (empty and name not in CORE) or not table.path.exists():
            continue
        of[name] = {key: value for key, value, line in rows if line not in unsound} if unsound else table.as_dict()
    utt2spk = of.get("utt2spk") or _utt2spk(structure.spk2utt)
    return {**of, "utt2spk": {key: utt2spk[key] for key in sorted(utt2spk)}}


def _utt2spk(spk2utt: Table | None) -> dict[str, str]:
    """utt2spk made of spk2utt, without utterances that have two speakers."""
    speakers: dict[str, set[str]] = {}
    for speaker, utterances in spk2utt.as_dict().items() if spk2utt is not None else ():
        for utterance in utterances.split():
            speakers.setdefault(utterance, set()).add(speaker)
    return {utterance: min(own) for utterance, own in speakers.items() if len(own) == 1}


def _with_extra(data: Tables, extra: Mapping[str, Table], of_speakers: Sequence[str]) -> Tables:
    """`data` with what further tables say of its utterances and speakers."""
    of = dict(data.of)
    for name, table in extra.items():
        inside = data.spk2utt if name in of_speakers else data.utt2spk
        if table.keys and name not in of:
            of[name] = {key: value for key, value in table.as_dict().items() if key in inside}
    return replace(data, of=of)


def _dropped_lines(unsound: Sequence[Fault], dropped: Sequence[Dropped]) -> str:
    """All that is gone: damaged lines, and each utterance, speaker or recording with the table that lacks it."""
    lines = [at(fault.path.name, fault.line, fault.message) for fault in unsound]
    lines += [f"{drop.file}: lacks {drop.what} {key}" for drop in dropped for key in drop.keys]
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, data: Tables, dropped: str) -> list[str]:
    """Write the files that change, each copied to .backup before; returns their names."""
    names = [*data.plain, "spk2utt", *sorted(data.of)]
    there = {file.name for file in path.iterdir() if file.is_file() and is_of_data_dir(file.name)}
    changed: list[str] = []

    def keep(name: str) -> None:
        if not changed:
            write_whole(path / BACKUP / "dropped", dropped.encode())
        changed.append(name)
        if (path / name).exists():
            with atomic_path(path / BACKUP / name) as copy:
                shutil.copy2(path / name, copy)

    for name in names:
        content = data.content(name)
        if not _holds(path / name, content):
            keep(name)
            write_whole(path / name, content)
    for name in sorted(there.difference(names)):
        keep(name)
        (path / name).unlink()
    return changed


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
