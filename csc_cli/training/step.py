"""One step of the optimiser: losses, gradients of all parts and ranks, the weights' update."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from csc_cli import seeds
from csc_cli.errors import CscError, DataError
from csc_cli.progress import note
from csc_cli.training import distributed
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.device import (
    autocast,
    choose_precision,
    compile_model,
    is_uncompiled,
    recompute_activations,
)
from csc_cli.training.ema import MovingAverage
from csc_cli.training.initial import freeze
from csc_cli.training.memory import explain, is_full
from csc_cli.training.objective import Learner, Losses
from csc_cli.training.rivals import RivalLearner
from csc_cli.training.schedule import learning_rate, scheduled


class Stepper:
    """The learner, what moves its weights, and how a step is computed."""

    def __init__(self, learner: Learner | RivalLearner, config: TrainConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.dtype = choose_precision(config.optimiser.precision, device)
        self.autocast = autocast(self.dtype, device)
        self.learner = learner.to(device)
        if self.dtype == torch.float64:
            self.learner.double()
        if config.optimiser.activation_checkpointing:
            recompute_activations(self.learner.model)
        if config.optimiser.compile:
            compile_model(self.learner.model, config.optimiser.compile)
        self.frozen = freeze(self.learner.model, config.optimiser.frozen)
        self.optimiser = make_optimiser(self.learner, config)
        self.average = MovingAverage(self.learner.model, config.optimiser.ema)
        self.skipped = 0

    def placed(self, batch: MixtureBatch) -> MixtureBatch:
        """The batch where, and as precise as, the learner is."""
        batch = batch.to(self.device)
        if self.dtype == torch.float64:
            batch = batch._replace(mixture=batch.mixture.double(), sources=batch.sources.double())
        return batch

    def explained(self, update: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What `update` gives; where memory is full, what to lower.

        Raises:
            CscError: it is full, or torch.compile fails.
        """
        try:
            return update()
        except (RuntimeError, MemoryError) as error:
            if is_uncompiled(error):
                reason = str(error).strip().partition("\n")[0]
                kind = f"optimiser.compile={self.config.optimiser.compile}: {type(error).__name__}"
                raise CscError(f"{kind}: {reason}; set it to null") from error
            if not is_full(error):
                raise
            raise explain(error, self.config, self.device) from error

    def update(self, parts: Sequence[MixtureBatch], step: int) -> dict[str, float]:
        """The optimiser step `step` on `batch.accumulate` batches, this rank's share of each.

        Its gradient is the mean of theirs. Returns the figures, summed over ranks, their mean over the parts; none
        where the step was passed over.

        Raises:
            DataError: a loss or gradient is not finite, once too often.
        """
        self.learner.train()
        for module in self.frozen:
            module.eval()
        statistics = [buffer.clone() for buffer in self.learner.buffers()]
        figures: list[Tensor] = []
        names: tuple[str, ...] = ()
        for index, part in enumerate(parts, start=step * len(parts)):
            losses = self.losses(part, index, step)
            (losses.total / len(parts)).backward()
            figures.append(torch.stack([losses.total.detach(), *losses.figures.values()]))
            names = tuple(losses.figures)
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        distributed.add_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip)
        loss, *values = distributed.total(torch.stack(figures).mean(0)).tolist()
        if not math.isfinite(loss) or not torch.isfinite(norm):
            self.optimiser.zero_grad()
            self.learner.forget()
            for buffer, before in zip(self.learner.buffers(), statistics, strict=True):
                buffer.copy_(before)
            self.skip(parts, step, f"the loss is {loss} and the gradient's norm {float(norm)}")
            return {}
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config.optimiser, step)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.learner.update_inventory()
        self.average.update()
        return {"loss": loss, **dict(zip(names, values, strict=True)), "gradient_norm": float(norm)}

    def losses(self, batch: MixtureBatch, index: int, step: int) -> Losses:
        """Of this rank's share of batch `index` of the training, in step `step`; all draws are functions of it."""
        torch.manual_seed(seeds.derive(self.config.seed, "dropout", index, distributed.rank()))
        choice = torch.Generator().manual_seed(seeds.derive(self.config.seed, "subsets", index) % 2**63)
        losses: Losses = self.learner(self.placed(batch), choice, self.autocast, *scheduled(self.config, step))
        return losses

    def skip(self, parts: Sequence[MixtureBatch], step: int, what: str) -> None:
        """Pass over a step, as often as the settings allow.

        Raises:
            DataError: once too often.
        """
        self.skipped += 1
        allowed = self.config.optimiser.skipped
        message = f"step {step}: {what}, from the mixtures {', '.join(name for part in parts for name in part.ids)}"
        if self.skipped > allowed:
            raise DataError(f"{message}; it was step {self.skipped} of the kind, the last checkpoint is whole: lower "
                            "optimiser.learning_rate")  # fmt: skip
        note(f"{message}; passed over ({self.skipped} of {allowed})")


def make_optimiser(learner: Learner | RivalLearner, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, whose weight decay leaves vectors and scalars alone."""
    trained = [p for p in learner.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": config.optimiser.weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.optimiser.learning_rate, fused=True)
