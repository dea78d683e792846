"""The recipe's script of mean pitch, and what it says of the synthetic voices."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from csc_cli.kaldi.audio import write_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.tables import read_ints, read_vectors_dict

SCRIPT = Path(__file__).parents[2] / "egs" / "mini" / "local" / "mean_pitch.py"


@pytest.fixture(scope="module")
def mean_pitch():
    spec = importlib.util.spec_from_file_location("mean_pitch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voiced(hz: float, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """A vowel: harmonics up to 3.5 kHz through two resonances, with a little noise."""
    rng = np.random.default_rng(seed)
    harmonics = hz * np.arange(1, 3500 // hz + 1)
    gains = sum(1 / (1 + ((harmonics - formant) / 80) ** 2) for formant in (600, 1700)) + 0.02
    time = np.arange(round(seconds * 8000)) / 8000
    samples = gains @ np.sin(2 * np.pi * (harmonics[:, None] * time + rng.random((len(harmonics), 1))))
    return 0.1 * samples / samples.std() + 0.003 * rng.normal(size=len(time))


@pytest.mark.parametrize("hz", [70, 95, 120, 155, 200, 260, 330])
def test_known_pitch_is_found(mean_pitch, hz):
    # A period is a whole number of quarters of a sample: 1 % at 330 Hz.
    assert np.exp(mean_pitch.mean_log_f0(voiced(hz))) == pytest.approx(hz, rel=0.01)


def test_pauses_and_level_do_not_count(mean_pitch):
    samples = voiced(130)
    padded = np.concatenate([np.zeros(4000), samples, 0.001 * np.random.default_rng(1).normal(size=6000)])
    expected = mean_pitch.mean_log_f0(samples)
    assert mean_pitch.mean_log_f0(padded) == pytest.approx(expected, abs=0.01)
    assert mean_pitch.mean_log_f0(0.01 * samples) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("samples", [np.zeros(8000), np.zeros(10), np.random.default_rng(0).normal(size=4000)])
def test_unvoiced_recordings_have_a_value(mean_pitch, samples):
    assert np.log(55) <= mean_pitch.mean_log_f0(samples) <= np.log(400)


def test_cosine_falls_with_the_difference_of_log_f0_alone(mean_pitch):
    log_f0 = np.log(np.linspace(60, 390, 40))
    vectors = np.stack([mean_pitch.embed(value) for value in log_f0]).astype(np.float64)
    difference = np.abs(log_f0[:, None] - log_f0).ravel()
    cosine = (vectors @ vectors.T).ravel()
    order = np.argsort(difference)
    assert np.all(np.diff(cosine[order]) < 1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_script_writes_what_extraction_writes(tmp_path):
    pitch = {"low-1": 100, "low-2": 110, "top-1": 220}
    utterances = []
    for key, hz in pitch.items():
        write_audio(tmp_path / "wav s" / f"{key}.wav", voiced(hz), 8000)
        utterances.append(Utterance(key, key[:3], str(tmp_path / "wav s" / f"{key}.wav")))
    DataDir(tmp_path, tuple(utterances)).save(tmp_path / "my data")
    subprocess.run([sys.executable, SCRIPT, tmp_path / "my data", tmp_path / "out"], check=True)
    vectors = read_vectors_dict(f"scp:{tmp_path}/out/xvector.scp")
    assert set(vectors) == set(pitch)
    speakers = read_vectors_dict(f"scp:{tmp_path}/out/spk_xvector.scp")
    assert vectors["low-1"] @ speakers["low"] > vectors["top-1"] @ speakers["low"]
    assert read_ints(f"ark,t:{tmp_path}/out/num_utts.ark") == {"low": 2, "top": 1}


def test_script_says_what_is_wrong(tmp_path):
    result = subprocess.run([sys.executable, SCRIPT, tmp_path / "none", tmp_path], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("Error: ") and "Traceback" not in result.stderr
