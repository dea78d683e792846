"""Rendered mixtures on disk: audio files, and the tables that make a Kaldi data directory of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli.kaldi.audio import write_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import write_map
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.render import Rendered

MOST_PEAK = 0.99


def audio_path(out: Path, kind: str, id: str) -> Path:
    """Where the audio of a mixture lies: `kind` is wav, spk1, spk2, ... or noise1."""
    return out / kind / f"{id.replace('%', '%25').replace('/', '%2F')}.wav"


def parts(mixture: Mixture) -> dict[str, int]:
    """The kinds of files beside the mixture's own: spk1, spk2, ... -> 0, 1, ...; noise1 -> -1.

    One talker without noise is the mixture itself, so there is no file beside it.
    """
    if len(mixture.sources) == 1 and mixture.noise is None:
        return {}
    kinds = {f"spk{index + 1}": index for index in range(len(mixture.sources))}
    return kinds | ({"noise1": -1} if mixture.noise is not None else {})


def scale_of(rendered: Rendered) -> float:
    """The factor at which all parts are written: 1, or less where a peak would leave 16-bit full scale."""
    peak = max(float(np.abs(samples).max(initial=0)) for samples in rendered)
    return 1.0 if peak <= MOST_PEAK else float(np.floor(MOST_PEAK / peak * 1e6) / 1e6)


def write_rendered(mixture: Mixture, rendered: Rendered, out: Path) -> float:
    """Write the mixture and its parts as 16-bit wav, each file whole or not at all; returns the scale."""
    scale = scale_of(rendered)
    factor = np.float32(scale)
    write_audio(audio_path(out, "wav", mixture.id), rendered.mixture * factor, mixture.sample_rate)
    for kind, index in parts(mixture).items():
        samples = rendered.noise if index < 0 else rendered.sources[index]
        write_audio(audio_path(out, kind, mixture.id), samples * factor, mixture.sample_rate)
    return scale


@dataclass(frozen=True)
class Made:
    """A mixture that was made: the factor of its files, and its overlap where that was measured."""

    mixture: Mixture
    scale: float
    overlap: float | None = None


def write_tables(out: Path, made: Iterable[Made], *, audio: bool, references: bool, own_speaker: bool) -> None:
    """Write utt2spks, utt2cond, utt2overlap and, with `audio`, the rest of a Kaldi data directory.

    Args:
        references: name each source's audio in spk1.scp, spk2.scp, ... and noise1.scp.
        own_speaker: each recording is its own speaker in utt2spk, since it has several; otherwise it is the
            first talker.
    """
    utterances: list[Utterance] = []
    tables: dict[str, dict[str, str]] = {"utt2spks": {}}
    for item in made:
        mixture, id = item.mixture, item.mixture.id
        wav = str(audio_path(out, "wav", id))
        speaker = id if own_speaker or not mixture.sources else mixture.sources[0].speaker
        utterances.append(Utterance(id, speaker, wav))
        tables["utt2spks"][id] = " ".join(source.speaker for source in mixture.sources)
        if mixture.condition:
            tables.setdefault("utt2cond", {})[id] = mixture.condition
        if item.overlap is not None:
            tables.setdefault("utt2overlap", {})[id] = f"{item.overlap:.3f}"
        if audio:
            tables.setdefault("utt2scale", {})[id] = f"{item.scale:g}"
        if audio and references:
            names = {kind: str(audio_path(out, kind, id)) for kind in parts(mixture)}
            for kind, name in (names or {"spk1": wav}).items():
                tables.setdefault(f"{kind}.scp", {})[id] = name
    if audio:
        utterances.sort(key=lambda utterance: utterance.id)
        DataDir(out, tuple(utterances), tables).save(out)
        return
    for table, lines in tables.items():
        write_map(out / table, lines)
