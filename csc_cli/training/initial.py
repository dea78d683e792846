"""What a training begins from: the learner for the kind of network, weights of other models, frozen parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Initial:
    """A model directory to begin from, or a part of it: `encoder.trunk`."""

    directory: Path
    part: str = ""

    @classmethod
    def parse(cls, text: str) -> Initial:
        """`MODEL`, or `PART=MODEL`.

        >>> Initial.parse("encoder.trunk=exp/separator").part
        'encoder.trunk'
        """
        part, equals, directory = text.partition("=")
        return cls(Path(directory), part) if equals and not Path(text).exists() else cls(Path(text))

    def __str__(self) -> str:
        return f"{self.part}={self.directory}" if self.part else str(self.directory)

    def digest(self, sample_rate: int) -> str:
        """SHA-256 of the weights, with the part's name.

        Raises:
            DataError: the model cannot be loaded.
            ConfigError: its sampling rate is another one.
        """
        found = load_model(self.directory).config.sample_rate
        if found != sample_rate:
            raise ConfigError(
                f"--init {self}: was trained at {found} Hz, this model is for {sample_rate} Hz; train one at that rate"
            )
        return (f"{self.part}=" if self.part else "") + sha256(self.directory / WEIGHTS)


def take_weights(model: nn.Module, initial: Sequence[Initial]) -> None:
    """Copy the tensors that both models have, by name; those of the last one given win.

    Raises:
        ConfigError: there is no such tensor, or one of another shape.
    """
    own = model.state_dict()
    for item in initial:
        given = load_model(item.directory).state_dict()
        under = f"{item.part}." if item.part else ""
        common = {name: tensor for name, tensor in given.items() if name in own and name.startswith(under)}
        other = [name for name, tensor in common.items() if tensor.shape != own[name].shape]
        if other:
            raise ConfigError(
                f"--init {item}: of another size than this model: {some(other)}; use its settings, or name the part "
                f"that fits, as in --init encoder.trunk={item.directory}"
            )
        if not common:
            raise ConfigError(f"--init {item}: has nothing in common with this model; leave it out")
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
