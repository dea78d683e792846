"""Energy and seconds of streams, against signals made to have them."""

import numpy as np
import pytest

from csc_cli.extraction.activity import active_streams, activity, frame_energies

RATE = 8000


def heard(streams: np.ndarray, recording: np.ndarray):
    return activity(frame_energies(streams, RATE), frame_energies(recording, RATE), len(recording) / RATE)


def test_two_talkers_one_after_the_other():
    draw = np.random.default_rng(0)
    noise = draw.normal(size=(2, 10 * RATE))
    streams = np.zeros_like(noise)
    streams[0, : 2 * RATE] = noise[0, : 2 * RATE]
    streams[1, 4 * RATE : 9 * RATE] = 0.1 * noise[1, 4 * RATE : 9 * RATE]
    result = heard(streams, streams.sum(0))
    share = np.square(streams).sum(1) / np.square(streams).sum()
    np.testing.assert_allclose(result.energy_db, 10 * np.log10(share))
    np.testing.assert_allclose(result.seconds, [2, 5], atol=0.021)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
def test_the_level_of_a_recording_says_nothing(scale):
    draw = np.random.default_rng(1)
    streams = draw.normal(size=(3, 5001)) * np.array([[1.0], [0.03], [0.001]])
    one, other = heard(streams, streams.sum(0)), heard(scale * streams, scale * streams.sum(0))
    np.testing.assert_allclose(other.energy_db, one.energy_db, atol=1e-9)
    np.testing.assert_array_equal(other.seconds, one.seconds)
    assert one.seconds[0] == 5001 / RATE  # the last, partial frame is no more than it is
    assert one.seconds[2] == 0


def test_silent_streams_are_finite():
    result = heard(np.zeros((2, 800)), np.ones(800))
    assert np.isfinite(result.energy_db).all() and (result.seconds == 0).all()


@pytest.mark.parametrize(
    "energy_db, expected", [([-1, -14], [0, 1]), ([-20, -1], [1]), ([-40, -30, -50], [1]), ([-15, -15], [0, 1])]
)
def test_active_streams(energy_db, expected):
    assert active_streams(np.array(energy_db), -15.0) == expected
