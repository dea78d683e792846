"""Whether the recordings of a data directory can be read, and whether its segments and channels lie in them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from csc_cli.errors import AudioError
from csc_cli.kaldi import audio
from csc_cli.kaldi.audio import Header
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.faults import Fault
from csc_cli.kaldi.layout import base_folder, resolve
from csc_cli.kaldi.pipes import refused
from csc_cli.kaldi.specifiers import is_pipe
from csc_cli.kaldi.structure import Segment, Structure
from csc_cli.kaldi.text import Table
from csc_cli.parallel import ordered_map
from csc_cli.progress import track


def audio_faults(structure: Structure, whole: bool, nj: int = 1) -> list[Fault]:
    """Recordings that cannot be opened (`whole`: read to their end), placed in wav.scp; then segments and channels
    that are not in their recordings, placed in segments or wav.scp."""
    base = base_folder(structure.path, structure.wav.values)
    names = {key: resolve(name, base) for key, name in zip(structure.wav.keys, structure.wav.values, strict=True)}
    line_of = structure.wav.line_of()
    if refused():  # pipe_faults has told them
        names = {key: name for key, name in names.items() if not is_pipe(name)}
    examined = ordered_map(partial(examine, whole=whole), names.values(), nj)
    headers: dict[str, Header] = {}
    faults = []
    for key, found in zip(names, track(examined, "recordings", len(names)), strict=True):
        if isinstance(found, Header):
            headers[key] = found
        else:
            faults.append(_fault(structure.wav, line_of[key], found))
    return faults + _misfits(structure, headers, names)


def examine(name: str, whole: bool) -> Header | str:
    """The header of a recording, or what is wrong with it."""
    try:
        if whole:
            return audio.scan(name)
        header = audio.read_header(name)
        audio.check_fits(name, header)
        return header
    except AudioError as error:
        return str(error)


def _misfits(structure: Structure, headers: Mapping[str, Header], names: Mapping[str, str]) -> list[Fault]:
    """The utterances whose segment or channel their recording has not."""
    faults = []
    table = structure.segments or structure.wav
    for key, line in zip(table.keys, table.lines, strict=True):
        segment = Segment(key, 0.0, None, None) if structure.segments is None else structure.segment.get(key)
        if segment is None or segment.recording not in headers:
            continue
        name, channel = names[segment.recording], structure.channel_of(segment)
        utterance = Utterance(key, key, name, segment.start_s, segment.end_s, channel, segment.recording)
        try:
            audio.check_fits(utterance, headers[segment.recording])
        except AudioError as error:
            faults.append(_fault(table, line, str(error)))
    return faults


def _fault(table: Table, line: int, message: str) -> Fault:
    # Every AudioError ends with '; ' and the remedy.
    message, _, remedy = message.rpartition("; ")
    return Fault(table.path, line, message, remedy)
