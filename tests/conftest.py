"""Fixtures that all tests may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import pytest
import soundfile
from hypothesis import settings

from csc_cli import progress

# The first call of a compiled function takes seconds, wherever hypothesis happens to make it.
settings.register_profile("csc", deadline=None)
settings.load_profile("csc")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data: CSC_SHARED, or a folder `shared` beside the checkout; skips without it."""
    root = Path(os.environ.get("CSC_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not root.is_dir():
        pytest.skip(f"no shared test data at {root} (set CSC_SHARED)")
    return root


@pytest.fixture(autouse=True)
def not_quiet() -> None:
    """A `--quiet` of an earlier test is over: the switch is the process's own."""
    progress.set_quiet(False)


@pytest.fixture
def csc() -> Callable[..., click.testing.Result]:
    """Run `csc ARGUMENT ...` in this process; the result has exit_code, stdout and stderr.

    `status` is the exit status that must come (None: any). An exception that a user would see as a
    traceback is raised. `input` is standard input.
    """
    from csc_cli.cli.main import main

    def run(*arguments: object, status: int | None = 0, input: bytes | str | None = None) -> click.testing.Result:
        result = click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        if status is not None:
            assert result.exit_code == status, f"exit status {result.exit_code}: {result.output}"
        return result

    return run


@pytest.fixture
def make_data_dir(tmp_path: Path) -> Callable[..., Path]:
    """Write a data directory of synthetic voices, without any of csc's own code; returns its path.

    Utterances are `spk0-utt0`, `spk0-utt1`, ...; each speaker has a pitch and formants, each
    utterance syllables of random loudness between short silences. Recordings lie in DIR/wav.
    """

    def make(
        name: str = "data",
        *,
        speakers: int = 2,
        utterances: int = 2,
        seconds: float = 1.0,
        sample_rate: int = 8000,
        seed: int = 0,
        suffix: str = ".wav",
    ) -> Path:
        path = tmp_path / name
        (path / "wav").mkdir(parents=True)
        rows = []
        for speaker in range(speakers):
            for utterance in range(utterances):
                key = f"spk{speaker}-utt{utterance}"
                samples = synthetic_voice(speaker, (seed, speaker, utterance), seconds, sample_rate)
                soundfile.write(path / "wav" / f"{key}{suffix}", samples, sample_rate, subtype="PCM_16")
                rows.append((key, f"spk{speaker}"))
        write_lines(path / "wav.scp", sorted(f"{key} {path}/wav/{key}{suffix}" for key, _ in rows))
        write_lines(path / "utt2spk", sorted(f"{key} {speaker}" for key, speaker in rows))
        names = sorted({speaker for _, speaker in rows})
        keys = {name: " ".join(sorted(key for key, speaker in rows if speaker == name)) for name in names}
        write_lines(path / "spk2utt", [f"{name} {keys[name]}" for name in names])
        return path

    return make


@pytest.fixture
def make_model_dir(tmp_path: Path) -> Callable[..., Path]:
    """Write the directory of a very small untrained model; returns its path."""

    def make(name: str = "model", *, sample_rate: int = 8000, seed: int = 0) -> Path:
        from csc_cli import config
        from csc_cli.nn.encoder import EncoderConfig
        from csc_cli.nn.filterbank import FilterbankConfig
        from csc_cli.nn.galr import GalrConfig
        from csc_cli.nn.model import ModelConfig, new_model, save_model

        galr = GalrConfig(features=8, hidden=8, chunk=10, chunk_hop=10, mapped=4, heads=2, feedforward=16)
        bank = FilterbankConfig(window=128, hop=64)
        settings = ModelConfig(sample_rate, EncoderConfig(2, bank, galr, 2, 1, 1, embedding=16), readout_heads=2)
        path = tmp_path / name
        text = "model:\n" + "".join(f"  {line}\n" for line in config.dumps(settings).splitlines())
        save_model(new_model(settings, seed), path, text)
        return path

    return make


def synthetic_voice(speaker: int, key: tuple[int, ...], seconds: float, sample_rate: int) -> np.ndarray:
    """Harmonics under two formants, in syllables of 0.2 s with silence at both ends; float64 (T,), peak 0.5."""
    own = np.random.default_rng([7, speaker])
    pitch_hz, formants_hz = own.uniform(90, 250), own.uniform([300, 900], [900, 2500])
    draw = np.random.default_rng([11, *key])
    time_s = np.arange(round(seconds * sample_rate)) / sample_rate
    harmonics_hz = pitch_hz * np.arange(1, int(0.45 * sample_rate / pitch_hz) + 1)
    gains = sum(1 / (1 + ((harmonics_hz - formant) / 150) ** 2) for formant in formants_hz) + 0.01
    phase = 2 * np.pi * np.cumsum(1 + 0.03 * np.sin(2 * np.pi * draw.uniform(1, 4) * time_s)) / sample_rate
    voiced = gains @ np.sin(np.outer(harmonics_hz, phase) + draw.uniform(0, 6.28, (len(harmonics_hz), 1)))
    loudness = draw.uniform(0.3, 1.0, int(seconds / 0.2) + 1)[(time_s / 0.2).astype(int)]
    shape = loudness * np.abs(np.sin(np.pi * time_s / 0.2)) * ((time_s > 0.05) & (time_s < seconds - 0.05))
    samples = shape * (voiced + draw.normal(0, 0.01, len(time_s)))
    return 0.5 * samples / np.abs(samples).max()


def write_lines(path: Path, lines: list[str]) -> None:
    """A text file of these lines."""
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
