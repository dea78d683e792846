"""The detector against signals whose activity is known, and invariances."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.mixtures.activity import active_level_db, active_range, activity

RATE = 8000


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def bursts(rng, noise_db=-60.0):
    """3 s of noise at `noise_db` with bursts of -20 dBFS at 0.5 to 1 s and 1.5 to 2.5 s."""
    samples = 10 ** (noise_db / 20) * rng.standard_normal(3 * RATE)
    for begin, end in ((0.5, 1.0), (1.5, 2.5)):
        part = slice(round(begin * RATE), round(end * RATE))
        samples[part] = 0.1 * rng.standard_normal(part.stop - part.start)
    return samples.astype(np.float32)


@pytest.mark.parametrize("noise_db", [-200.0, -70.0, -50.0, -40.0])
def test_finds_bursts_to_two_frames(rng, noise_db):
    found = activity(bursts(rng, noise_db), RATE)
    truth = np.zeros(300, bool)
    truth[50:100] = truth[150:250] = True
    assert found.size == 300
    wrong = np.flatnonzero(found != truth)
    edges = np.array([50, 100, 150, 250])
    assert all(np.abs(edges - frame).min() <= 3 for frame in wrong)


def test_level_is_that_of_the_bursts(rng):
    # The smoothing may take in 4 frames a burst that hold next to nothing: 158 frames in place of 150.
    assert active_level_db(bursts(rng), RATE) == pytest.approx(-20, abs=0.35)
    assert active_level_db(0.1 * np.ones(8003, np.float32), RATE) == pytest.approx(-20, abs=1e-6)


@pytest.mark.parametrize("length", [1, 79, 80, 81, 8003])
def test_level_counts_a_part_of_a_frame_as_it_is(rng, length):
    samples = rng.choice([-0.25, 0.25], length).astype(np.float32)
    assert active_level_db(samples, RATE) == pytest.approx(20 * np.log10(0.25), abs=1e-5)


@pytest.mark.parametrize("gain", [1e-6, 0.01, 3.0, 1e4])
def test_scale_changes_nothing(rng, gain):
    samples = bursts(rng)
    assert np.array_equal(activity(samples, RATE), activity(samples * np.float32(gain), RATE))
    level = active_level_db(samples * np.float32(gain), RATE)
    assert level == pytest.approx(active_level_db(samples, RATE) + 20 * np.log10(gain), abs=1e-4)


def test_silence_around_changes_nothing(rng):
    samples = bursts(rng)
    padded = np.concatenate([np.zeros(5 * RATE, np.float32), samples, np.zeros(80 * 31, np.float32)])
    found = activity(padded, RATE)
    assert np.array_equal(found[500:800], activity(samples, RATE))
    assert not found[:500].any()
    assert not found[800:].any()


def test_clicks_do_not_stretch_the_range_unless_there_is_nothing_else(rng):
    samples = bursts(rng)
    begin, end = active_range(activity(samples, RATE))
    assert abs(begin - 50) <= 3
    assert abs(end - 250) <= 3
    samples[1600:1640] = samples[22400:22480] = 0.5
    assert activity(samples, RATE)[270:].any()
    assert active_range(activity(samples, RATE)) == (begin, end)
    alone = np.zeros(RATE, np.float32)
    alone[4000:4040] = 0.5
    begin, end = active_range(activity(alone, RATE))
    assert begin <= 50 < end <= begin + 5


def test_all_of_a_steady_sound_is_active(rng):
    assert activity(rng.standard_normal(RATE).astype(np.float32), RATE).all()


def test_zeros_and_nothing_are_silent():
    assert not activity(np.zeros(1000, np.float32), RATE).any()
    assert activity(np.zeros(1000, np.float32), RATE).size == 13
    assert activity(np.zeros(0, np.float32), RATE).size == 0
    assert active_level_db(np.zeros(1000, np.float32), RATE) == -np.inf
    assert active_level_db(np.zeros(0, np.float32), RATE) == -np.inf
