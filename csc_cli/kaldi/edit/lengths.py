"""Seconds of each utterance, from the tables where they have them, else from the recordings."""

from __future__ import annotations

from collections.abc import Mapping

from csc_cli.errors import DataError
from csc_cli.kaldi.edit.tables import Tables
from csc_cli.progress import track


def durations_s(data: Tables, known: Mapping[str, float] | None = None) -> dict[str, float]:
    """Seconds by utterance: from utt2dur, else segments, else the headers of the recordings.

    Args:
        known: seconds by recording, where they are known already.

    Raises:
        DataError: no table has them and there is no wav.scp; a number that is none.
        AudioError: a recording that cannot be opened.
    """
    told = numbers_of(data, "utt2dur")
    if told:
        return told
    known = known or {}
    if "segments" in data.of:
        return {utterance: _segment_s(data, utterance, known) for utterance in data.utt2spk}
    return {utterance: _recording_s(data, utterance, known) for utterance in track(data.utt2spk, "recordings")}


def numbers_of(data: Tables, name: str) -> dict[str, float]:
    """The number that a table has for each utterance; empty where it lacks one of them.

    Raises:
        DataError: a number that is none.
    """
    table = data.of.get(name, {})
    if not data.utt2spk.keys() <= table.keys():
        return {}
    return {utterance: _number(table[utterance], f"{data.path / name}: '{utterance}'") for utterance in data.utt2spk}


def _segment_s(data: Tables, utterance: str, known: Mapping[str, float]) -> float:
    recording, start, end = data.of["segments"][utterance].split()[:3]
    if float(end) == -1:
        return _recording_s(data, recording, known) - float(start)
    return float(end) - float(start)


def _recording_s(data: Tables, recording: str, known: Mapping[str, float]) -> float:
    from csc_cli.kaldi.audio import duration_s

    if recording in known:
        return known[recording]
    if recording not in data.of.get("wav.scp", {}):
        raise DataError(f"{data.path}: there is no utt2dur, and no wav.scp to get '{recording}' from; add one of them")
    return duration_s(data.of["wav.scp"][recording])


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}: '{text}' is no number; correct it, or remove the file") from None
