"""`csc train --dry-run`, `--overfit`, `--profile`: what they say, and that they keep nothing of a training."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

CONF = """\
model:
  sample_rate: 8000
  encoder:
    filterbank: {window: 64, hop: 32}
    galr: {features: 16, hidden: 16, chunk: 10, chunk_hop: 10, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    embedding: 8
  readout_heads: 2
mixtures: {crop_s: 0.5}
batch: {utterances: 4, conditions: 1, held_out: 0.0}
optimiser: {steps: 3, warmup: 2, precision: float32}
"""


@pytest.fixture
def command(make_data_dir: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path, Path]:
    conf = tmp_path / "tiny.yaml"
    conf.write_text(CONF)
    return conf, make_data_dir("data", speakers=4, utterances=3), tmp_path / "exp"


def test_dry_run_tells_size_speed_memory_and_time(csc: Run, command: tuple[Path, Path, Path]) -> None:
    said = csc("train", "--dry-run", *command).stdout
    assert "12 utterances, 4 rows" in said and "a step: 4 mixtures" in said
    step_s = float(re.search(r"mixtures, ([\d.e+-]+) s \((\d+) s of audio a second\)", said)[1])  # type: ignore[index]
    hours = float(re.search(r"3 steps: about ([\d.e+-]+) h", said)[1])  # type: ignore[index]
    assert hours == pytest.approx(3 * step_s / 3600, rel=0.1)
    assert 0.05 < float(re.search(r"memory: ([\d.]+) GiB", said)[1]) < 20  # type: ignore[index]
    assert not command[2].exists()


def test_overfit_learns_the_same_mixtures_again_and_again(csc: Run, command: tuple[Path, Path, Path]) -> None:
    options = ("--set", "objective.guide_until=0", "--set", "optimiser.learning_rate=3e-3", "--seed", 1)
    gains = []
    for steps in (1, 120):
        said = csc("train", "--overfit", 2, "--max-steps", steps, *options, *command).stdout
        assert f"2 mixtures after {steps} steps" in said
        gains.append(float(re.search(r"si_snri (-?[\d.]+) dB", said)[1]))  # type: ignore[index]
    assert gains[1] > gains[0] + 3
    assert not command[2].exists()
    assert "a batch has 4 mixtures" in csc("train", "--overfit", 5, *command, status=1).stderr


def test_profile_names_the_parts(csc: Run, command: tuple[Path, Path, Path]) -> None:
    csc("train", "--profile", *command)
    assert "csc: step" in (command[2] / "profile.txt").read_text()
    events = json.loads((command[2] / "profile.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "csc: step" and event.get("ph") == "X" for event in events) == 5
    assert not (command[2] / "checkpoints").exists()


def test_one_at_a_time(csc: Run, command: tuple[Path, Path, Path]) -> None:
    assert "one at a time" in csc("train", "--dry-run", "--profile", *command, status=2).stderr
