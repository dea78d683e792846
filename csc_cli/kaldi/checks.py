"""All faults of a Kaldi data directory at once; what `csc data validate` lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from csc_cli.kaldi.contents import value_faults
from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import COMPLETE, CORE, keys_of
from csc_cli.kaldi.structure import Structure, missing, pipe_faults, read_structure
from csc_cli.kaldi.text import Table, order_faults, without_gc

__all__ = ["Asked", "Fault", "check_data_dir", "listing"]


@dataclass(frozen=True)
class Asked:
    """What is asked of a data directory, beyond that its files agree.

    Args:
        audio: open the recordings' headers, and compare segments and channels with them.
        read_audio: read all samples too.
        wav: wav.scp must be there.
        spk_sort: speakers must ascend in utt2spk.
        non_print: let control characters and unusual white space in text pass.
        require: files that must be there.
        nj: processes that open recordings.
    """

    audio: bool = True
    read_audio: bool = False
    wav: bool = True
    spk_sort: bool = True
    non_print: bool = False
    require: tuple[str, ...] = ()
    nj: int = 1


@without_gc()
def check_data_dir(path: str | Path, read_audio: bool = False, asked: Asked | None = None) -> list[Fault]:
    """Every fault of the data directory `path`, file by file; an empty list where it is sound.

    It asks more than `DataDir.load` needs: what Kaldi's validate_data_dir.sh asks, and that the
    recordings can be read. `read_audio` is short for `Asked(read_audio=True)`.
    """
    path, asked = Path(path), asked or Asked(read_audio=read_audio)
    if not path.is_dir():
        return [Fault(path, None, "no such folder", "give a Kaldi data directory (wav.scp, utt2spk, spk2utt)")]
    structure = read_structure(path, need_wav=asked.wav)
    faults = structure.faults + pipe_faults(structure) + required_faults(structure, asked.require)
    for table in structure.tables():
        faults += value_faults(table, non_print=asked.non_print) + _newline_faults(table)
    faults += speaker_faults(structure.utt2spk) if asked.spk_sort else []
    faults += _check_extra(structure) + _check_recordings(structure)
    if asked.audio:
        from csc_cli.kaldi.audio_checks import audio_faults

        faults += audio_faults(structure, asked.read_audio, asked.nj)
    order = {name: number for number, name in enumerate(CORE)}
    return sorted(faults, key=lambda fault: (order.get(fault.path.name, 9), str(fault.path), fault.line or 0))


def listing(faults: Sequence[Fault], as_json: bool = False) -> str:
    """The faults for people, a line each, or as a JSON list of `path`, `line`, `message`, `remedy`."""
    if not as_json:
        return "\n".join(map(str, faults))
    rows = [{"path": str(f.path), "line": f.line, "message": f.message, "remedy": f.remedy} for f in faults]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def required_faults(structure: Structure, require: Sequence[str] = ()) -> list[Fault]:
    """Files that are not there: spk2utt, and what the user asks for."""
    remedy = {"spk2utt": "make it from utt2spk: csc data fix, or a line 'SPEAKER UTTERANCE ...' a speaker"}
    return [
        Fault(structure.path / name, None, "is missing", remedy.get(name, "add it, or do not require it"))
        for name in ("spk2utt", *require)
        if not (structure.path / name).is_file() and name not in ("wav.scp", "utt2spk")
    ]


def speaker_faults(table: Table) -> list[Fault]:
    """Kaldi sorts utt2spk by utterance in one place and by speaker in another; both orders must agree."""
    wrong = [index for index, (before, after) in enumerate(pairwise(table.values), 1) if after < before]
    if not wrong:
        return []
    key, speaker, before = table.keys[wrong[0]], table.values[wrong[0]], table.values[wrong[0] - 1]
    message = f"speaker '{speaker}' of '{key}' comes after '{before}' ({len(wrong)} such places)"
    return [Fault(table.path, table.lines[wrong[0]], message, "make the speaker id the beginning of each utterance id")]


def _newline_faults(table: Table) -> list[Fault]:
    """A last line without an end is lost by some of Kaldi's tools, and joined with what is appended."""
    if not table.keys:
        return []
    with table.path.open("rb") as stream:
        stream.seek(-1, 2)
        if stream.read() == b"\n":
            return []
    return [Fault(table.path, table.lines[-1], "the last line has no end", f"end it: echo >> {table.path}")]


def _check_extra(structure: Structure) -> list[Fault]:
    """The other tables: sorted, and with the keys of utt2spk, spk2utt or wav.scp."""
    faults = []
    first = dict(zip(reversed(structure.utt2spk.values), reversed(structure.utt2spk.lines), strict=True))
    speakers = Table(structure.utt2spk.path, list(first), [], list(first.values()), [])
    sources = {"speaker": speakers, "recording": structure.wav, "utterance": structure.utt2spk}
    for name, table in structure.extra.items():
        faults += order_faults(table)
        what = keys_of(name)
        source = sources[what]
        if source.keys is table.keys:
            continue
        faults += missing(source, table.keys, what, table)
        if name in COMPLETE:
            faults += missing(table, source.keys, what, source)
    return faults


def _check_recordings(structure: Structure) -> list[Fault]:
    """A recording that no segment uses, as Kaldi's validate_data_dir.sh has it."""
    if structure.segments is None:
        return []
    used = {segment.recording for segment in structure.segment.values()}
    return [
        Fault(structure.wav.path, line, f"recording '{key}' has no segment", "remove the line or add its segments")
        for key, line in zip(structure.wav.keys, structure.wav.lines, strict=True)
        if key not in used
    ]
