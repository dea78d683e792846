"""A corpus of synthetic speakers, spoken by espeak-ng: no download, the same bytes for the same seed.

DATA/audio/SPEAKER/UTTERANCE.flac at 8 kHz, and the data directories DATA/{train,dev,test} with disjoint
speakers. An utterance is a function of the seed, its part, and its speaker's and its own number alone:
another number of speakers, of utterances or of processes changes none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from csc_cli.corpora import espeak
from csc_cli.corpora.parts import PARTS, write_parts
from csc_cli.corpora.recording import draw_recording, record
from csc_cli.corpora.sentences import COUNT, sentence
from csc_cli.corpora.voices import draw_voice, voice_lines
from csc_cli.errors import AudioError, ConfigError
from csc_cli.files import write_json
from csc_cli.kaldi.audio import read_header, write_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.parallel import ordered_map
from csc_cli.progress import track
from csc_cli.seeds import generator

SAMPLE_RATE = 8000
SETTINGS = "synth.json"
_MOST_UTTERANCES = 1000  # of a speaker, so that a speaker's sentences have numbers of their own
_FORMAT = 1  # to be raised when the same seed comes to mean other audio


class Speaker(NamedTuple):
    """The `number`-th speaker of a part."""

    part: str
    number: int

    @property
    def id(self) -> str:
        return f"{self.part}-{self.number:04d}"

    def utterance_id(self, number: int) -> str:
        return f"{self.id}-{number:03d}"

    def sentence(self, seed: int, number: int) -> str:
        """The text of an utterance: sentences are dealt out to the parts in turn, and none is used twice."""
        turn = self.number * _MOST_UTTERANCES + number
        return sentence(seed, turn * len(PARTS) + PARTS.index(self.part))


def prepare_synth(data: Path, speakers: Mapping[str, int], utterances: int, seed: int, nj: int = 1) -> str:
    """Write the corpus to `data`; what is whole already is left as it is.

    Args:
        speakers: how many in each of the parts train, dev and test; a part with 0 is left out.
        utterances: of each speaker, at most 1000.

    Returns:
        A line a part: speakers, utterances, hours.

    Raises:
        ConfigError: impossible numbers, or `data` cannot be written or holds audio of another seed.
        SynthesisError: espeak-ng is missing or fails.
    """
    _check(speakers, utterances)
    seconds = dict.fromkeys(PARTS, 0.0)
    everyone = [Speaker(part, number) for part in PARTS for number in range(speakers[part])]
    with espeak.engine() as engine:
        _claim(data, seed)
        make = partial(make_speaker, engine, data, utterances, seed)
        spoken = ordered_map(make, everyone, nj)
        for speaker, length_s in zip(everyone, track(spoken, "synthetic speakers", len(everyone)), strict=True):
            seconds[speaker.part] += length_s
    parts = {part: _data_dir(data, part, speakers[part], utterances, seed) for part in PARTS if speakers[part]}
    return write_parts(data, parts, seconds)


def make_speaker(engine: espeak.Engine, data: Path, utterances: int, seed: int, speaker: Speaker) -> float:
    """Write those of the speaker's recordings that are not there yet; the seconds of them all."""
    voice = draw_voice(generator(seed, "synth voice", speaker.id))
    seconds = 0.0
    for number in range(utterances):
        path = _audio_path(data, speaker, number)
        if not (frames := _frames(path)):
            rng = generator(seed, "synth utterance", speaker.utterance_id(number))
            lines = voice_lines(voice, pitch_factor=rng.uniform(0.85, 1.15))
            rate = round(voice.rate * rng.uniform(0.85, 1.15))
            speech = engine.speak(speaker.sentence(seed, number), voice.accent, lines, rate, int(rng.integers(2**31)))
            samples = record(speech / 32768.0, espeak.SAMPLE_RATE, SAMPLE_RATE, draw_recording(rng), rng)
            write_audio(path, samples, SAMPLE_RATE)
            frames = len(samples)
        seconds += frames / SAMPLE_RATE
    return seconds


def _check(speakers: Mapping[str, int], utterances: int) -> None:
    if set(speakers) != set(PARTS) or min(speakers.values()) < 0 or not speakers["train"]:
        raise ConfigError(f"speakers {dict(speakers)}: give a number for each of {', '.join(PARTS)}, train at least 1")
    if not 1 <= utterances <= _MOST_UTTERANCES:
        raise ConfigError(f"{utterances} utterances a speaker: must lie between 1 and {_MOST_UTTERANCES}")
    most = COUNT // (_MOST_UTTERANCES * len(PARTS))
    if max(speakers.values()) > most:
        raise ConfigError(f"there are sentences for {most} speakers a part, not for {max(speakers.values())}")


def _claim(data: Path, seed: int) -> None:
    """Note the seed in `data`, or hold it against the note of an earlier run."""
    wanted = {"seed": seed, "format": _FORMAT, "espeakng-loader": version("espeakng-loader")}
    note = data / SETTINGS
    try:
        if not note.exists() and not (data / "audio").exists():
            write_json(note, wanted)
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{note}: cannot be written or read ({error}); choose another folder or remove {data}"
        raise ConfigError(message) from error
    if found != wanted:
        raise ConfigError(f"{note}: made with {found}, not with {wanted}; choose another folder or remove {data}")


def _audio_path(data: Path, speaker: Speaker, number: int) -> Path:
    return data / "audio" / speaker.id / f"{speaker.utterance_id(number)}.flac"


def _frames(path: Path) -> int:
    """Samples of a recording that is there and whole, else 0."""
    try:
        return read_header(path).frames
    except AudioError:
        return 0


def _data_dir(data: Path, part: str, speakers: int, utterances: int, seed: int) -> DataDir:
    items, text = [], {}
    for speaker in (Speaker(part, number) for number in range(speakers)):
        for number in range(utterances):
            key = speaker.utterance_id(number)
            items.append(Utterance(key, speaker.id, str(_audio_path(data, speaker, number))))
            text[key] = speaker.sentence(seed, number)
    items.sort(key=lambda utterance: utterance.id)
    return DataDir(data, tuple(items), {"text": text})
