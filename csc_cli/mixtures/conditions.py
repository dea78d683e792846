"""Draws what a mixture takes place in: noise, room, talkers' gaps, codec, loudness.

Each block draws from a generator of its own, which is the mixture's as it was before any draw, jumped ahead. So a
block that is switched on changes no other draw, and one that is off draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from csc_cli.errors import ConfigError, DataError
from csc_cli.mixtures.activity import frame_length
from csc_cli.mixtures.records import Channel, Clip, Mixture, Noise, Source
from csc_cli.mixtures.rooms import pool_room
from csc_cli.mixtures.settings import GapConfig, MixtureConfig, NoiseConfig, Range, RoomConfig
from csc_cli.mixtures.store import AudioStore

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

Choice = TypeVar("Choice")
DIGITS = 6  # of decibels and hertz in a plan: coarser than the rounding errors of any platform
PURPOSES = ("noise", "room", "gaps", "codec", "loudness")


class Generators:
    """The generators of a mixture's blocks."""

    def __init__(self, rng: np.random.Generator, config: MixtureConfig) -> None:
        """Takes `rng` as it is now and leaves it so."""
        struck = {
            "noise": config.noise.probability * (not {"recorded", "babble"}.isdisjoint(config.noise.kinds)),
            "room": config.room.probability,
            "gaps": config.gaps.probability,
            "codec": config.codec.probability,
            "loudness": config.loudness.probability,
        }
        self._of = {
            purpose: np.random.Generator(rng.bit_generator.jumped(number))  # type: ignore[attr-defined]
            for number, purpose in enumerate(PURPOSES, start=1)
            if struck[purpose]
        }

    def __bool__(self) -> bool:
        """Whether any block may strike."""
        return bool(self._of)

    def __getitem__(self, purpose: str) -> np.random.Generator:
        """The generator of a block whose probability is above 0."""
        return self._of[purpose]

    def strikes(self, purpose: str, probability: float) -> np.random.Generator | None:
        """The block's generator where its probability strikes."""
        rng = self._of.get(purpose)
        return rng if rng is not None and rng.random() < probability else None


def uniform(rng: np.random.Generator, limits: Range) -> float:
    """A number of the range, rounded as plans are."""
    return round(limits[0] + (limits[1] - limits[0]) * rng.random(), DIGITS)


def one_of(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    """One of them, each as likely; nothing is drawn where there is one."""
    return choices[0] if len(choices) == 1 else choices[int(rng.integers(len(choices)))]


def draw_noise(rng: np.random.Generator, config: NoiseConfig, level_db: float) -> Noise | None:
    """Random noise below speech of `level_db`, or None where the probability does not strike.

    Recorded noise and babble have no clips yet: `with_clips` gives them some.
    """
    if rng.random() >= config.probability:
        return None
    at_db = round(level_db - uniform(rng, config.snr_db), DIGITS)
    kind, seed = one_of(rng, config.kinds), int(rng.integers(1 << 53))
    return Noise(kind, at_db, seed, (Clip("?"),)) if kind in ("recorded", "babble") else Noise(kind, at_db, seed)


def with_clips(
    noise: Noise, config: NoiseConfig, rng: np.random.Generator, store: AudioStore, length: int,
    voices: Sequence[Utterance],
) -> Noise:  # fmt: skip
    """Recorded noise and babble with what they are made of; other noise as it is.

    Args:
        length: of the mixture; a noise that is longer is not looped.
        voices: utterances of speakers who are not in the mixture.

    Raises:
        DataError: no data directory of noises, or too few voices. CscError: a recording that cannot be read.
    """
    if noise.kind not in ("recorded", "babble"):
        return noise
    if noise.kind == "recorded":
        shelf = store.surroundings.noise_shelf(store.sample_rate)
        name = shelf.data.utterances[int(rng.integers(len(shelf.data.utterances)))].id
        size = shelf.length(name)
        clips = [Clip(name, int(rng.integers(size - length + 1 if size >= length else size)))]
    else:
        count = int(rng.integers(config.babble[0], config.babble[1] + 1))
        if len(voices) < count:
            raise DataError(f"a babble of {count} voices: {len(voices)} utterances of other speakers were given")
        clips = []
        for voice in voices[:count]:
            first, end = store.active_range(voice.id)
            clips.append(Clip(voice.id, first + int(rng.integers(end - first))))
    return replace(noise, seed=0, clips=tuple(clips))


def in_room(mixture: Mixture, config: RoomConfig, rng: np.random.Generator, store: AudioStore) -> Mixture:
    """The mixture in a random room: each source at a place of its own, and noise that is recorded or babble, too.

    Raises:
        DataError: no data directory of rooms, or none of its rooms has so many responses. ConfigError: the settings'
            rooms have too few places.
    """
    has_noise = mixture.noise is not None and bool(mixture.noise.clips)
    need = len(mixture.sources) + has_noise
    if not need:
        return mixture
    if config.data is not None:
        shelf = store.surroundings.room_shelf(store.sample_rate)
        names = one_of(rng, shelf.rooms_of(need))
        parts = [{"rir": names[place]} for place in rng.choice(len(names), need, replace=False)]
    else:
        if need > config.places:
            raise ConfigError(f"room.places={config.places}: too few for {need} talkers and noises; raise it")
        room, places = pool_room(config, int(rng.integers(config.rooms)))
        parts = [{"position_m": places[place]} for place in rng.choice(len(places), need, replace=False)]
        mixture = replace(mixture, room=room)
    sources = tuple(replace(source, **part) for source, part in zip(mixture.sources, parts, strict=False))
    noise = replace(mixture.noise, **parts[-1]) if has_noise and mixture.noise is not None else mixture.noise
    return replace(mixture, sources=sources, noise=noise, target=config.target)


def draw_gaps(config: GapConfig, generators: Generators, count: int, rate: int) -> list[tuple[int, ...]]:
    """The lengths in samples of each of `count` talkers' gaps."""
    gaps: list[tuple[int, ...]] = []
    for _ in range(count):
        rng = generators.strikes("gaps", config.probability)
        own: list[int] = []
        if rng is not None:
            number = int(rng.integers(config.number[0], config.number[1] + 1))
            own = [max(1, round(uniform(rng, config.seconds) * rate)) for _ in range(number)]
        gaps.append(tuple(own))
    return gaps


def fitting(gaps: tuple[int, ...], most: int) -> tuple[int, ...]:
    """The first of the gaps, so many that they have at most `most` samples together."""
    return tuple(gap for gap, total in zip(gaps, accumulate(gaps), strict=True) if total <= most)


def with_gaps(source: Source, gaps: tuple[int, ...], rng: np.random.Generator, store: AudioStore) -> Source:
    """The source with silences of these lengths at random pauses of its speech; at random places where it has none."""
    frame = frame_length(store.sample_rate)
    active = store.speech(source.utterance, source.speed)[
        source.start // frame : (source.start + source.length) // frame
    ]
    edges = np.flatnonzero(np.diff(active.astype(np.int8)))
    ends, starts = edges[~active[edges]] + 1, edges[active[edges]] + 1  # of pauses
    middles = [int(start + end) // 2 * frame for start in starts for end in ends[ends > start][:1]]
    places: set[int] = set()
    for _ in gaps:
        left = [at for at in middles if at not in places and 0 < at < source.length]
        if left:
            places.add(left[int(rng.integers(len(left)))])
        elif source.length > 1:
            places.add(1 + int(rng.integers(source.length - 1)))
    return replace(source, gaps=tuple(zip(sorted(places), gaps, strict=False)))


def on_the_line(mixture: Mixture, config: MixtureConfig, generators: Generators) -> Mixture:
    """The mixture with its codec and its loudness."""
    rng = generators.strikes("codec", config.codec.probability)
    if rng is not None:
        band = uniform(rng, config.codec.low_hz), uniform(rng, config.codec.high_hz)
        mixture = replace(mixture, channel=Channel((), *band), codec=one_of(rng, config.codec.kinds))
    rng = generators.strikes("loudness", config.loudness.probability)
    if rng is not None:
        mixture = replace(mixture, loudness_lufs=uniform(rng, config.loudness.lufs))
    return mixture
