"""A mixture's record -> its samples. A pure function, quick enough for the training loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from csc_cli.errors import AudioError, CscError, DataError
from csc_cli.mixtures import channel as channels
from csc_cli.mixtures import polyphase
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.channel import band_centres
from csc_cli.mixtures.codec import transmit
from csc_cli.mixtures.loudness import loudness_lufs
from csc_cli.mixtures.noises import render_noise
from csc_cli.mixtures.records import Mixture, Source
from csc_cli.mixtures.reverberate import both, response_of, reverberate
from csc_cli.mixtures.store import AudioStore

__all__ = ["AudioStore", "Rendered", "band_centres", "render"]

FADE_S = 0.005  # at either end of a talker's gap


class Rendered(NamedTuple):
    """A mixture of C talkers and T samples, float32; `mixture` is the sum of `sources` and `noise`."""

    mixture: np.ndarray  # (T,)
    sources: np.ndarray  # (C, T), each as it stands in the mixture
    noise: np.ndarray  # (T,), with what a codec adds
    targets: np.ndarray  # (C, T), what separation should give: `sources` themselves, or their early parts


def render(mixture: Mixture, store: AudioStore) -> Rendered:
    """Cut, filter, reverberate, scale and place each source, make the noise, add, and send it through the codec.

    A source's level is set so that `active_level_db` of the placed, reverberant source is its `level_db`: ratios of
    the levels are the signal-to-interference ratios over active speech, exactly. Nothing is clipped: samples
    may exceed 1, see `write.write_rendered`.

    Raises:
        CscError: naming the mixture and the source: unreadable, shorter than its range, silent; a noise or an
            impulse response that is not there.
    """
    if store.sample_rate != mixture.sample_rate:
        raise DataError(
            f"mixture '{mixture.id}' is at {mixture.sample_rate} Hz, the audio was asked for at "
            f"{store.sample_rate} Hz; make the mixtures at the rate that is wanted"
        )
    if mixture.resampler:
        sources, noise = polyphase.parts(mixture, store)
        return Rendered(sources.sum(axis=0) + noise, sources, noise, sources)
    sources = np.zeros((len(mixture.sources), mixture.length), dtype=np.float32)
    reverberant = any(source.rir or source.position_m for source in mixture.sources)
    targets = np.zeros_like(sources) if mixture.target == "early" and reverberant else sources
    try:
        for place, source in enumerate(mixture.sources):
            _place(sources[place], None if targets is sources else targets[place], source, mixture, store)
        noise = render_noise(mixture, store)
        total = sources.sum(axis=0) if len(sources) != 1 else sources[0]
        total = total + noise
        if mixture.loudness_lufs is not None:
            factor = _to_loudness(total, mixture)
            for part in (total, sources, noise, *(() if targets is sources else (targets,))):
                part *= factor
    except CscError as error:
        raise type(error)(f"mixture '{mixture.id}': {error}") from error
    if mixture.codec:
        sent = transmit(total, mixture.sample_rate, mixture.codec)
        noise += sent - total
        total = sent
    return Rendered(total, sources, noise, targets)


def _place(placed: np.ndarray, target: np.ndarray | None, source: Source, mixture: Mixture, store: AudioStore) -> None:
    """Fill in the source as it is heard (T,), and its target where that is something else."""
    end = source.start + source.length
    cut = store.part(source.utterance, source.start, end, source.speed)
    if cut.size < source.length:
        size = store.samples(source.utterance, source.speed).size
        raise AudioError(
            f"source '{source.utterance}' has {size} samples at {mixture.sample_rate} Hz, fewer than "
            f"the end of its range, {end}; the recording is not the one that the mixture was made from"
        )
    own = both(source.channel, mixture.channel)
    if source.gaps:
        cut, own = _with_gaps(channels.apply(own, cut, mixture.sample_rate), source, mixture.sample_rate), ()
    response = response_of(source, mixture, store)
    room = mixture.length - source.onset
    if response is None:
        heard = channels.apply(own, cut, mixture.sample_rate)
        early = None
    else:
        heard, early = reverberate(cut, own, response, room, mixture, early=target is not None)
    placed[source.onset : source.onset + heard.size] = heard
    gain = _gain(placed, source, mixture.sample_rate)
    placed[source.onset :] *= gain
    if target is not None:
        part = heard if early is None else early
        target[source.onset : source.onset + part.size] = part * gain


def _gain(placed: np.ndarray, source: Source, rate: int) -> np.float32:
    if source.level_db is None:
        return np.float32(source.gain or 0.0)
    level = active_level_db(placed, rate)
    if level == -np.inf:
        end = source.start + source.length
        raise AudioError(f"source '{source.utterance}' is silent in samples {source.start} to {end}; leave it out")
    return np.float32(10 ** ((source.level_db - level) / 20))


def _with_gaps(samples: np.ndarray, source: Source, rate: int) -> np.ndarray:
    """The range with its silences put in; speech fades out before each of them and in after it."""
    fade = round(FADE_S * rate)
    pieces, begin = [], 0
    for at, silence in (*source.gaps, (source.length, 0)):
        piece = samples[begin:at].copy()
        ramp = np.sin(np.pi / 2 * np.arange(1, min(fade, piece.size) + 1) / (min(fade, piece.size) + 1)) ** 2
        if begin:
            piece[: ramp.size] *= ramp.astype(np.float32)
        if at < source.length:
            piece[piece.size - ramp.size :] *= ramp[::-1].astype(np.float32)
        pieces += [piece, np.zeros(silence, np.float32)]
        begin = at
    return np.concatenate(pieces)


def _to_loudness(total: np.ndarray, mixture: Mixture) -> np.float32:
    found = loudness_lufs(total, mixture.sample_rate)
    if found == -np.inf or mixture.loudness_lufs is None:
        raise AudioError("is silent or too quiet for a loudness to be measured (below -70 LUFS); raise level_db")
    return np.float32(10 ** ((mixture.loudness_lufs - found) / 20))
