"""The files that make up a Kaldi data directory, read together, with every fault in and between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import CORE, EXTRA
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
    """The tables of a data directory. They can be relied on only if there are no faults."""

    path: Path
    wav: Table
    utt2spk: Table
    spk2utt: Table | None
    segments: Table | None
    extra: dict[str, Table]
    segment: dict[str, Segment] = field(default_factory=dict)
    channel: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_structure(path: str | Path, *, need_wav: bool = True) -> Structure:
    """Read all tables of the data directory `path` and compare them; no audio is touched.

    Without `need_wav`, wav.scp may be absent (a directory of features), and its table is then empty.
    """
    path = Path(path)
    tables = {name: parse(path / name) for name in ("wav.scp", "utt2spk")}
    if not need_wav and not (path / "wav.scp").exists():
        tables["wav.scp"] = Table(path / "wav.scp", [], [], [], [])
    for name in ("spk2utt", "segments"):
        if (path / name).exists():
            tables[name] = parse(path / name)
    extra = {
        # Other tables are joined by key, so their order is no hindrance; `checks` still reports it.
        file.name: parse(file, in_order=False, values=file.name != "text")
        for file in sorted(path.iterdir() if path.is_dir() else ())
        if file.name not in CORE and EXTRA.fullmatch(file.name) and file.is_file()
    }
    structure = Structure(
        path, tables["wav.scp"], tables["utt2spk"], tables.get("spk2utt"), tables.get("segments"), extra
    )
    for table in (*tables.values(), *extra.values()):
        structure.faults += table.faults
    _check_one_speaker(structure)
    _read_segments(structure)
    _read_channels(structure)
    _compare_utterances(structure)
    _compare_speakers(structure)
    return structure


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


def _check_one_speaker(structure: Structure) -> None:
    table = structure.utt2spk
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True):
        if len(value.split()) > 1:
            message = f"'{key}' has more than one speaker: '{value}'"
            structure.faults.append(Fault(table.path, line, message, "write 'UTTERANCE SPEAKER', ids without spaces"))


def _read_segments(structure: Structure) -> None:
    table = structure.segments
    if table is None:
        return
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True):
        segment = _segment(value)
        if segment is None:
            message = f"'{key} {value}' is no segment"
            remedy = "write 'UTTERANCE RECORDING START END' with 0 <= START < END in seconds"
            structure.faults.append(Fault(table.path, line, message, remedy))
        else:
            structure.segment[key] = segment
    recordings = set(structure.wav.keys)
    line_of = None
    for key, segment in structure.segment.items():
        if segment.recording not in recordings:
            line_of = line_of or table.line_of()
            message = f"recording '{segment.recording}' is not in wav.scp"
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


def _read_channels(structure: Structure) -> None:
    table = structure.extra.get("reco2file_and_channel")
    if table is None:
        return
    for key, value, line in zip(table.keys, table.values, table.lines, strict=True):
        fields = value.split()
        channel = fields[1].upper() if len(fields) == 2 else ""
        if channel in CHANNELS or (channel.isdecimal() and channel != "0"):
            structure.channel[key] = CHANNELS[channel] if channel in CHANNELS else int(channel) - 1
        else:
            remedy = "write 'RECORDING FILE CHANNEL', the channel A, B, or a number from 1"
            structure.faults.append(Fault(table.path, line, f"'{value}' names no file and channel", remedy))


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
