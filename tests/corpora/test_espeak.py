import ctypes
import sys
import tempfile
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from csc_cli.corpora import espeak
from csc_cli.corpora.espeak import SynthesisError
from csc_cli.corpora.voices import ACCENTS, draw_voice, voice_lines
from csc_cli.errors import ConfigError

TEXT = "the old farmer carries our yellow lantern near the station every evening"
ROUGH = "pitch 100 150\nbreath 0 6 6 6 6 0 0 0\nroughness 7\nflutter 12\nspeed 70\n"
PLAIN = "pitch 100 150\n"


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("espeakng_loader")
    with espeak.engine() as engine:
        yield engine


def test_what_was_spoken_before_changes_nothing(engine):
    alone = {voice: engine.speak(TEXT, "gmw/en", voice, 170, 1).tobytes() for voice in (PLAIN, ROUGH)}
    assert alone[PLAIN] != alone[ROUGH]
    for voice in (ROUGH, ROUGH, PLAIN, ROUGH, PLAIN):
        engine.speak("a sentence in between", "gmw/de", voice, 220, 5)
        assert engine.speak(TEXT, "gmw/en", voice, 170, 1).tobytes() == alone[voice]


def test_the_seed_reaches_breathy_voices_alone(engine):
    for voice, differs in ((ROUGH, True), (PLAIN, False)):
        first, second = (engine.speak(TEXT, "gmw/en", voice, 170, seed) for seed in (1, 2))
        assert len(first) == len(second)
        assert (first.tobytes() != second.tobytes()) == differs


def test_rate_is_words_a_minute(engine):
    slow, fast = (len(engine.speak(TEXT, "gmw/en", PLAIN, rate, 1)) for rate in (130, 200))
    assert 1.3 < slow / fast < 1.8


@pytest.mark.parametrize("accent", ACCENTS)
def test_each_accent_speaks(engine, accent):
    seconds = len(engine.speak(TEXT, accent, PLAIN, 170, 1)) / espeak.SAMPLE_RATE
    assert 2.5 < seconds < 7


def test_raised_pitch_keeps_the_formants(engine):
    # Otherwise a speaker's pitch would change the speaker.
    voice = replace(draw_voice(np.random.default_rng(0)), pitch_hz=120, pitch_span=1.05, breath=(0,) * 8)
    low, high = (engine.speak(TEXT, "gmw/en", voice_lines(voice, factor), 170, 1) for factor in (0.85, 1.15))
    assert stretch(envelope(low), envelope(high)) == pytest.approx(1.0, abs=0.02)
    taller = replace(voice, formants=tuple((0.9 * hz, strength, width) for hz, strength, width in voice.formants))
    other = engine.speak(TEXT, "gmw/en", voice_lines(taller, 0.85), 170, 1)
    assert stretch(envelope(low), envelope(other)) == pytest.approx(0.9, abs=0.03)


def envelope(samples: np.ndarray) -> np.ndarray:
    """Mean log spectrum of a linear prediction of order 12, up to 5.5 kHz."""
    samples = scipy.signal.resample_poly(samples.astype(float), 1, 2)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::200]
    energy = (frames**2).sum(axis=1)
    spectra = []
    for frame in frames[energy > 0.02 * energy.max()] * np.hanning(400):
        correlation = np.correlate(frame, frame, "full")[399:412]
        correlation[0] *= 1.0001
        predictor = scipy.linalg.solve_toeplitz(correlation[:-1], correlation[1:])
        spectra.append(-np.log(np.abs(np.fft.rfft([1, *-predictor], 512))))
    return np.mean(spectra, axis=0)


def stretch(first: np.ndarray, second: np.ndarray) -> float:
    """By what factor the frequencies of `second` are those of `first`."""
    axis, inside = np.arange(len(first)), slice(15, 180)
    factors = np.arange(0.85, 1.15, 0.005)
    distance = [np.std((first - np.interp(axis * factor, axis, second))[inside]) for factor in factors]
    return float(factors[np.argmin(distance)])


@pytest.mark.parametrize("text", ["", "  ", "..."])
def test_nothing_to_say_is_an_error(engine, text):
    with pytest.raises(SynthesisError, match="spoke nothing"):
        engine.speak(text, "gmw/en", PLAIN, 170, 1)


def test_unknown_language_is_an_error(engine):
    with pytest.raises(SynthesisError, match="no language 'gmw/nowhere'"):
        engine.speak(TEXT, "gmw/nowhere", PLAIN, 170, 1)


def test_library_held_by_others_is_an_error(engine):
    from _ctypes import dlclose

    held = ctypes.CDLL(engine.library)
    try:
        with pytest.raises(SynthesisError, match="other code"):
            engine.speak(TEXT, "gmw/en", PLAIN, 170, 1)
    finally:
        dlclose(held._handle)
    assert engine.speak(TEXT, "gmw/en", PLAIN, 170, 1).any()


def test_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(SynthesisError, match="pip install espeakng-loader"), espeak.engine():
        pass


def test_long_temporary_folder_is_refused_and_removed(monkeypatch, tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(ConfigError, match="TMPDIR"), espeak.engine():
        pass
    assert not list(folder.iterdir())
