"""An exponential moving average of the weights, which is what is measured and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """average <- d average + (1 - d) weights after each step (Polyak averaging; Tarvainen & Valpola 2017, eq. 2).

    d = min(decay, (1 + t) / (10 + t)) after t steps, so that the random weights of the beginning are soon forgotten.

    Running statistics are averaged as the weights are; counters follow.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """A decay of 0 keeps no average."""
        self.model, self.decay, self.updates = model, decay, 0
        self.average: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self) -> None:
        """After each step of the optimiser."""
        if not self.decay:
            return
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, tensor in self.model.state_dict().items():
            if name not in self.average:
                self.average[name] = tensor.clone()
            elif tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with its averaged weights, for as long as the block lasts."""
        if not self.average:
            yield
            return
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            yield
        finally:
            self.model.load_state_dict(own)

    def state(self) -> dict[str, object]:
        return {"updates": self.updates, "average": self.average}

    def load(self, state: dict[str, object]) -> None:
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        device = next(self.model.parameters()).device
        self.average = {name: tensor.to(device) for name, tensor in state["average"].items()}  # type: ignore[attr-defined]
