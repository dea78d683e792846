"""That synthetic speakers are told apart by their voices and not by their pitch."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

pytest.importorskip("espeakng_loader")

from csc_cli.corpora.synth import prepare_synth
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir

ENROLLED = 3


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    data = tmp_path_factory.mktemp("synth")
    prepare_synth(data, {"train": 1, "dev": 0, "test": 30}, utterances=8, seed=0)
    test = DataDir.load(data / "test")
    return [[read_audio(test.by_id[key])[0] for key in own] for own in test.spk2utt.values()]


def eer(vectors: np.ndarray) -> float:
    """Equal error rate by cosine, (speakers, utterances, D): the first utterances enroll, each other one is a test."""
    vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    models = vectors[:, :ENROLLED].mean(axis=1)
    models /= np.linalg.norm(models, axis=-1, keepdims=True)
    scores = np.einsum("sd,tud->stu", models, vectors[:, ENROLLED:])
    same = np.eye(len(vectors), dtype=bool)
    targets, others = np.sort(scores[same].ravel()), np.sort(scores[~same].ravel())
    misses = np.searchsorted(targets, others) / len(targets)
    false_alarms = 1 - np.arange(len(others)) / len(others)
    place = np.argmin(np.abs(misses - false_alarms))
    return float((misses[place] + false_alarms[place]) / 2)


def cepstra(samples: np.ndarray) -> np.ndarray:
    """Cepstra (frames, 15) of the louder frames."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 200)[::80] * np.hanning(200)
    energy = (frames**2).sum(axis=1)
    spectrum = np.log(np.abs(np.fft.rfft(frames[energy > 1e-4 * energy.max()], 256)) ** 2 + 1e-9)
    return scipy.fft.dct(spectrum, axis=1, norm="ortho")[:, 1:16]


def test_mean_pitch_fails(recordings):
    script = Path(__file__).parents[2] / "egs" / "mini" / "local" / "mean_pitch.py"
    spec = importlib.util.spec_from_file_location("mean_pitch", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pitch = [[module.embed(module.mean_log_f0(samples)) for samples in own] for own in recordings]
    assert eer(np.array(pitch)) > 0.20


def test_voice_quality_tells_speakers_apart(recordings):
    # Covariance of the cepstra: blind to the channel and to the level, not to formants and accent.
    shape = np.array([[np.cov(cepstra(samples).T)[np.triu_indices(15)] for samples in own] for own in recordings])
    shape = (shape - shape.mean(axis=(0, 1))) / shape.std(axis=(0, 1))
    assert eer(shape) < 0.10
