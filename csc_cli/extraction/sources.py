"""The true sources of mixtures as recordings of their own: the ceiling that separation can reach."""

from __future__ import annotations

import re
from dataclasses import replace

from csc_cli.errors import DataError, some
from csc_cli.extraction.vectors import stream_key
from csc_cli.kaldi.datadir import DataDir, Utterance

SOURCES = re.compile(r"spk\d+\.scp")


def true_sources(data: DataDir) -> tuple[dict[str, list[str]], DataDir]:
    """utt2streams and a data directory with an utterance for each talker of each recording (`UTT-s1`, ...).

    Raises:
        DataError: there is no spk1.scp, or it lacks a recording.
    """
    tables = {name: table for name, table in data.extra.items() if SOURCES.fullmatch(name)}
    if "spk1.scp" not in tables:
        raise DataError(f"{data.path / 'spk1.scp'}: not found; true sources come with mixtures that csc wrote as audio")
    streams: dict[str, list[str]] = {utterance.id: [] for utterance in data.utterances}
    talkers: list[Utterance] = []
    for place in range(len(tables)):
        for id, recording in tables.get(f"spk{place + 1}.scp", {}).items():
            if id not in streams:
                raise DataError(
                    f"{data.path / f'spk{place + 1}.scp'}: '{id}' is not in wav.scp; make the mixtures again"
                )
            streams[id].append(stream_key(id, place))
            own = replace(data.by_id[id], id=streams[id][-1], recording=recording, start_s=0.0, end_s=None)
            talkers.append(replace(own, recording_id=None, channel=0))
    lacking = [id for id, keys in streams.items() if not keys]
    if lacking:
        raise DataError(f"{data.path / 'spk1.scp'}: lacks {some(lacking)}; make the mixtures again")
    return streams, DataDir(data.path, tuple(sorted(talkers, key=lambda talker: talker.id)))
