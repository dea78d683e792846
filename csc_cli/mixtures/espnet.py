"""A folder of mixtures -> the data directory that ESPnet's enhancement recipes (egs2/*/enh1) read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from csc_cli.errors import DataError, some
from csc_cli.kaldi.audio import read_header, write_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.specifiers import is_pipe
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.write import audio_path

PLAN = "mix.jsonl"


def export_espnet(source: Path, out: Path, text: Path | None = None) -> str:
    """Write wav.scp, spk1.scp, ..., noise1.scp, utt2spk, spk2utt, utt2spks and text_spk1, ...; no audio is copied.

    ESPnet wants every table to have every mixture. So all mixtures must have the same number of talkers, and those
    without noise, where others have some, get a recording of zeros. Names are absolute.

    Args:
        text: transcripts of the utterances that were mixed (`mix.jsonl` names them), for text_spk1, ...; of the whole
            utterances, however much of them is heard.

    Returns:
        A line for people.

    Raises:
        DataError: no mixtures with sources, different numbers of talkers, no transcript of an utterance.
    """
    if (out / "wav.scp").exists():
        raise DataError(f"{out}: holds a data directory already; give another folder")
    data = DataDir.load(source)
    if (source / "segments").exists():
        raise DataError(f"{source}: mixtures are parts of recordings (segments); ESPnet needs a file for each")
    talkers = _talkers(data)
    texts = _texts(source, read_map(text), text, talkers) if text is not None else {}
    tables = {f"spk{n}.scp": data.extra[f"spk{n}.scp"] for n in range(1, talkers + 1)}
    if "noise1.scp" in data.extra:
        tables["noise1.scp"] = {**data.extra["noise1.scp"], **_silences(data, out)}
    extra: dict[str, dict[str, str]] = {
        name: {id: _absolute(file) for id, file in table.items()} for name, table in tables.items()
    }
    if "utt2spks" in data.extra:
        extra["utt2spks"] = dict(data.extra["utt2spks"])
    extra |= texts or {name: dict(table) for name, table in data.extra.items() if name.startswith("text_spk")}
    utterances = tuple(Utterance(item.id, item.id, _absolute(item.recording)) for item in data.utterances)
    DataDir(out, utterances, extra).save(out)
    return f"{out}: {len(utterances)} mixtures of {talkers} talker(s) for ESPnet: wav.scp, {', '.join(sorted(extra))}"


def _talkers(data: DataDir) -> int:
    """The number of talkers of every mixture."""
    counts: dict[int, str] = {}
    for utterance in data.utterances:
        count = 0
        while utterance.id in data.extra.get(f"spk{count + 1}.scp", {}):
            count += 1
        counts.setdefault(count, utterance.id)
    if set(counts) == {0}:
        raise DataError(f"{data.path / 'spk1.scp'}: not found; ESPnet's mixtures have their sources")
    if len(counts) > 1:
        shown = ", ".join(f"'{id}' has {count}" for count, id in sorted(counts.items()))
        raise DataError(
            f"{data.path}: mixtures have different numbers of talkers ({shown}); split them (csc data subset)"
        )
    return next(iter(counts))


def _silences(data: DataDir, out: Path) -> dict[str, str]:
    """A recording of zeros for each mixture without noise, as long as the mixture."""
    made = {}
    for utterance in data.utterances:
        if utterance.id not in data.extra["noise1.scp"]:
            header = read_header(utterance)
            path = audio_path(out, "noise1", utterance.id)
            write_audio(path, np.zeros(header.frames, np.float32), header.sample_rate)
            made[utterance.id] = path
    return made


def _absolute(name: str) -> str:
    return name if is_pipe(name) else os.path.abspath(name)


def _texts(source: Path, text: dict[str, str], path: Path, talkers: int) -> dict[str, dict[str, str]]:
    tables: dict[str, dict[str, str]] = {f"text_spk{n}": {} for n in range(1, talkers + 1)}
    lacking: list[str] = []
    for mixture in read_mixtures(source / PLAN):
        for table, part in zip(tables.values(), mixture.sources, strict=False):
            if part.utterance in text:
                table[mixture.id] = text[part.utterance]
            else:
                lacking.append(part.utterance)
    if lacking:
        raise DataError(f"{path}: has no transcript of {some(sorted(set(lacking)))}; add them")
    return tables
