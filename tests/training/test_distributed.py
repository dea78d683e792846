"""Two processes with one global batch are one process; a fault ends both in one line."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from csc_cli.kaldi.datadir import DataDir
from csc_cli.training import distributed
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

Run = Callable[..., subprocess.CompletedProcess]

FEW = ("optimiser.steps=6", "objective.guide_until=0.6", "objective.regulariser_weight=0.1", "batch.one_talker=0.5")


@pytest.fixture
def run(tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path) -> Run:
    """`csc train` on the tiny config: run(name, launcher, *settings), ended by itself."""
    data = make_data_dir("data", speakers=6, utterances=3)

    def start(name: str, launcher: str, *settings: str) -> subprocess.CompletedProcess:
        python = [sys.executable, "-m"]
        if launcher == "torchrun":
            python += ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
        command = [*python, "csc_cli.cli.main", "train", str(tiny), str(data), str(tmp_path / name), "--device", "cpu"]
        command += ["--nj", "2"] if launcher == "nj" else []
        for setting in settings:
            command += ["--set", setting]
        environment = {key: value for key, value in os.environ.items() if key not in ("WORLD_SIZE", "RANK")}
        environment["OMP_NUM_THREADS"] = "1"
        return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)

    return start


def assert_same_training(one: Path, two: Path) -> None:
    """Losses within 1e-4 at every line.

    Adam takes full steps even where the true gradient is zero and what is left are rounding errors (biases in
    front of the standardisation), so figures made with the running statistics agree less.
    """
    rows = [[json.loads(line) for line in (path / "train.jsonl").read_text().splitlines()] for path in (one, two)]
    assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]]
    assert len(rows[0]) == 5
    for a, b in zip(*rows, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds"}:
            near = 2e-2 if key.startswith("held_out") else 1e-4
            assert b[key] == pytest.approx(a[key], abs=near, rel=near), (a["step"], key)


ABLATED = ("objective.negatives=2", "objective.regulariser_rows=3", "batch.no_talker=0.3", "inventory.block=2")


@pytest.mark.parametrize(
    "settings",
    [
        ("inventory.rows=learned",),
        ("inventory.rows=attended", "batch.accumulate=2"),
        ABLATED,
        ("objective.speaker_loss=aam", "objective.separation=none", "objective.guide_until=0"),
        ("model.encoder=null", "model.embedder={kind: xvector, channels: 16, embedding: 8}"),
        ("model.encoder.speaker_network=tdnn", "model.encoder.speaker_channels=8"),
    ],
    ids=["learned", "attended", "negatives", "aam", "rival", "tdnn"],
)
def test_in_float64_five_steps_of_two_ranks_are_those_of_one(
    config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    """Losses, gradients and the weights that follow within 1e-9; all that training updates is equal on both ranks."""
    data = DataDir.load(make_data_dir("data", speakers=6, utterances=3))
    exact = config(*FEW, *settings, "optimiser.precision=float64")
    for world in (1, 2):
        in_ranks(world, exact, data, tmp_path / str(world))
    one, two, other = (torch.load(tmp_path / name, weights_only=True) for name in ("1-0", "2-0", "2-1"))
    assert len(one) == len(two) == len(other) == 5
    for a, b, c in zip(one, two, other, strict=True):
        assert a["gradients"].keys() == b["gradients"].keys() and a["figures"].keys() == b["figures"].keys()
        for key, value in a["figures"].items():
            assert abs(b["figures"][key] - value) <= 1e-9 * max(1.0, abs(value)), key
        for key, gradient in a["gradients"].items():
            assert gradient.dtype == torch.float64
            torch.testing.assert_close(b["gradients"][key], gradient, rtol=1e-9, atol=1e-9, msg=key)
        for key, value in a["state"].items():
            torch.testing.assert_close(b["state"][key], value, rtol=1e-9, atol=1e-9, msg=key)
            assert torch.equal(b["state"][key], c["state"][key]), key
    moved = [name for name, value in one[0]["state"].items() if not torch.equal(value, one[4]["state"][name])]
    assert any(name.startswith(("inventory.", "rows.")) for name in moved)


def in_ranks(world: int, settings: TrainConfig, data: DataDir, out: Path) -> None:
    """Five steps in `world` processes, as torchrun would start them; rank r writes what it saw to OUT-r."""
    group = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    context = multiprocessing.get_context("fork")  # torch is loaded already
    ranks = [context.Process(target=five_steps, args=(group, rank, settings, data, out)) for rank in range(world)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(400)
    assert [rank.exitcode for rank in ranks] == [0] * world


def five_steps(group: dict[str, str], rank: int, settings: TrainConfig, data: DataDir, out: Path) -> None:
    os.environ.update(group, RANK=str(rank))
    trainer = Trainer(settings, data, out, torch.device("cpu"))
    trainer.batches.parted = True
    steps: list[dict[str, Any]] = []

    def keep(*_: object) -> None:
        named = trainer.learner.named_parameters()
        steps.append({"gradients": {name: p.grad.clone() for name, p in named if p.grad is not None}})

    trainer.optimiser.register_step_pre_hook(keep)
    for step in range(5):
        figures = trainer.update(trainer.parts(step))
        trainer.step += 1
        state = {name: tensor.clone() for name, tensor in trainer.learner.state_dict().items()}
        steps[-1].update(figures=figures, state=state)
    torch.save(steps, f"{out}-{rank}")
    distributed.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("rows", ["learned", "attended"])
def test_two_local_processes_are_one(run: Run, tmp_path: Path, rows: str) -> None:
    settings = (*FEW, f"inventory.rows={rows}")
    for name in ("one", "nj"):
        done = run(name, name, *settings)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("trained 6 of 6 steps") == 1
    assert_same_training(tmp_path / "one", tmp_path / "nj")


@pytest.mark.long
@pytest.mark.parametrize("rows", ["learned", "attended"])
def test_two_ranks_of_torchrun_are_one_process(run: Run, tmp_path: Path, rows: str) -> None:
    settings = (*FEW, f"inventory.rows={rows}")
    for name in ("one", "torchrun"):
        done = run(name, name, *settings)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("trained 6 of 6 steps") == 1
    assert_same_training(tmp_path / "one", tmp_path / "torchrun")


@pytest.mark.long
def test_bad_recording_ends_both_processes_without_a_traceback(run: Run, tmp_path: Path) -> None:
    samples = np.full(8000, np.nan, np.float32)
    soundfile.write(tmp_path / "data" / "wav" / "spk3-utt1.wav", samples, 8000, subtype="FLOAT")
    done = run("exp", "nj", "batch.held_out=0", "optimiser.steps=200")
    assert done.returncode != 0
    assert "spk3-utt1" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
