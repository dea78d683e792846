"""Kaldi's energy detector: against its definition, written out frame by frame, and torchaudio's features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli import dsp
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.vad import FrameConfig, VadConfig, decide, log_energies, speech_ranges


def by_definition(log_energy: list[float], config: VadConfig) -> list[bool]:
    """Each frame by itself: how many of its neighbours within the utterance are above the threshold."""
    threshold = config.energy_threshold + config.energy_mean_scale * sum(log_energy) / max(1, len(log_energy))
    voiced = []
    for frame in range(len(log_energy)):
        near = [i for i in range(len(log_energy)) if abs(i - frame) <= config.frames_context]
        above = sum(log_energy[i] > threshold for i in near)
        voiced.append(above >= len(near) * config.proportion_threshold)
    return voiced


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-40, 60), max_size=40),
    st.integers(0, 6),
    st.sampled_from([0.12, 0.25, 0.5, 0.6, 0.7, 0.99]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_decisions_are_those_of_the_definition(levels: list[int], context: int, share: float, scale: float) -> None:
    # Whole numbers and a threshold between them: no decision hangs on rounding.
    config = VadConfig(
        energy_threshold=5.0371, energy_mean_scale=scale, frames_context=context, proportion_threshold=share
    )
    assert decide(np.array(levels), config).tolist() == by_definition(levels, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"energy_threshold": math.nan}, "--vad-energy-threshold"),
        ({"energy_mean_scale": -0.1}, "--vad-energy-mean-scale"),
        ({"frames_context": -1}, "--vad-frames-context"),
        ({"proportion_threshold": 0.0}, "--vad-proportion-threshold"),
        ({"proportion_threshold": 1.0}, "--vad-proportion-threshold"),
    ],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VadConfig(**settings)
    with pytest.raises(ConfigError, match="--frame-length"):
        FrameConfig(length_ms=5, shift_ms=10)
    with pytest.raises(ConfigError, match="--dither"):
        FrameConfig(dither=-1)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("seconds", [0.0251, 0.1, 1.2345])
def test_log_energy_is_the_first_coefficient_of_kaldis_mfcc(sample_rate: int, snip_edges: bool, seconds: float) -> None:
    import torch

    dsp.torchaudio()
    from torchaudio.compliance import kaldi

    draw = np.random.default_rng([sample_rate, snip_edges])
    samples = (draw.uniform(-0.5, 0.5, int(seconds * sample_rate) + 1) + 0.1).astype(np.float32)
    known = kaldi.mfcc(
        torch.from_numpy(samples * 32768)[None],
        sample_frequency=sample_rate,
        snip_edges=snip_edges,
        dither=0.0,
        use_energy=True,
        energy_floor=0.0,
    )
    ours = log_energies(samples, sample_rate, FrameConfig(snip_edges=snip_edges, dither=0.0))
    np.testing.assert_allclose(ours, known[:, 0].numpy(), atol=2e-5)


def test_dither_adds_the_energy_that_noise_has_in_the_mean() -> None:
    draw = np.random.default_rng(0)
    quiet = draw.normal(0, 0.5, 8000) / 32768
    noisy = [
        np.exp(log_energies(quiet + draw.normal(0, 2.0, 8000) / 32768, 8000, FrameConfig(dither=0)).astype(float))
        for _ in range(400)
    ]
    expected = np.exp(log_energies(quiet, 8000, FrameConfig(dither=2.0)).astype(float))
    np.testing.assert_allclose(np.mean(noisy, axis=0), expected, rtol=0.03)


def test_silence_and_what_is_shorter_than_a_frame() -> None:
    assert log_energies(np.zeros(199), 8000, FrameConfig()).size == 0
    assert log_energies(np.zeros(0), 8000, FrameConfig(snip_edges=False)).size == 0
    assert np.allclose(log_energies(np.zeros(400), 8000, FrameConfig(dither=0)), math.log(2.0**-23))
    assert log_energies(np.zeros(50), 8000, FrameConfig(snip_edges=False)).size == 1


def test_long_recordings_are_as_their_parts() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 80 * 6000)  # more than a block of frames
    whole = log_energies(samples, 8000, FrameConfig())
    part = log_energies(samples[80 * 4000 :], 8000, FrameConfig())
    np.testing.assert_array_equal(whole[4000:], part)


@settings(max_examples=200, deadline=None)
@given(st.integers(200, 30000), st.sampled_from([8000, 11025, 16000]), st.booleans(), st.integers(0, 1000))
def test_each_frame_decides_for_the_samples_around_its_centre(size: int, rate: int, snip: bool, seed: int) -> None:
    config = FrameConfig(snip_edges=snip)
    voiced = np.random.default_rng(seed).random(config.count(size, rate)) < 0.5
    if not len(voiced):
        return
    ranges = speech_ranges(voiced, size, rate)
    marked = np.zeros(size, bool)
    for first, end in ranges:
        assert 0 <= first < end <= size
        marked[first:end] = True
    assert (np.diff(ranges.ravel()) > 0).all()
    length, shift = config.samples(rate)
    start = 0 if snip else shift // 2 - length // 2
    for frame, is_voiced in enumerate(voiced):
        centre = start + frame * shift + length // 2
        if 0 <= centre < size:
            assert marked[centre] == is_voiced
    assert marked[0] == voiced[0] and marked.all() == voiced.all() and marked.any() == voiced.any()


def test_decisions_of_other_recordings_are_refused() -> None:
    for count in (0, 90, 110):
        with pytest.raises(DataError, match=f"{count} decisions for 1.00 s, which are about 100 frames"):
            speech_ranges(np.ones(count, bool), 8000, 8000)
    assert speech_ranges(np.ones(99, bool), 8000, 8000).tolist() == [[0, 8000]]
