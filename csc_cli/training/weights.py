"""How much each loss counts, as a number or as a schedule over the steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from csc_cli.training.config import ObjectiveConfig, Weight


class Weights(NamedTuple):
    """The weights of a step, named as in `ObjectiveConfig`."""

    contrastive: float
    segment: float
    batch: float
    silent: float
    regulariser: float


def weights_at(config: ObjectiveConfig, share: float) -> Weights:
    """The weights after a share of the steps."""
    return Weights(*(value_at(getattr(config, f"{name}_weight"), share) for name in Weights._fields))


def scheduled_names(config: ObjectiveConfig) -> list[str]:
    """The weights that are not plain numbers."""
    return [name for name in Weights._fields if not isinstance(getattr(config, f"{name}_weight"), float)]


def value_at(weight: Weight, share: float) -> float:
    """A plain number as it is; a schedule linearly between its points, constant before and after them.

    >>> value_at(((0.2, 0.0), (0.6, 4.0)), 0.4), value_at(((0.2, 0.0), (0.6, 4.0)), 0.9), value_at(5.0, 0.3)
    (2.0, 4.0, 5.0)
    """
    if isinstance(weight, float | int):
        return weight
    shares, values = zip(*weight, strict=True)
    return float(np.interp(share, shares, values))
