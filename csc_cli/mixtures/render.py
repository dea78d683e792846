"""A mixture's record -> its samples. A pure function, quick enough for the training loop."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from csc_cli.errors import AudioError, CscError, DataError
from csc_cli.mixtures import channel as channels
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.channel import band_centres
from csc_cli.mixtures.manifest import Channel, Mixture, Source
from csc_cli.mixtures.store import AudioStore

__all__ = ["AudioStore", "Rendered", "band_centres", "render"]


class Rendered(NamedTuple):
    """A mixture of C talkers and T samples, float32; `mixture` is the sum of the other two."""

    mixture: np.ndarray  # (T,)
    sources: np.ndarray  # (C, T), each as it stands in the mixture
    noise: np.ndarray  # (T,)


def render(mixture: Mixture, store: AudioStore) -> Rendered:
    """Cut, filter, scale and place each source, make the noise, and add.

    A source's level is set so that `active_level_db` of the placed source is its `level_db`: ratios of the
    levels are the signal-to-interference ratios over active speech, exactly. Nothing is clipped: samples
    may exceed 1, see `write.write_rendered`.

    Raises:
        CscError: naming the mixture and the source: unreadable, shorter than its range, silent.
    """
    if store.sample_rate != mixture.sample_rate:
        raise DataError(
            f"mixture '{mixture.id}' is at {mixture.sample_rate} Hz, the audio was asked for at "
            f"{store.sample_rate} Hz; make the mixtures at the rate that is wanted"
        )
    sources = np.zeros((len(mixture.sources), mixture.length), dtype=np.float32)
    for placed, source in zip(sources, mixture.sources, strict=True):
        try:
            _place(placed, source, mixture, store)
        except CscError as error:
            raise type(error)(f"mixture '{mixture.id}': {error}") from error
    noise = _noise(mixture)
    total = sources.sum(axis=0) if len(sources) != 1 else sources[0]
    return Rendered(total + noise, sources, noise)


def _place(placed: np.ndarray, source: Source, mixture: Mixture, store: AudioStore) -> None:
    samples = store.samples(source.utterance, source.speed)
    end = source.start + source.length
    if end > samples.size:
        raise AudioError(
            f"source '{source.utterance}' has {samples.size} samples at {mixture.sample_rate} Hz, fewer than "
            f"the end of its range, {end}; the recording is not the one that the mixture was made from"
        )
    heard = channels.apply(_both(source.channel, mixture.channel), samples[source.start : end], mixture.sample_rate)
    part = placed[source.onset : source.onset + source.length]
    part[:] = heard
    if source.level_db is None:
        part *= np.float32(source.gain or 0.0)
        return
    level = active_level_db(placed, mixture.sample_rate)
    if level == -np.inf:
        raise AudioError(f"source '{source.utterance}' is silent in samples {source.start} to {end}; leave it out")
    part *= np.float32(10 ** ((source.level_db - level) / 20))


def _both(*chain: Channel | None) -> tuple[Channel, ...]:
    return tuple(channel for channel in chain if channel is not None)


def _noise(mixture: Mixture) -> np.ndarray:
    if mixture.noise is None:
        return np.zeros(mixture.length, dtype=np.float32)
    noise = channels.generated_noise(
        mixture.noise.kind, mixture.length, mixture.sample_rate, mixture.noise.seed, _both(mixture.channel)
    )
    power = float(np.square(noise).mean(dtype=np.float64))
    if mixture.noise.level_db is None:
        return noise * np.float32(mixture.noise.gain or 0.0)
    noise *= np.float32(10 ** (mixture.noise.level_db / 20) / max(power, 1e-30) ** 0.5)
    return noise
