"""Utterances -> the record of a random mixture: who speaks, which samples, when, how loud, through what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from csc_cli.errors import ConfigError, CscError
from csc_cli.mixtures.activity import frame_length
from csc_cli.mixtures.conditions import (
    DIGITS,
    Generators,
    draw_gaps,
    draw_noise,
    fitting,
    in_room,
    on_the_line,
    one_of,
    uniform,
    with_clips,
    with_gaps,
)
from csc_cli.mixtures.records import Channel, Mixture, Source
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, MixtureConfig
from csc_cli.mixtures.store import AudioStore

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

__all__ = ["MixtureConfig", "draw_channel", "draw_noise", "plan_mixture"]


def plan_mixture(
    id: str,
    utterances: Sequence[Utterance],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
    length: int | None = None,
    condition: str = "",
    speeds: Sequence[float] | None = None,
    voices: Sequence[Utterance] = (),
) -> Mixture:
    """A random mixture of the given utterances, the first of which the ratios refer to.

    Args:
        utterances: 0 to C of them; none gives noise alone (which needs a fixed length).
        rng: the mixture's own generator; it and the utterances decide everything.
        length: samples of the mixture, in place of `config.crop_s`.
        speeds: of each utterance, in place of a draw from `config.speeds`.
        voices: utterances of other speakers, for babble (`config.noise.babble[1]` of them).

    With a fixed length each source is a stretch of its utterance that starts inside its speech and is at
    least half active where the utterance allows; one whose speech is shorter stands at a random place.
    Otherwise each source is all of its utterance's speech, without the silence at its ends.

    Raises:
        CscError: naming the mixture: an utterance that cannot be read, or is silent; no folder of noises or rooms.
    """
    if length is None and config.crop_s is not None:
        length = round(config.crop_s * config.sample_rate)
    if not utterances and length is None:
        raise ConfigError(f"mixture '{id}': noise alone needs a fixed length; set crop_s")
    generators = Generators(rng, config)
    if speeds is None:
        speeds = [one_of(rng, config.speeds) for _ in utterances]
    gaps = draw_gaps(config.gaps, generators, len(utterances), config.sample_rate)
    try:
        if length is None:
            parts, length = _whole(utterances, speeds, config, rng, store, gaps)
        else:
            parts = _crops(utterances, speeds, config, rng, store, length, gaps)
        level_db = uniform(rng, config.level_db)
        sources = []
        for index, (utterance, speed, (start, count, onset)) in enumerate(zip(utterances, speeds, parts, strict=True)):
            sir_db = uniform(rng, config.sir_db) if index else 0.0
            channel = draw_channel(rng, config)
            at_db = round(level_db - sir_db, DIGITS)
            sources.append(Source(utterance.id, utterance.speaker, start, count, onset, at_db, channel, speed))
        noise = draw_noise(rng, config.noise, level_db)
        mixture = Mixture(id, config.sample_rate, length, tuple(sources), noise, None, condition)
        return _surround(mixture, config, generators, store, gaps, voices)
    except CscError as error:
        raise type(error)(f"mixture '{id}': {error}") from error


def _surround(
    mixture: Mixture, config: MixtureConfig, generators: Generators, store: AudioStore,
    gaps: Sequence[tuple[int, ...]], voices: Sequence[Utterance],
) -> Mixture:  # fmt: skip
    """The mixture with all that the blocks beyond the noise's level draw."""
    if not generators:
        return mixture
    if any(gaps):
        rng = generators["gaps"]
        pairs = zip(mixture.sources, gaps, strict=True)
        sources = tuple(with_gaps(source, own, rng, store) if own else source for source, own in pairs)
        mixture = replace(mixture, sources=sources)
    if mixture.noise is not None and mixture.noise.clips:
        noise = with_clips(mixture.noise, config.noise, generators["noise"], store, mixture.length, voices)
        mixture = replace(mixture, noise=noise)
    rng_room = generators.strikes("room", config.room.probability)
    if rng_room is not None:
        mixture = in_room(mixture, config.room, rng_room, store)
    return on_the_line(mixture, config, generators)


class ChannelSettings(Protocol):
    """Settings that have the blocks of a channel, such as `MixtureConfig`."""

    @property
    def equaliser(self) -> EqualiserConfig: ...

    @property
    def band_limit(self) -> BandLimitConfig: ...


def draw_channel(rng: np.random.Generator, config: ChannelSettings) -> Channel | None:
    """A random channel, or None where neither block's probability strikes."""
    equaliser, band_limit = config.equaliser, config.band_limit
    gains: tuple[float, ...] = ()
    band: tuple[float, ...] = ()
    if rng.random() < equaliser.probability:
        drawn = rng.uniform(-equaliser.max_db, equaliser.max_db, equaliser.bands)
        gains = tuple([round(gain, DIGITS) for gain in drawn.tolist()])
    if rng.random() < band_limit.probability:
        band = (uniform(rng, band_limit.low_hz), uniform(rng, band_limit.high_hz))
    return Channel(gains, *band) if gains or band else None


Part = tuple[int, int, int]  # start, length, onset


def _crops(
    utterances: Sequence[Utterance],
    speeds: Sequence[float],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
    length: int,
    gaps: list[tuple[int, ...]],
) -> list[Part]:
    """Sources that fill `length` samples, each overlapping the next by the ratio drawn (ours).

    `gaps` loses those that do not fit.
    """
    if not utterances:
        return []
    overlap = uniform(rng, config.overlap) if len(utterances) > 1 else 1.0
    # C stretches of n samples, each beginning (1 - overlap) n after the one before, end at `length`.
    stretch = max(1, min(length, round(length / (1 + (len(utterances) - 1) * (1 - overlap)))))
    order = rng.permutation(len(utterances)) if stretch < length else range(len(utterances))
    parts = []
    for index, (utterance, speed, place) in enumerate(zip(utterances, speeds, order, strict=True)):
        gaps[index] = fitting(gaps[index], stretch // 2)
        silence = sum(gaps[index])
        start, count = draw_crop(utterance.id, stretch - silence, rng, store, speed)
        onset = round(int(place) * (length - stretch) / max(1, len(utterances) - 1))
        if count + silence < stretch:
            onset += int(rng.integers(stretch - count - silence + 1))
        parts.append((start, count, onset))
    return parts


def draw_crop(
    utterance: str, length: int, rng: np.random.Generator, store: AudioStore, speed: float = 1.0
) -> tuple[int, int]:
    """(start, length) of a stretch of at most `length` samples inside the utterance's speech.

    At least half of it is active wherever the utterance has such a stretch, else as much as it has.
    """
    first, end = store.active_range(utterance, speed)
    if end - first <= length:
        return first, end - first
    frame = frame_length(store.sample_rate)
    starts = store.crop_starts(utterance, max(1, length // frame), speed)
    start = first + int(starts[int(rng.integers(starts.size))]) * frame + int(rng.integers(frame))
    return min(start, end - length), length


def _whole(
    utterances: Sequence[Utterance],
    speeds: Sequence[float],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
    gaps: Sequence[tuple[int, ...]],
) -> tuple[list[Part], int]:
    """Each utterance's speech, cut as `config.mode` says, overlapping by the ratio drawn; and the total length."""
    ranges = [store.active_range(utterance.id, speed) for utterance, speed in zip(utterances, speeds, strict=True)]
    silences = [sum(own) for own in gaps]
    lengths = [end - start + silence for (start, end), silence in zip(ranges, silences, strict=True)]
    longest = {"min": min(lengths), "max": max(lengths), "first": lengths[0]}[config.mode]
    parts = [
        draw_crop(utterance.id, max(1, longest - silence), rng, store, speed)
        for utterance, speed, silence in zip(utterances, speeds, silences, strict=True)
    ]
    extents = [count + silence for (_, count), silence in zip(parts, silences, strict=True)]
    begin, end = 0, extents[0]
    onsets = [0]
    for extent in extents[1:]:
        onset = begin + _offset(end - begin, extent, uniform(rng, config.overlap), rng)
        onsets.append(onset)
        begin, end = min(begin, onset), max(end, onset + extent)
    return [(start, count, onset - begin) for (start, count), onset in zip(parts, onsets, strict=True)], end - begin


def _offset(placed: int, count: int, overlap: float, rng: np.random.Generator) -> int:
    """Where a stretch of `count` begins, relative to one of `placed` samples that it overlaps by the ratio.

    The ratio is of the shorter one; 1 lays it anywhere inside the longer one, less lets it stick out at
    either end.
    """
    if overlap == 1.0:
        room = placed - count
        return int(rng.integers(min(0, room), max(0, room) + 1))
    common = round(overlap * min(placed, count))
    return placed - common if rng.random() < 0.5 else common - count
