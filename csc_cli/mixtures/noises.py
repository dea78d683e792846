"""The noise of a mixture: generated, recorded, or a babble of voices."""

from __future__ import annotations

import numpy as np

from csc_cli.errors import AudioError
from csc_cli.mixtures import channel as channels
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.records import Mixture, Noise
from csc_cli.mixtures.reverberate import both, response_of, reverberate
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import looped


def render_noise(mixture: Mixture, store: AudioStore) -> np.ndarray:
    """The mixture's noise (T,) float32, zeros where it has none.

    Raises:
        CscError: a recording that is not there, cannot be read, begins after its end, is silent.
    """
    noise = mixture.noise
    if noise is None:
        return np.zeros(mixture.length, dtype=np.float32)
    own, rate, response = both(mixture.channel), mixture.sample_rate, response_of(noise, mixture, store)
    if noise.kind in ("white", "pink"):
        samples = channels.generated_noise(noise.kind, mixture.length, rate, noise.seed, own)
    else:
        # What came before the mixture began is still in the room.
        before = 0 if response is None else response.samples.size
        samples = channels.apply(own, _clips(noise, mixture.length, before, store), rate)
        if response is not None:
            samples = reverberate(samples, (), response, samples.size, mixture, early=False)[0][before:]
    if noise.level_db is None:
        return samples * np.float32(noise.gain or 0.0)
    power = float(np.square(samples).mean(dtype=np.float64))
    if power == 0 and noise.clips:
        names = ", ".join(clip.utterance for clip in noise.clips)
        raise AudioError(f"the noise of {names} is silent: all samples are zero; leave it out")
    return samples * np.float32(10 ** (noise.level_db / 20) / max(power, 1e-30) ** 0.5)


def _clips(noise: Noise, length: int, before: int, store: AudioStore) -> np.ndarray:
    """The sum (before + length,) of the noise's recordings, each of them beginning `before` samples early."""
    total = np.zeros(before + length, dtype=np.float32)
    for clip in noise.clips:
        name = clip.utterance
        if noise.kind == "recorded":
            shelf = store.surroundings.noise_shelf(store.sample_rate)
            start = _early(name, clip.start, before, shelf.length(name))
            total += shelf.stretch(name, start, total.size)
            continue
        voice = store.samples(name)
        start = _early(name, clip.start, before, voice.size)
        level = active_level_db(voice, store.sample_rate)
        if level == -np.inf:
            raise AudioError(f"noise '{name}' is silent: all samples are zero; leave it out")
        total += looped(voice, start, total.size) * np.float32(10 ** (-level / 20))
    return total


def _early(name: str, start: int, before: int, size: int) -> int:
    if start >= size:
        raise AudioError(
            f"noise '{name}' has {size} samples, none at its start, {start}; the recording is not the one that the "
            "mixture was made from"
        )
    return (start - before) % size
