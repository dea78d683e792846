"""Every config of conf/train trains, is saved, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from csc_cli import config as configs
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import load_model
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

CONFS = sorted((Path(__file__).resolve().parents[2] / "conf/train").glob("*.yaml"))
# Batches as small as they can be, of 1 s.
SMALL = ("mixtures.crop_s=1.0", "batch.utterances=6", "batch.conditions=2", "batch.held_out=0")
# Those for a GPU are as deep as they are wide: less audio, and one block where there are several alike.
LESS = ("mixtures.crop_s=0.3", "batch.conditions=1")
SHALLOW = tuple(f"model.encoder.{part}_blocks=1" for part in ("trunk", "separation", "speaker"))
SMALLER = {"csc-base": LESS, "csc-large": (*LESS, *SHALLOW)}


@pytest.mark.parametrize("conf", CONFS, ids=lambda conf: conf.stem)
def test_every_config_trains_all_its_parameters_and_is_saved_and_reloaded(
    make_data_dir: Callable[..., Path], tmp_path: Path, conf: Path
) -> None:
    data = DataDir.load(make_data_dir("many", speakers=6, utterances=2, seconds=1.2))
    small = [*SMALL, *SMALLER.get(conf.stem, ()), "optimiser.steps=2", "optimiser.precision=float32"]
    settings = configs.load(TrainConfig, conf, small)
    trainer = Trainer(settings, data, tmp_path / conf.stem, torch.device("cpu"))
    seen: set[str] = set()
    step = trainer.optimiser.step

    def look() -> None:
        named = trainer.learner.named_parameters()
        seen.update(name for name, p in named if p.grad is not None and p.grad.any())
        step()

    trainer.optimiser.step = look  # type: ignore[method-assign]
    trainer.run()
    trained = {name for name, p in trainer.learner.named_parameters() if p.requires_grad and p.numel()}
    if settings.model.embedder is None and not settings.objective.contrastive_weight:
        # A separator alone has no use for the rest.
        heads = ("model.encoder.speaker", "model.readout", "inventory", "temperature")
        trained = {name for name in trained if not name.startswith(heads)}
        assert any(name.startswith("model.encoder.trunk") for name in trained)
    # A constant beside all logits of GE2E's softmax: it has no gradient but rounding errors.
    assert seen - {"similarity.bias"} == trained - {"similarity.bias"}
    reloaded = load_model(trainer.directory).state_dict()
    assert all(torch.equal(tensor, reloaded[name]) for name, tensor in trainer.learner.model.state_dict().items())
    again = Trainer(settings, data, trainer.directory, torch.device("cpu"))
    assert again.run().startswith("trained 0 of 2 steps")
    rows = trainer.learner.state_dict()
    assert all(torch.equal(tensor, rows[name]) for name, tensor in again.learner.state_dict().items())


def test_there_are_configs() -> None:
    assert {"csc-mini", "csc-base", "csc-speechocean762"} <= {conf.stem for conf in CONFS}
