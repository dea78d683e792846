"""Resampling against the mathematics: tones that must pass, tones that must die, another implementation."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.dsp import resample, resampled_length

RATES = [8000, 11025, 16000, 22050, 44100, 48000]


def tone(frequency_hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(seconds * rate)) / rate).astype(np.float32)


def inner(samples: np.ndarray) -> np.ndarray:
    return samples[..., len(samples) // 8 : -len(samples) // 8]


@pytest.mark.parametrize("to_hz", RATES)
@pytest.mark.parametrize("from_hz", RATES)
def test_a_tone_below_both_nyquist_frequencies_passes_unchanged(from_hz: int, to_hz: int) -> None:
    for part in (0.1, 0.5, 0.85):
        frequency_hz = part * min(from_hz, to_hz) / 2
        out = resample(tone(frequency_hz, from_hz), from_hz, to_hz)
        assert out.dtype == np.float32
        # equal to the tone sampled at the other rate: level and phase, so the delay is zero
        np.testing.assert_allclose(inner(out), inner(tone(frequency_hz, to_hz)[: len(out)]), atol=2e-3)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (48000, 16000), (44100, 8000), (22050, 8000)])
def test_a_tone_above_the_new_nyquist_frequency_dies(from_hz: int, to_hz: int) -> None:
    for frequency_hz in np.linspace(1.02 * to_hz / 2, 0.95 * from_hz / 2, 5):
        out = resample(tone(frequency_hz, from_hz), from_hz, to_hz)
        assert np.sqrt(np.mean(inner(out) ** 2)) < 1e-3, frequency_hz


def test_speech_band_agrees_with_soxr() -> None:
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 0.1, 32000)
    spectrum = np.fft.rfft(noise)
    spectrum[int(0.2 * len(spectrum)) :] = 0  # to 1.6 kHz, where both filters are flat
    low = np.fft.irfft(spectrum).astype(np.float32)
    ours, theirs = resample(low, 16000, 8000), soxr.resample(low, 16000, 8000, quality="VHQ")
    np.testing.assert_allclose(inner(ours), inner(theirs), atol=2e-4)


@given(st.integers(1, 5000), st.sampled_from(RATES), st.sampled_from(RATES))
@settings(max_examples=40, deadline=None)
def test_the_length_is_the_one_foretold(length: int, from_hz: int, to_hz: int) -> None:
    assert len(resample(np.zeros(length, np.float32), from_hz, to_hz)) == resampled_length(length, from_hz, to_hz)


def test_rows_are_resampled_apart_and_the_input_stays() -> None:
    rows = np.random.default_rng(1).normal(size=(3, 4000)).astype(np.float32)
    rows.flags.writeable = False
    before = rows.copy()
    out = resample(rows, 16000, 8000)
    for row, alone in zip(out, rows, strict=True):
        np.testing.assert_allclose(row, resample(alone, 16000, 8000), atol=1e-6)
    assert np.array_equal(rows, before)
    assert resample(rows, 8000, 8000) is rows


def test_threads_change_no_bit() -> None:
    code = """
import sys, hashlib, numpy as np, torch
torch.set_num_threads(int(sys.argv[1]))
from csc_cli.dsp import resample
x = np.random.default_rng(0).normal(size=200_000).astype(np.float32)
for rates in ((16000, 8000), (44100, 8000), (48000, 16000), (8000, 16000)):
    print(hashlib.sha256(resample(x, *rates).tobytes()).hexdigest())
"""
    runs = [subprocess.run([sys.executable, "-c", code, n], capture_output=True, check=True).stdout for n in "13"]
    assert runs[0] == runs[1]


def test_importing_dsp_loads_no_torch() -> None:
    code = "import sys, csc_cli.dsp; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
