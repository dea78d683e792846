"""Rendered mixtures as audio files: where they lie, in which format, at which scale."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from csc_cli.errors import AudioError, ConfigError
from csc_cli.files import write_bytes
from csc_cli.kaldi.audio import encode_audio
from csc_cli.kaldi.float_wav import float_wav
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.render import Rendered

MOST_PEAK = 0.99


@dataclass(frozen=True)
class AudioFormat:
    """How samples are written: 16-bit wav or flac, or (`unrounded`) 32-bit float wav."""

    ending: Literal["wav", "flac"] = "wav"
    unrounded: bool = False

    def __post_init__(self) -> None:
        if self.unrounded and self.ending != "wav":
            raise ConfigError(f"--float with --format {self.ending}: only wav holds float samples; take wav")

    def stamp(self) -> dict[str, str]:
        """What the stamp of a folder says of it; nothing of the default, as in folders of earlier versions."""
        if self == AudioFormat():
            return {}
        return {"format": "float wav" if self.unrounded else self.ending}


class Written(NamedTuple):
    """What became of a mixture: the factor of its files, and their SHA-256 in the order of `kinds`."""

    scale: float
    digests: tuple[str, ...]


def audio_path(out: Path, kind: str, id: str, ending: str = "wav") -> str:
    """Where the audio of a mixture lies: `kind` is wav, spk1, spk2, ... or noise1."""
    return f"{out}/{kind}/{audio_name(id, ending)}"  # a text: millions of Paths would stay in Python's table of names


def audio_name(id: str, ending: str) -> str:
    """The name of a mixture's file, which stays in its folder and is not hidden.

    >>> audio_name("../a", "wav"), audio_name("a.b", "flac")
    ('%2E.%2Fa.wav', 'a.b.flac')
    """
    name = id.replace("%", "%25").replace("/", "%2F")
    return (f"%2E{name[1:]}" if name.startswith(".") else name) + f".{ending}"


def kinds(talkers: int, noise: bool, plain: bool) -> tuple[str, ...]:
    """The kinds of files of a mixture: wav, then spk1, spk2, ... and noise1.

    A `plain` one (see `Mixture.is_plain`) is its only source itself, so there is no file beside it.

    >>> kinds(2, noise=True, plain=False), kinds(1, noise=False, plain=True)
    (('wav', 'spk1', 'spk2', 'noise1'), ('wav',))
    """
    if plain:
        return ("wav",)
    return ("wav", *(f"spk{index + 1}" for index in range(talkers)), *(("noise1",) if noise else ()))


def scale_of(rendered: Rendered) -> float:
    """The factor at which all parts are written: 1, or less where a peak would leave 16-bit full scale."""
    peak = max(_peak(samples) for samples in (rendered.mixture, *rendered.sources, rendered.noise))
    return 1.0 if peak <= MOST_PEAK else float(np.floor(MOST_PEAK / peak * 1e6) / 1e6)


def _peak(samples: np.ndarray) -> float:
    return max(float(samples.max(initial=0)), -float(samples.min(initial=0)))


def write_rendered(mixture: Mixture, rendered: Rendered, out: Path, form: AudioFormat) -> Written:
    """Write the mixture and its parts, each file whole or not at all. Float files are not scaled.

    Raises:
        AudioError: a file cannot be written.
    """
    scale = 1.0 if form.unrounded else scale_of(rendered)
    parts = [rendered.mixture, *rendered.sources, rendered.noise]
    digests = []
    made = kinds(len(mixture.sources), mixture.has_noise, mixture.is_plain)
    for kind, samples in zip(made, parts, strict=False):
        path = audio_path(out, kind, mixture.id, form.ending)
        scaled = samples if scale == 1 else samples * np.float32(scale)
        data = float_wav(scaled, mixture.sample_rate) if form.unrounded else None
        data = data or encode_audio(path, scaled, mixture.sample_rate)
        try:
            write_bytes(path, data)
        except OSError as error:
            raise AudioError(str(unwritable(path, error))) from error
        digests.append(sha256(data).hexdigest())
    return Written(scale, tuple(digests))
