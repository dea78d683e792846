"""Mixtures whose parts are scaled first and then resampled as scipy does it: what LibriMix's scripts do.

A mixture with `resampler` "polyphase" has the samples of those scripts to the last bit: each recording is read whole
(of a noise's utterance, the segment), multiplied by its gain in float32, brought to the rate by
`scipy.signal.resample_poly` with that function's own filter, and cut.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from csc_cli.errors import AudioError, CscError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import Utterance
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import looped


def scaled(utterance: Utterance, gain: float, rate: int) -> np.ndarray:
    """The utterance times `gain`, at `rate` Hz: (T,) float32. Raises AudioError."""
    samples, own = read_audio(utterance)
    samples = samples * np.float32(gain)
    if own == rate:
        return samples
    from scipy.signal import resample_poly  # 0.7 s of processor time to import

    common = gcd(own, rate)
    return np.asarray(resample_poly(samples, rate // common, own // common), dtype=np.float32)


def parts(mixture: Mixture, store: AudioStore) -> tuple[np.ndarray, np.ndarray]:
    """The talkers and the noise as they stand in the mixture: (C, T) and (T,) float32.

    A noise that ends before the mixture goes on from its beginning.

    Raises:
        AudioError: a recording that cannot be read, or that ends before its range. DataError: no such utterance.
    """
    try:
        return _sources(mixture, store), _noise(mixture, store)
    except CscError as error:
        raise type(error)(f"mixture '{mixture.id}': {error}") from error


def _noise(mixture: Mixture, store: AudioStore) -> np.ndarray:
    total = np.zeros(mixture.length, dtype=np.float32)
    if mixture.noise is not None:
        for clip in mixture.noise.clips:
            utterance = store.surroundings.noise_shelf(mixture.sample_rate).utterance(clip.utterance)
            samples = scaled(utterance, mixture.noise.gain or 0.0, mixture.sample_rate)
            if clip.start >= samples.size:
                raise AudioError(
                    f"noise '{clip.utterance}' has {samples.size} samples, none at its start, {clip.start}"
                )
            total += looped(samples, clip.start, total.size)
    return total


def _sources(mixture: Mixture, store: AudioStore) -> np.ndarray:
    placed = np.zeros((len(mixture.sources), mixture.length), dtype=np.float32)
    for row, source in zip(placed, mixture.sources, strict=True):
        samples = scaled(store.utterance(source.utterance), source.gain or 0.0, mixture.sample_rate)
        end = source.start + source.length
        if end > samples.size:
            raise AudioError(
                f"source '{source.utterance}' has {samples.size} samples at {mixture.sample_rate} Hz, fewer than "
                f"the end of its range, {end}; the recording is not the one that the mixture was made from"
            )
        row[source.onset : source.onset + source.length] = samples[source.start : end]
    return placed
