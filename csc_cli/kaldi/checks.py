"""All faults of a Kaldi data directory at once; what `csc data validate` lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from csc_cli.errors import AudioError
from csc_cli.kaldi import audio
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import COMPLETE, base_folder, keys_of, resolve
from csc_cli.kaldi.structure import Structure, missing, read_structure
from csc_cli.kaldi.text import Table, order_faults
from csc_cli.progress import track

__all__ = ["Fault", "check_data_dir", "listing"]


def check_data_dir(path: str | Path, read_audio: bool = False) -> list[Fault]:
    """Every fault of the data directory `path`, file by file; an empty list where it is sound.

    Beyond what `DataDir.load` needs, it asks what Kaldi's validate_data_dir.sh asks, and opens
    each recording's header; with `read_audio` every utterance is read to its end.
    """
    path = Path(path)
    if not path.is_dir():
        return [Fault(path, None, "no such folder", "give a Kaldi data directory (wav.scp, utt2spk, spk2utt)")]
    structure = read_structure(path)
    faults = structure.faults + _check_speakers(structure) + _check_extra(structure) + _check_recordings(structure)
    faults += _check_audio(structure, read_audio)
    order = {name: number for number, name in enumerate(("wav.scp", "segments", "utt2spk", "spk2utt"))}
    return sorted(faults, key=lambda fault: (order.get(fault.path.name, 9), str(fault.path), fault.line or 0))


def listing(faults: Sequence[Fault], as_json: bool = False) -> str:
    """The faults for people, a line each, or as a JSON list of `path`, `line`, `message`, `remedy`."""
    if not as_json:
        return "\n".join(map(str, faults))
    rows = [{"path": str(f.path), "line": f.line, "message": f.message, "remedy": f.remedy} for f in faults]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _check_speakers(structure: Structure) -> list[Fault]:
    """Kaldi sorts by utterance in one place and by speaker in another; both orders must agree."""
    table = structure.utt2spk
    faults = []
    if structure.spk2utt is None:
        path = structure.path / "spk2utt"
        faults.append(Fault(path, None, "is missing", "make it from utt2spk: a line 'SPEAKER UTTERANCE ...' a speaker"))
    wrong = [i for i in range(1, len(table.values)) if table.values[i] < table.values[i - 1]]
    if wrong:
        key, speaker, before = table.keys[wrong[0]], table.values[wrong[0]], table.values[wrong[0] - 1]
        message = f"speaker '{speaker}' of '{key}' comes after '{before}' ({len(wrong)} such places)"
        remedy = "make the speaker id the beginning of each utterance id"
        faults.append(Fault(table.path, table.lines[wrong[0]], message, remedy))
    return faults


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


def _check_audio(structure: Structure, whole: bool) -> list[Fault]:
    """Recordings that cannot be opened, placed in wav.scp; utterances that cannot be read, in segments."""
    base = base_folder(structure.path, structure.wav.values)
    faults, opened = [], {}
    rows = zip(structure.wav.keys, structure.wav.values, structure.wav.lines, strict=True)
    for key, name, line in track(rows, "recordings", len(structure.wav.keys)):
        recording = resolve(name, base)
        try:
            if whole and structure.segments is None:
                audio.read_audio(Utterance(key, key, recording, channel=structure.channel.get(key, 0)))
            else:
                audio.duration_s(recording)
        except AudioError as error:
            faults.append(_audio_fault(structure.wav, line, error))
        else:
            opened[key] = recording
    return faults + _check_segments(structure, opened, whole)


def _check_segments(structure: Structure, opened: dict[str, str], whole: bool) -> list[Fault]:
    if structure.segments is None:
        return []
    faults, line_of = [], structure.segments.line_of()
    for key, segment in track(structure.segment.items(), "segments", len(structure.segment)):
        if segment.recording not in opened:
            continue
        channel = segment.channel or structure.channel.get(segment.recording, 0)
        utterance = Utterance(key, key, opened[segment.recording], segment.start_s, segment.end_s, channel)
        try:
            audio.read_audio(utterance) if whole else audio.duration_s(utterance)
        except AudioError as error:
            faults.append(_audio_fault(structure.segments, line_of[key], error))
    return faults


def _audio_fault(table: Table, line: int, error: AudioError) -> Fault:
    # Every AudioError ends with '; ' and the remedy.
    message, _, remedy = str(error).rpartition("; ")
    return Fault(table.path, line, message, remedy)
