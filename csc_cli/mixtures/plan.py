"""Utterances -> the record of a random mixture: who speaks, which samples, when, how loud, through what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from csc_cli.errors import ConfigError, CscError
from csc_cli.mixtures.activity import frame_length
from csc_cli.mixtures.manifest import Channel, Mixture, Noise, Source
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, MixtureConfig, NoiseConfig, Range
from csc_cli.mixtures.store import AudioStore

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

__all__ = ["MixtureConfig", "draw_channel", "draw_noise", "plan_mixture"]

Choice = TypeVar("Choice")
DIGITS = 6  # of decibels and hertz in a plan: coarser than the rounding errors of any platform


def plan_mixture(
    id: str,
    utterances: Sequence[Utterance],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
    length: int | None = None,
    condition: str = "",
    speeds: Sequence[float] | None = None,
) -> Mixture:
    """A random mixture of the given utterances, the first of which the ratios refer to.

    Args:
        utterances: 0 to C of them; none gives noise alone (which needs a fixed length).
        rng: the mixture's own generator; it and the utterances decide everything.
        length: samples of the mixture, in place of `config.crop_s`.
        speeds: of each utterance, in place of a draw from `config.speeds`.

    With a fixed length each source is a stretch of its utterance that starts inside its speech and is at
    least half active where the utterance allows; one whose speech is shorter stands at a random place.
    Otherwise each source is all of its utterance's speech, without the silence at its ends.

    Raises:
        CscError: naming the mixture: an utterance that cannot be read, or is silent.
    """
    if length is None and config.crop_s is not None:
        length = round(config.crop_s * config.sample_rate)
    if not utterances and length is None:
        raise ConfigError(f"mixture '{id}': noise alone needs a fixed length; set crop_s")
    if speeds is None:
        speeds = [_one_of(rng, config.speeds) for _ in utterances]
    try:
        if length is None:
            parts, length = _whole(utterances, speeds, config, rng, store)
        else:
            parts = _crops(utterances, speeds, config, rng, store, length)
    except CscError as error:
        raise type(error)(f"mixture '{id}': {error}") from error
    level_db = uniform(rng, config.level_db)
    sources = []
    for index, (utterance, speed, (start, count, onset)) in enumerate(zip(utterances, speeds, parts, strict=True)):
        sir_db = uniform(rng, config.sir_db) if index else 0.0
        channel = draw_channel(rng, config)
        at_db = round(level_db - sir_db, DIGITS)
        sources.append(Source(utterance.id, utterance.speaker, start, count, onset, at_db, channel, speed))
    noise = draw_noise(rng, config.noise, level_db)
    return Mixture(id, config.sample_rate, length, tuple(sources), noise, None, condition)


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
        gains = tuple(round(gain, DIGITS) for gain in drawn.tolist())
    if rng.random() < band_limit.probability:
        band = (uniform(rng, band_limit.low_hz), uniform(rng, band_limit.high_hz))
    return Channel(gains, *band) if gains or band else None


def draw_noise(rng: np.random.Generator, config: NoiseConfig, level_db: float) -> Noise | None:
    """Random noise below speech of `level_db`, or None where the probability does not strike."""
    if rng.random() >= config.probability:
        return None
    at_db = round(level_db - uniform(rng, config.snr_db), DIGITS)
    return Noise(_one_of(rng, config.kinds), at_db, int(rng.integers(1 << 53)))


def uniform(rng: np.random.Generator, limits: Range) -> float:
    """A number of the range, rounded as plans are."""
    return round(limits[0] + (limits[1] - limits[0]) * rng.random(), DIGITS)


def _one_of(rng: np.random.Generator, choices: Sequence[Choice]) -> Choice:
    return choices[0] if len(choices) == 1 else choices[int(rng.integers(len(choices)))]


Part = tuple[int, int, int]  # start, length, onset


def _crops(
    utterances: Sequence[Utterance],
    speeds: Sequence[float],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
    length: int,
) -> list[Part]:
    """Sources that fill `length` samples, each overlapping the next by the ratio drawn (ours)."""
    if not utterances:
        return []
    overlap = uniform(rng, config.overlap) if len(utterances) > 1 else 1.0
    # C stretches of n samples, each beginning (1 - overlap) n after the one before, end at `length`.
    stretch = max(1, min(length, round(length / (1 + (len(utterances) - 1) * (1 - overlap)))))
    order = rng.permutation(len(utterances)) if stretch < length else range(len(utterances))
    parts = []
    for utterance, speed, place in zip(utterances, speeds, order, strict=True):
        start, count = draw_crop(utterance.id, stretch, rng, store, speed)
        onset = round(int(place) * (length - stretch) / max(1, len(utterances) - 1))
        if count < stretch:
            onset += int(rng.integers(stretch - count + 1))
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
    active = store.speech(utterance, speed)[first // frame :]
    frames = max(1, length // frame)
    counts = np.concatenate(([0], np.cumsum(active)))
    counts = counts[frames:] - counts[:-frames]  # active frames from each first frame on
    starts = np.flatnonzero(counts >= min(frames / 2 + 1, counts.max()))
    start = first + int(starts[int(rng.integers(starts.size))]) * frame + int(rng.integers(frame))
    return min(start, end - length), length


def _whole(
    utterances: Sequence[Utterance],
    speeds: Sequence[float],
    config: MixtureConfig,
    rng: np.random.Generator,
    store: AudioStore,
) -> tuple[list[Part], int]:
    """Each utterance's speech, cut as `config.mode` says, overlapping by the ratio drawn; and the total length."""
    ranges = [store.active_range(utterance.id, speed) for utterance, speed in zip(utterances, speeds, strict=True)]
    lengths = [end - start for start, end in ranges]
    longest = {"min": min(lengths), "max": max(lengths), "first": lengths[0]}[config.mode]
    pairs = zip(utterances, speeds, strict=True)
    crops = [draw_crop(utterance.id, longest, rng, store, speed) for utterance, speed in pairs]
    begin, end = 0, crops[0][1]
    onsets = [0]
    for _, count in crops[1:]:
        onset = begin + _offset(end - begin, count, uniform(rng, config.overlap), rng)
        onsets.append(onset)
        begin, end = min(begin, onset), max(end, onset + count)
    return [(start, count, onset - begin) for (start, count), onset in zip(crops, onsets, strict=True)], end - begin


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
