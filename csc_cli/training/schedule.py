"""The learning rate over the steps: linear warm-up, then a cosine."""

from __future__ import annotations

import math

from csc_cli.training.config import OptimiserConfig


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """The rate of step 0, 1, ..., steps - 1.

    >>> config = OptimiserConfig(steps=100, warmup=10, learning_rate=1.0, final_rate=0.0)
    >>> learning_rate(config, 4), learning_rate(config, 9), round(learning_rate(config, 54), 3)
    (0.5, 1.0, 0.511)
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)
