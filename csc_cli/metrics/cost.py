"""Operating points: how likely a target is, and what each kind of error costs there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from csc_cli.errors import ConfigError
from csc_cli.metrics.hull import Floats


@dataclass(frozen=True)
class OperatingPoint:
    """Prior probability of a target trial, cost of a miss, cost of a false alarm.

    >>> print(OperatingPoint(0.05), OperatingPoint(0.01, c_miss=10))
    0.05 0.01, 10, 1
    """

    p_target: float = 0.01
    c_miss: float = 1.0
    c_fa: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.p_target < 1:
            raise ConfigError(f"p_target={self.p_target:g}: must lie between 0 and 1")
        for name, value in (("c_miss", self.c_miss), ("c_fa", self.c_fa)):
            if not (0 < value < math.inf):
                raise ConfigError(f"{name}={value:g}: a cost must be above 0 and finite")

    def __str__(self) -> str:
        costs = "" if self.c_miss == self.c_fa == 1 else f", {self.c_miss:g}, {self.c_fa:g}"
        return f"{self.p_target:g}{costs}"

    @property
    def threshold(self) -> float:
        """Bayes' threshold of log likelihood ratios: log C_fa (1 - P) / (C_miss P)."""
        return math.log(self.c_fa * (1 - self.p_target)) - math.log(self.c_miss * self.p_target)

    @overload
    def cost(self, miss: float, false_alarm: float) -> float: ...
    @overload
    def cost(self, miss: Floats, false_alarm: Floats) -> Floats: ...
    def cost(self, miss: float | Floats, false_alarm: float | Floats) -> float | Floats:
        """The normalised detection cost, C_miss P P_miss + C_fa (1 - P) P_fa over its value without listening.

        Without listening one accepts all or rejects all, whichever costs less; so 1 is useless (C_norm of the
        NIST Speaker Recognition Evaluation plans).
        """
        missed, accepted = self.c_miss * self.p_target, self.c_fa * (1 - self.p_target)
        return (missed * miss + accepted * false_alarm) / min(missed, accepted)


def operating_points(
    p_target: Sequence[float], c_miss: Sequence[float] = (), c_fa: Sequence[float] = ()
) -> tuple[OperatingPoint, ...]:
    """A point for each `p_target`, with the costs of the same place; one cost holds for all, none is 1.

    Raises:
        ConfigError: another number of costs, an impossible value, or the same point twice.
    """
    costs = []
    for name, values in (("--c-miss", c_miss), ("--c-fa", c_fa)):
        if len(values) not in {0, min(1, len(p_target)), len(p_target)}:
            raise ConfigError(
                f"{name} is given {len(values)} times for {len(p_target)} --p-target: give one, or as many"
            )
        costs.append(list(values) * len(p_target) if len(values) == 1 else list(values) or [1.0] * len(p_target))
    points = tuple(map(OperatingPoint, p_target, *costs))
    if len(set(points)) < len(points):
        raise ConfigError(f"an operating point is given twice: {'; '.join(map(str, points))}")
    return points
