"""The true sources of mixtures as recordings of their own: the ceiling that separation can reach."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from csc_cli.errors import DataError, some
from csc_cli.extraction.vectors import stream_key
from csc_cli.kaldi.datadir import DataDir, Utterance

SOURCES = re.compile(r"spk\d+\.scp")


def source_tables(data: DataDir) -> dict[str, Mapping[str, str]]:
    """The tables spk1.scp, spk2.scp, ... that a data directory has, in the order of their numbers."""
    names = sorted(filter(SOURCES.fullmatch, data.extra), key=lambda name: int(name[3:-4]))
    return {name: data.extra[name] for name in names}


def source_of(utterance: Utterance, file: str) -> Utterance:
    """What a talker of the utterance said, which is the whole of `file`."""
    return replace(utterance, recording=file, recording_id=None, channel=0, start_s=0.0, end_s=None)


def true_sources(data: DataDir) -> tuple[dict[str, list[str]], DataDir]:
    """utt2streams and a data directory with an utterance for each talker of each recording (`UTT-s1`, ...).

    Raises:
        DataError: there is no spk1.scp, or it lacks a recording.
    """
    tables = source_tables(data)
    if "spk1.scp" not in tables:
        raise DataError(f"{data.path / 'spk1.scp'}: not found; true sources come with mixtures that csc wrote as audio")
    streams: dict[str, list[str]] = {utterance.id: [] for utterance in data.utterances}
    talkers: list[Utterance] = []
    for place, (name, table) in enumerate(tables.items()):
        for id, file in table.items():
            if id not in streams:
                raise DataError(f"{data.path / name}: '{id}' is not in wav.scp; make the mixtures again")
            streams[id].append(stream_key(id, place))
            talkers.append(replace(source_of(data.by_id[id], file), id=streams[id][-1]))
    lacking = [id for id, keys in streams.items() if not keys]
    if lacking:
        raise DataError(f"{data.path / 'spk1.scp'}: lacks {some(lacking)}; make the mixtures again")
    return streams, DataDir(data.path, tuple(sorted(talkers, key=lambda talker: talker.id)))
