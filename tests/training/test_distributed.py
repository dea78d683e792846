"""Two processes with one global batch are one process; a fault ends both in one line."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

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


GRADIENTS = """
import sys, torch
from pathlib import Path
from csc_cli import config as configs
from csc_cli.kaldi.datadir import DataDir
from csc_cli.training import distributed
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

conf, data, out, *overrides = sys.argv[1:]
trainer = Trainer(configs.load(TrainConfig, conf, overrides), DataDir.load(data), Path(out), torch.device("cpu"))
trainer.batches.parted = True
trainer.optimiser.zero_grad = lambda: None
for group in trainer.optimiser.param_groups:
    group["lr"] = 0.0
trainer.optimiser.step = lambda: None
saved = []
for step in range(2):  # attended rows are there from the second step on
    for p in trainer.learner.parameters():
        p.grad = None
    figures = trainer.update(trainer.batches[step])
    trainer.step += 1
    grads = {name: p.grad for name, p in trainer.learner.named_parameters() if p.grad is not None}
    saved.append((figures, grads, trainer.learner.state_dict()))
if distributed.rank() == 0:
    torch.save(saved, out)
distributed.stop()
"""


ABLATED = ("objective.negatives=2", "objective.regulariser_rows=3", "batch.no_talker=0.3", "inventory.block=2")


@pytest.mark.parametrize(
    "settings",
    [
        ("inventory.rows=learned",),
        ("inventory.rows=attended",),
        ABLATED,
        ("objective.speaker_loss=aam", "objective.separation=none", "objective.guide_until=0"),
        ("model.encoder.speaker_network=tdnn", "model.encoder.speaker_channels=8"),
    ],
    ids=["learned", "attended", "negatives", "aam", "tdnn"],
)
def test_gradients_of_two_ranks_add_up_to_those_of_one(
    tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path, settings: tuple[str, ...]
) -> None:
    data = make_data_dir("data", speakers=6, utterances=3)
    overrides = [*FEW, *settings, "optimiser.clip=1e9"]
    results = []
    for world in (1, 2):
        arguments = [sys.executable, "-c", GRADIENTS, str(tiny), str(data), str(tmp_path / f"{world}.pt"), *overrides]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": str(world)}
        environment.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
        ranks = [subprocess.Popen(arguments, env={**environment, "RANK": str(rank)}) for rank in range(world)]
        assert [rank.wait(timeout=300) for rank in ranks] == [0] * world
        results.append(torch.load(tmp_path / f"{world}.pt", weights_only=True))
    for (figures, gradients, state), (figures_2, gradients_2, state_2) in zip(*results, strict=True):
        for key, value in figures.items():
            assert figures_2[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
        assert gradients.keys() == gradients_2.keys()
        scale = max(float(gradient.abs().max()) for gradient in gradients.values())
        for key, gradient in gradients.items():
            torch.testing.assert_close(gradients_2[key], gradient, rtol=1e-3, atol=2e-5 * scale, msg=key)
        for key, value in state.items():
            torch.testing.assert_close(state_2[key], value, rtol=1e-4, atol=1e-5, msg=key)


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
