"""Loudness: the recommendation's coefficients, its calibration tone, and its gates by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from csc_cli.mixtures.loudness import loudness_lufs

# ITU-R BS.1770-4, tables 1 and 2, at 48 kHz.
SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def slow_lufs(samples: np.ndarray) -> float:
    """By recursive filters in float64 and a loop over blocks, at 48 kHz."""
    weighted = scipy.signal.lfilter(*HIGH_PASS, scipy.signal.lfilter(*SHELF, np.float64(samples)))
    means = [np.mean(weighted[at : at + 19200] ** 2) for at in range(0, len(samples) - 19200 + 1, 4800)]
    loudness = [-0.691 + 10 * np.log10(max(mean, 1e-30)) for mean in means]
    kept = [mean for mean, level in zip(means, loudness) if level > -70]
    gate = -0.691 + 10 * np.log10(np.mean(kept)) - 10
    kept = [mean for mean, level in zip(means, loudness) if level > -70 and level > gate]
    return -0.691 + 10 * np.log10(np.mean(kept))


def test_equals_the_slow_meter_at_48_khz():
    rng = np.random.default_rng(0)
    loud, quiet, none = (level * rng.standard_normal(96000) for level in (0.1, 0.003, 1e-6))
    for samples in (np.concatenate([none, loud, quiet, loud, none]), np.concatenate([quiet, loud])):
        assert loudness_lufs(samples.astype(np.float32), 48000) == pytest.approx(slow_lufs(samples), abs=0.01)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_the_calibration_tone_is_as_loud_at_any_rate(rate):
    tone = np.sin(2 * np.pi * 997 * np.arange(10 * rate) / rate).astype(np.float32)
    assert loudness_lufs(tone, rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(tone * np.float32(0.1), rate) == pytest.approx(-23.01, abs=0.05)


def test_silence_and_short_samples():
    assert loudness_lufs(np.zeros(16000, np.float32), 16000) == -np.inf
    tone = np.sin(2 * np.pi * 997 * np.arange(1600) / 16000).astype(np.float32)
    assert loudness_lufs(tone, 16000) == pytest.approx(-3.01, abs=0.3)
