"""Operating points from the options of a command line, and their Bayes thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.errors import ConfigError
from csc_cli.metrics.cost import OperatingPoint, operating_points


def test_costs_go_with_their_priors():
    assert operating_points([0.01, 0.05], c_miss=[10, 1]) == (OperatingPoint(0.01, 10, 1), OperatingPoint(0.05, 1, 1))
    assert operating_points([0.01, 0.05], c_fa=[2]) == (OperatingPoint(0.01, 1, 2), OperatingPoint(0.05, 1, 2))
    assert operating_points([0.01]) == (OperatingPoint(0.01),)
    assert operating_points([]) == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.01, 0.05, 0.1], [1, 10]), "--c-miss is given 2 times for 3 --p-target"),
        (([0.01], [], [1, 1]), "--c-fa is given 2 times"),
        (([], [10]), "--c-miss is given 1 times for 0"),
        (([0.01, 0.01],), "given twice"),
        (([0.0],), "p_target=0: must lie between"),
        (([float("nan")],), "p_target=nan"),
        (([0.01], [-1]), "c_miss=-1"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(ConfigError, match=message):
        operating_points(*arguments)


@pytest.mark.parametrize("point", [OperatingPoint(0.01), OperatingPoint(0.3, 10, 2), OperatingPoint(0.9)])
def test_bayes_threshold_is_where_both_decisions_cost_the_same(point):
    for step, sign in ((-1e-6, 1), (1e-6, -1)):
        odds = point.p_target / (1 - point.p_target) * np.exp(point.threshold + step)
        posterior = odds / (1 + odds)
        accepting, rejecting = point.c_fa * (1 - posterior), point.c_miss * posterior
        assert np.sign(accepting - rejecting) == sign


def test_not_listening_costs_one():
    for point in (OperatingPoint(0.01), OperatingPoint(0.9, 2, 3)):
        assert min(point.cost(1.0, 0.0), point.cost(0.0, 1.0)) == pytest.approx(1)
