from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from csc_cli.corpora.recording import Recording, draw_recording, record
from csc_cli.mixtures.manifest import Channel

FROM, TO = 22_050, 8000
PLAIN = Recording(Channel(), snr_db=150.0, noise_slope_db=0.0, peak_db=0.0, lead_s=0.1, trail_s=0.1)


def play(samples: np.ndarray, recording: Recording, seed: int = 0) -> np.ndarray:
    return record(samples, FROM, TO, recording, np.random.default_rng(seed))


def tone(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def test_plain_recording_is_a_resampling():
    rng = np.random.default_rng(0)
    low = scipy.signal.firwin(401, 3000, fs=FROM)
    speech = scipy.signal.oaconvolve(rng.normal(size=FROM), low) * np.hanning(FROM + 400)
    samples = play(speech, PLAIN)
    lead = round(0.1 * FROM)
    expected = scipy.signal.resample_poly(np.pad(speech, lead), TO, FROM, window=("kaiser", 14.0))
    assert abs(len(samples) - len(expected)) <= 1
    count = min(len(samples), len(expected))
    expected = expected[:count] / np.abs(expected).max()
    assert np.abs(samples[:count] - expected).max() < 2e-3


@pytest.mark.parametrize("length", [1, 440, 441, 442, 10_007])
def test_length_follows_the_rates(length):
    speech = np.random.default_rng(0).normal(size=length)
    samples = play(speech, PLAIN)
    assert len(samples) == (length + 2 * round(0.1 * FROM)) * TO // FROM
    assert np.isfinite(samples).all()


def test_tones_above_half_the_rate_vanish():
    speech = tone(1000, FROM) + 10 * tone(6000, FROM)
    samples = play(speech * np.hanning(FROM), PLAIN)
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / TO)
    assert power[np.abs(hz - 1000) < 20].sum() > 0.999 * power.sum()


def test_band_limit_is_butterworths():
    level = {}
    for hz in (1000, 3500):
        limited = replace(PLAIN, channel=Channel((), 100.0, 3000.0))
        speech = (tone(500, FROM) + tone(hz, FROM)) * np.hanning(FROM)
        spectrum = np.abs(np.fft.rfft(play(speech, limited)))
        axis = np.fft.rfftfreq(2 * len(spectrum) - 2, 1 / TO)
        level[hz] = spectrum[np.abs(axis - hz) < 50].max() / spectrum[np.abs(axis - 500) < 50].max()
    expected = np.sqrt((1 + (500 / 3000) ** 8) / (1 + (3500 / 3000) ** 8))
    assert level[3500] == pytest.approx(expected, rel=0.02)
    assert level[1000] == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("snr_db", [10.0, 30.0])
def test_noise_lies_as_far_below_the_speech_as_asked(snr_db):
    speech = tone(1000, FROM)
    noisy = replace(PLAIN, snr_db=snr_db)
    # The tone is one line of the spectrum; what is beside it is noise.
    samples = play(speech, noisy)
    middle = samples[1000:-1000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    hz = np.fft.rfftfreq(len(middle), 1 / TO)
    at_tone = np.abs(hz - 1000) < 10
    ratio = spectrum[at_tone].sum() / spectrum[~at_tone].sum()
    spread = 10 * np.log10(len(samples) / len(speech) * FROM / TO)  # the speech is silent at both ends
    assert 10 * np.log10(ratio) == pytest.approx(snr_db + spread, abs=0.5)


def test_level_is_the_peak_asked_for():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        recording = draw_recording(rng)
        samples = play(rng.normal(size=5000), recording, seed)
        assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(recording.peak_db, abs=1e-6)
        assert recording.peak_db < 0
