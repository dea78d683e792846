"""What a training begins from: the learner for the kind of network, weights of other models, frozen parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from csc_cli import seeds
from csc_cli.errors import ConfigError, DataError, some
from csc_cli.files import sha256
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import WEIGHTS, CascadeModel, CscModel, EmbedderModel, SpeakerModel, load_model
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Learner
from csc_cli.training.rivals import RivalLearner


def make_learner(model: SpeakerModel, rows: int, config: TrainConfig) -> Learner | RivalLearner:
    """The learner of the network, its rows drawn by the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive(config.seed, "rows"))
        if isinstance(model, CscModel):
            return Learner(model, Inventory(config.inventory, rows, config.model.embedding), config)
        if isinstance(model, EmbedderModel | CascadeModel):
            return RivalLearner(model, rows, config)
        raise TypeError(f"no learner for {type(model).__name__}")


def weights_digest(directory: Path, sample_rate: int) -> str:
    """SHA-256 of the weights of a model directory.

    Raises:
        DataError: it cannot be loaded.
        ConfigError: its sampling rate is another one.
    """
    found = load_model(directory).config.sample_rate
    if found != sample_rate:
        raise ConfigError(
            f"--init {directory}: was trained at {found} Hz, this model is for {sample_rate} Hz; train one at that rate"
        )
    return sha256(directory / WEIGHTS)


def take_weights(model: SpeakerModel, directories: Sequence[Path]) -> None:
    """Copy the tensors that both models have, by name; those of the last directory win.

    Raises:
        ConfigError: a directory has no such tensor, or one of another shape.
    """
    own = model.state_dict()
    for directory in directories:
        given = load_model(directory).state_dict()
        common = {name: tensor for name, tensor in given.items() if name in own}
        other = [name for name, tensor in common.items() if tensor.shape != own[name].shape]
        if other:
            raise ConfigError(f"--init {directory}: of another size than this model: {some(other)}; use its settings")
        if not common:
            raise ConfigError(f"--init {directory}: has no part in common with this model; leave it out")
        model.load_state_dict(common, strict=False)


def freeze(model: SpeakerModel, parts: Sequence[str]) -> list[nn.Module]:
    """Keep parts of the model as they are, running statistics too; returns their modules.

    Raises:
        DataError: there is no such part.
    """
    modules = dict(model.named_modules())
    for part in parts:
        if part not in modules or not part:
            raise DataError(f"optimiser.frozen: the model has no part {part!r}; there are {some(sorted(modules)[1:])}")
        modules[part].requires_grad_(False)
    return [modules[part] for part in parts]
