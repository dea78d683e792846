"""The files that make up a Kaldi data directory, read together, with every fault in and between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import AUDIO, CORE, EXTRA
from csc_cli.kaldi.pipes import refused
from csc_cli.kaldi.specifiers import is_pipe
from csc_cli.kaldi.text import Table, parse

CHANNELS = {"A": 0, "B": 1}


@dataclass(frozen=True, slots=True)
class Segment:
    """Where an utterance lies in its recording, seconds; `end_s` None means: to the end."""

    recording: str
    start_s: float
    end_s: float | None
    channel: int | None


@dataclass(slots=True)
class Structure:
    """The tables of a data directory. They can be relied on only if there are no faults.

    `unsound` has those of the faults that lie in one line by itself (its table has the line nevertheless).
    """

    path: Path
    wav: Table
    utt2spk: Table
    spk2utt: Table | None
    segments: Table | None
    extra: dict[str, Table]
    segment: dict[str, Segment] = field(default_factory=dict)
    channel: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unsound: list[Fault] = field(default_factory=list)

    def tables(self) -> list[Table]:
        """All of them, the core ones first."""
        core = (self.wav, self.segments, self.utt2spk, self.spk2utt)
        return [table for table in core if table is not None] + list(self.extra.values())

    def channel_of(self, segment: Segment) -> int:
        """The channel of a segment, from 0: its own, else that of its recording, else the first."""
        return self.channel.get(segment.recording, 0) if segment.channel is None else segment.channel


def read_structure(path: str | Path, *, need_wav: bool = True) -> Structure:
    """Read all tables of the data directory `path` and compare them; no audio is touched.

    Without `need_wav`, wav.scp may be absent (a directory of features), and its table is then empty.
    """
    path = Path(path)
    tables = _parse_all(path, need_wav)
    extra = {name: table for name, table in tables.items() if name not in CORE}
    structure = Structure(
        path, tables["wav.scp"], tables["utt2spk"], tables.get("spk2utt"), tables.get("segments"), extra
    )
    for table in structure.tables():
        structure.faults += table.faults
    structure.unsound += _check_one_speaker(structure) + _read_segments(structure) + _read_channels(structure)
    structure.faults += structure.unsound
    _compare_segments(structure)
    _compare_utterances(structure)
    _compare_speakers(structure)
    return structure


def _parse_all(path: Path, need_wav: bool) -> dict[str, Table]:
    """All tables by file name, the core ones first."""
    there = {file.name for file in (path.iterdir() if path.is_dir() else ()) if file.is_file()}
    names = [*CORE, *sorted(name for name in there if EXTRA.fullmatch(name) and name not in CORE)]
    tables: dict[str, Table] = {}
    for name in names:
        file = path / name
        needed = name == "utt2spk" or (name == "wav.scp" and (need_wav or "segments" in there))
        if needed or name in there:
            # Only the core tables are read in order; of the others `checks` reports it.
            table = parse(file, in_order=name in CORE, values=name != "text")
            # Most tables have the same keys, and a million of them take 80 MB.
            table.keys = next((other.keys for other in tables.values() if other.keys == table.keys), table.keys)
            tables[name] = table
    tables.setdefault("wav.scp", Table(path / "wav.scp", [], [], [], []))
    return tables


def refuse_no_folder(path: Path) -> None:
    """Raises DataError where a data directory is no folder."""
    if not path.is_dir():
        raise DataError(f"{path}: no such folder; give a Kaldi data directory (wav.scp, utt2spk, spk2utt)")


def missing(table: Table, keys: Iterable[str], what: str, source: Table) -> list[Fault]:
    """A fault for each key of `source` that `table` lacks; placed where the key stands in `source`.

    None where `table` has no keys at all: that is one fault of its own, already told.
    """
    absent = set(keys).difference(table.keys)
    if not absent or not table.keys:
        return []
    line_of = source.line_of()
    remedy = f"add it to {table.path.name} or remove it here"
    return [
        Fault(source.path, line_of.get(key), f"{what} '{key}' is not in {table.path.name}", remedy)
        for key in sorted(absent)
    ]


def pipe_faults(structure: Structure) -> list[Fault]:
    """The recordings that are commands, where commands are refused (`--no-pipes`)."""
    if not refused():
        return []
    tables = [structure.wav, *(table for name, table in structure.extra.items() if AUDIO.fullmatch(name))]
    return [
        Fault(table.path, line, f"'{key}' is a command, and --no-pipes refuses them", "write its output to a file")
        for table in tables
        for key, value, line in zip(table.keys, table.values, table.lines, strict=True)
        if is_pipe(value)
    ]


def _check_one_speaker(structure: Structure) -> list[Fault]:
    table, faults = structure.utt2spk, []
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True):
        if len(value.split()) > 1:
            message = f"'{key}' has more than one speaker: '{value}'"
            faults.append(Fault(table.path, line, message, "write 'UTTERANCE SPEAKER', ids without spaces"))
    return faults


def _read_segments(structure: Structure) -> list[Fault]:
    table, faults = structure.segments, []
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True) if table else ():
        segment = _segment(value)
        if segment is None:
            remedy = "write 'UTTERANCE RECORDING START END' with 0 <= START < END in seconds"
            faults.append(Fault(structure.path / "segments", line, f"'{key} {value}' is no segment", remedy))
        else:
            structure.segment[key] = segment
    return faults


def _compare_segments(structure: Structure) -> None:
    table, recordings = structure.segments, set(structure.wav.keys)
    if table is None or not recordings:
        return
    unknown = [key for key, segment in structure.segment.items() if segment.recording not in recordings]
    line_of = table.line_of() if unknown else {}
    for key in unknown:
        message = f"recording '{structure.segment[key].recording}' is not in wav.scp"
        structure.faults.append(Fault(table.path, line_of[key], message, "add it to wav.scp or remove the segment"))


def _segment(value: str) -> Segment | None:
    fields = value.split()
    try:
        start, end = float(fields[1]), float(fields[2])
        channel = int(fields[3]) if len(fields) == 4 else None
    except (ValueError, IndexError):
        return None
    to_the_end = end == -1
    if len(fields) > 4 or not 0 <= start < math.inf or not (to_the_end or start < end < math.inf) or (channel or 0) < 0:
        return None
    return Segment(fields[0], start, None if to_the_end else end, channel)


def _read_channels(structure: Structure) -> list[Fault]:
    table, faults = structure.extra.get("reco2file_and_channel"), []
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True) if table else ():
        fields = value.split()
        channel = fields[1].upper() if len(fields) == 2 else ""
        if channel in CHANNELS or (channel.isascii() and channel.isdigit() and 0 < int(channel) < 100):
            structure.channel[key] = CHANNELS[channel] if channel in CHANNELS else int(channel) - 1
        else:
            remedy = "write 'RECORDING FILE CHANNEL', the channel A, B, or a number from 1 to 99"
            faults.append(
                Fault(structure.path / "reco2file_and_channel", line, f"'{value}' names no file and channel", remedy)
            )
    return faults


def _compare_utterances(structure: Structure) -> None:
    source = structure.segments or structure.wav
    structure.faults += missing(structure.utt2spk, source.keys, "utterance", source)
    structure.faults += missing(source, structure.utt2spk.keys, "utterance", structure.utt2spk)


def _compare_speakers(structure: Structure) -> None:
    table = structure.spk2utt
    if table is None or not table.keys or not structure.utt2spk.keys:
        return
    speaker_of = dict(zip(structure.utt2spk.keys, structure.utt2spk.values, strict=True))
    listed: set[str] = set()
    for speaker, value, line in zip(table.keys, table.values, table.lines, strict=True):
        for utterance in value.split():
            other = speaker_of.get(utterance)
            if other is None:
                message, remedy = f"utterance '{utterance}' is not in utt2spk", "make spk2utt from utt2spk again"
            elif other != speaker:
                message = f"'{utterance}' is of '{speaker}' here and of '{other}' in utt2spk"
                remedy = "correct utt2spk, then make spk2utt from it again"
            elif utterance in listed:
                message, remedy = f"'{utterance}' is listed twice", "keep it once"
            else:
                listed.add(utterance)
                continue
            structure.faults.append(Fault(table.path, line, message, remedy))
    absent = set(speaker_of) - listed
    if absent:
        line_of = structure.utt2spk.line_of()
        for utterance in sorted(absent):
            message = f"'{utterance}' is not with its speaker '{speaker_of[utterance]}' in spk2utt"
            remedy = "make spk2utt from utt2spk again"
            structure.faults.append(Fault(structure.utt2spk.path, line_of[utterance], message, remedy))
