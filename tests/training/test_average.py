"""The mean of models: tensor by tensor, and of the checkpoints that were kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from click.testing import Result

from csc_cli.nn.model import load_model
from csc_cli.training import checkpoint
from csc_cli.training.trainer import Trainer

Run = Callable[..., Result]


def test_every_tensor_is_the_mean(csc: Run, make_model_dir: Callable[..., Path], tmp_path: Path) -> None:
    models = [make_model_dir(f"model{seed}", seed=seed) for seed in range(3)]
    csc("average", *models, tmp_path / "mean")
    states = [load_model(path).state_dict() for path in models]
    mean = load_model(tmp_path / "mean").state_dict()
    assert mean.keys() == states[0].keys()
    for name, tensor in mean.items():
        expected = torch.stack([state[name].double() for state in states]).mean(0)
        torch.testing.assert_close(tensor.double(), expected, atol=1e-7, rtol=1e-6)
    assert not torch.equal(mean["encoder.speaker_out.weight"], states[0]["encoder.speaker_out.weight"])


def test_last_checkpoints_of_a_training(csc: Run, make_trainer: Callable[..., Trainer], tmp_path: Path) -> None:
    make_trainer("tracking.checkpoint_every=2", "tracking.kept=3").run()
    folder = tmp_path / "exp" / "checkpoints"
    assert checkpoint.steps(folder) == [4, 6, 8]
    csc("average", "--last", 2, tmp_path / "exp", tmp_path / "mean")
    learners = [torch.load(checkpoint.path_of(folder, step), weights_only=True)["learner"] for step in (6, 8)]
    name = "encoder.trunk.0.local.lstm.weight_ih_l0"
    expected = (learners[0][f"model.{name}"] + learners[1][f"model.{name}"]) / 2
    torch.testing.assert_close(load_model(tmp_path / "mean").state_dict()[name], expected)
    assert (
        "train with tracking.kept=4" in csc("average", "--last", 4, tmp_path / "exp", tmp_path / "x", status=1).stderr
    )


def test_what_has_no_mean_is_refused(csc: Run, make_model_dir: Callable[..., Path], tmp_path: Path) -> None:
    model, wide = make_model_dir("model"), make_model_dir("wide", sample_rate=16000)
    assert "one model has no mean" in csc("average", model, tmp_path / "x", status=1).stderr
    assert "would be written over one of its sources" in csc("average", model, wide, model, status=1).stderr
    assert "has other settings than" in csc("average", model, wide, tmp_path / "x", status=1).stderr
    result = csc("average", "--last", 2, model, wide, tmp_path / "x", status=1)
    assert "takes one model directory, not 2" in result.stderr
    assert not (tmp_path / "x").exists()
