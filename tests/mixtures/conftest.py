from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.settings import MixtureConfig
from csc_cli.mixtures.simulate import simulate_data_dir

RATE = 8000
CONFIG = MixtureConfig(crop_s=None, overlap=(0.3, 1.0))
LOUD = replace(CONFIG, level_db=(-8.0, -8.0))


def speech(rng: np.random.Generator, seconds: float, rate: int = RATE) -> np.ndarray:
    """Syllables of a buzzing voice with pauses between, silence at both ends, a faint noise under it: float32 (T,)."""
    time = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * (n * rng.uniform(90, 250) * time + rng.random())) / n for n in range(1, 12))
    syllable = np.sin(np.pi * 3.1 * time + rng.random()) ** 2 > 0.3
    inside = (time > 0.2) & (time < seconds - 0.3)
    samples = 0.1 * voice * syllable * inside + 1e-4 * rng.standard_normal(time.size)
    return samples.astype(np.float32)


def make_data(folder: Path, seconds: Mapping[str, list[float]], rate: int = RATE) -> DataDir:
    """A data directory with, for each speaker, utterances of the given lengths."""
    rng = np.random.default_rng(len(seconds))
    utterances = []
    (folder / "audio").mkdir(parents=True)
    for speaker, lengths in seconds.items():
        for number, length in enumerate(lengths):
            id = f"{speaker}-u{number}"
            path = folder / "audio" / f"{id}.wav"
            soundfile.write(path, speech(rng, length, rate), rate, subtype="PCM_16")
            utterances.append(Utterance(id, speaker, str(path)))
    data = DataDir(folder, tuple(sorted(utterances, key=lambda utterance: utterance.id)))
    data.save(folder)
    return data


@pytest.fixture(scope="session")
def make_data_dir() -> Callable[..., DataDir]:
    """`make_data`, for fixtures of a wider scope than `data_of`."""
    return make_data


@pytest.fixture
def data_of(tmp_path: Path) -> Callable[..., DataDir]:
    """Makes a data directory: `data_of({"a": [2.0, 1.5], "b": [3.0]})`."""
    return lambda seconds, rate=RATE, name="data": make_data(tmp_path / name, seconds, rate)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """Four speakers with five utterances each, two of them with short ones alone; tests do not change it."""
    long, short = [1.5, 2.0, 3.0, 3.7, 4.5], [1.2, 1.4, 1.6, 1.8, 1.9]
    return make_data(tmp_path_factory.mktemp("four") / "data", {"a": long, "b": long, "c": short, "d": short})


def contents(out: Path) -> dict[str, bytes]:
    """Each file's bytes, without the name of its folder."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes().replace(str(out).encode(), b"OUT") for path in files}


def interrupt(*_: object) -> None:
    """In place of a step at which a run is interrupted."""
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def loud_mixtures(data: DataDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six mixtures on disk that must be scaled to be 16-bit samples; tests do not change them."""
    out = tmp_path_factory.mktemp("loud") / "mix"
    simulate_data_dir(data.path, out, LOUD, count=6, audio=True)
    return out
