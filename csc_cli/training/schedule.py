"""What changes over the steps: learning rate (linear warm-up, then a cosine), the guide's share, margin, weights."""

from __future__ import annotations

import math

from csc_cli.training.config import OptimiserConfig, TrainConfig
from csc_cli.training.weights import Weights, weights_at


def learning_rate(config: OptimiserConfig, step: int) -> float:
    """The rate of step 0, 1, ..., steps - 1.

    >>> config = OptimiserConfig(steps=100, warmup=10, learning_rate=1.0, final_rate=0.0)
    >>> learning_rate(config, 4), learning_rate(config, 9), round(learning_rate(config, 55), 3)
    (0.5, 1.0, 0.5)
    """
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
    return config.learning_rate * (config.final_rate + (1 - config.final_rate) * cosine)


def scheduled(config: TrainConfig, step: int) -> tuple[float] | tuple[float, float, Weights]:
    """What a learner is told of the schedule: all the share of the margin, CSC's that of guided mixtures, weights."""
    if config.model.embedder is not None:
        return (margin_share(config.rival.margin_warmup * config.optimiser.steps, step),)
    guided, margin = guided_share(config, step), config.objective.aam_margin_warmup
    weights = weights_at(config.objective, step / max(1, config.optimiser.steps))
    return guided, margin_share(margin * config.optimiser.steps, step), weights


def margin_share(end: float, step: int) -> float:
    """From 0 up to 1 at step `end`, linearly."""
    return min(1.0, step / end) if end else 1.0


def guided_share(config: TrainConfig, step: int) -> float:
    """The share of mixtures whose speaker head hears the true sources: from 1 down to 0, linearly."""
    end = config.objective.guide_until * config.optimiser.steps
    return max(0.0, 1 - step / end) if end else 0.0
