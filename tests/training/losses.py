"""Small learners and batches, and the formulas that losses are held against, in plain float64."""

from __future__ import annotations

import contextlib
import math

import torch

from csc_cli.nn.attention import CrossAttention, Readout
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import new_model
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Learner, Losses

ROWS = 7
THREE = ("model.encoder.streams=3", "batch.utterances=6", "batch.more_talkers=[0.2]", "batch.no_talker=0.1")


def make_learner(config: TrainConfig, visited: int = ROWS) -> Learner:
    torch.manual_seed(0)
    learner = Learner(new_model(config.model, 1), Inventory(config.inventory, ROWS, 8), config)
    if config.inventory.rows == "attended":
        learner.inventory.visited[:visited] = True
    return learner


def make_batch(silent: bool = True, seed: int = 0) -> MixtureBatch:
    """Four mixtures of two talkers; the last has one talker alone, two have noise, one is shorter."""
    generator = torch.Generator().manual_seed(seed)
    sources = 0.05 * torch.randn(4, 2, 4000, generator=generator)
    lengths = torch.tensor([4000, 4000, 3000, 4000])
    sources[2, :, 3000:] = 0
    labels = torch.tensor([[0, 3], [3, 5], [5, 0], [6, 0]])
    if silent:
        sources[3, 1] = 0
        labels[3, 1] = -1
    noise = 0.01 * torch.randn(4, 4000, generator=generator)
    noise[1:3] = 0
    return MixtureBatch(sources.sum(1) + noise, sources, lengths, labels, ("a", "b", "c", "d"))


def make_crowd(seed: int = 0) -> MixtureBatch:
    """Mixtures of three, two, one and no talkers, the last of noise alone; talkers stand in any of three places."""
    batch = make_batch(silent=False, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    sources = 0.05 * torch.randn(4, 3, 4000, generator=generator)
    sources[2, :, 3000:] = 0
    labels = torch.tensor([[0, 3, 5], [3, -1, 0], [-1, -1, 5], [-1, -1, -1]])
    sources[labels < 0] = 0
    noise = 0.01 * torch.randn(4, 4000, generator=generator)
    noise[2, 3000:] = 0
    return batch._replace(mixture=sources.sum(1) + noise, sources=sources, labels=labels)


def forward(learner: Learner, batch: MixtureBatch, guided: float = 0.0) -> Losses:
    return learner(batch, torch.Generator().manual_seed(3), contextlib.nullcontext(), guided)


class Spy(CrossAttention):
    """Keeps what it read for each anchor and each speaker of the batch."""

    def across(self, query: torch.Tensor, segments: torch.Tensor, groups: torch.Tensor) -> Readout:
        self.groups, self.seen = groups, super().across(query, segments, groups)
        return self.seen


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def nats(z: torch.Tensor, rows: torch.Tensor, own: int, alpha: float) -> float:
    """-log of f(z, g_k) over the sum of all, one row at a time."""
    f = [math.exp(-alpha * float((z.double() - row.double()).square().sum())) for row in rows]
    return -math.log(f[own] / sum(f))


def snr(estimate: torch.Tensor, reference: torch.Tensor) -> float:
    a, b = estimate - estimate.mean(), reference - reference.mean()
    target = (a @ b) / (b @ b) * b
    return 10 * math.log10(float(target.square().sum() / (a - target).square().sum()))
