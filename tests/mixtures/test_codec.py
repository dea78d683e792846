"""G.711 against the recommendation's reference procedure, sample by sample; the resampling around it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from csc_cli.mixtures.codec import resample, table, transmit


def slow_mulaw(sample: int) -> int:
    """16-bit sample -> byte -> 16-bit sample, by the steps of ITU-T G.191's programs, on sign and magnitude."""
    magnitude = min((abs(sample) >> 2) + 33, 0x1FFF)
    segment, rest = 1, magnitude >> 6
    while rest:
        segment, rest = segment + 1, rest >> 1
    step = (magnitude >> segment) & 0x0F
    decoded = (((step << 1) + 33) << (segment - 1)) - 33
    return 4 * (-decoded if sample < 0 else decoded)


def slow_alaw(sample: int) -> int:
    """The same for A-law: 12-bit magnitude, one's complement for negative samples; segments by repeated halving."""
    rest = (~sample if sample < 0 else sample) >> 4
    if rest > 15:
        exponent = 1
        while rest > 31:
            rest, exponent = rest >> 1, exponent + 1
        code = (rest - 16) + (exponent << 4)
    else:
        code = rest
    exponent, mantissa = code >> 4, code & 0x0F
    mantissa = (mantissa << 4) + 8 if exponent == 0 else ((mantissa + 16) << 4) + 8
    decoded = mantissa << max(0, exponent - 1)
    return -decoded if sample < 0 else decoded


@pytest.mark.parametrize(("kind", "slow"), [("mulaw", slow_mulaw), ("alaw", slow_alaw)])
def test_every_sample_is_g711_s(kind, slow):
    samples = range(-32768, 32768)
    assert table(kind).tolist() == [slow(sample) for sample in samples]


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("kind", ["mulaw", "alaw", "gsm"])
def test_speech_band_passes_at_each_rate_without_delay_and_what_is_loud_is_not_clipped(rate, kind):
    time = np.arange(2 * rate) / rate
    tone = (np.sin(2 * np.pi * 500 * time) * np.hanning(time.size)).astype(np.float32)
    for peak in (0.2, 5.0):
        sent = transmit(tone * np.float32(peak), rate, kind)
        assert sent.dtype == np.float32
        assert sent.size == tone.size
        error = np.float64(sent) - np.float64(tone) * peak
        assert 10 * np.log10(np.mean(np.float64(tone * peak) ** 2) / np.mean(error**2)) > (15 if kind == "gsm" else 30)
    assert not np.any(transmit(np.zeros(rate, np.float32), rate, "mulaw"))


def test_resampling_keeps_tones_and_removes_what_is_beyond():
    time = np.arange(16000) / 16000
    window = scipy.signal.windows.tukey(time.size, 0.3)
    low, high = (np.sin(2 * np.pi * hz * time) * window for hz in (1000, 5000))
    found = resample((low + high).astype(np.float32), 16000, 8000)
    assert found.size == 8000
    assert np.abs(found - low[::2]).max() < 1e-4
    back = resample(found, 8000, 16000)
    assert np.abs(back - low).max() < 1e-4
