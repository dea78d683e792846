"""Confidence intervals and p-values by the bootstrap over speakers.

Trials that share a speaker are not independent, so speakers are drawn, not trials: S of S with
replacement, once for both sides of the trials. A trial counts as often as the product of the draws
of its distinct speakers (`TrialSpeakers.weights`). For pairs of two speakers that is the resampling of
the nodes of a network (T. A. B. Snijders, S. P. Borgatti, "Non-parametric standard errors and tests
for network statistics", Connections 22, 1999; for arrays in general L. Davezies, X. D'Haultfoeuille,
Y. Guyonvarch, "Empirical process results for exchangeable arrays", Annals of Statistics 49, 2021);
that a target trial counts w, not w squared, follows from drawing nodes (in simulations w squared makes
the standard error of the EER 35 to 50 % too large).

Legend: S speakers, N trials, G groups, R replicates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from csc_cli import seeds
from csc_cli.errors import ConfigError
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.hull import Floats
from csc_cli.metrics.resampling import Ranked, Replicates
from csc_cli.metrics.speakers import TrialSpeakers

BLOCK = 4_000_000  # numbers in the weights of a block of replicates: 32 MB
MOST_LEFT_OUT = 500
LEAST_BITS = 1e-4


class Interval(NamedTuple):
    """The ends of an interval; NaN at both where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"))


def draw_counts(speakers: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """How often each of S speakers is drawn in each of R replicates: (R, S), rows add up to S."""
    if replicates < 0:
        raise ConfigError(f"--bootstrap {replicates}: must be at least 0")
    return seeds.generator(seed, "bootstrap").multinomial(speakers, np.full(speakers, 1 / speakers), size=replicates)


def bootstrap(
    scores: Floats,
    target: NDArray[np.bool_],
    speakers: TrialSpeakers,
    counts: NDArray[np.int64],
    points: Sequence[OperatingPoint] = (OperatingPoint(),),
) -> Replicates:
    """The metrics of N trials under each of the R draws `counts` (R, S).

    Raises:
        DataError: as `detection.split`.
    """
    if not len(counts):
        none, costs = np.zeros(0), np.zeros((0, len(points)))
        return Replicates(none, none, none, costs, costs)
    groups = len(speakers.members)
    ranked = Ranked(scores, target, speakers.group, groups, points)
    blocks = [ranked.replicate(speakers.weights(block)) for block in _blocks(counts, groups)]
    return Replicates(*map(np.concatenate, zip(*blocks, strict=True)))


def leave_one_out(speakers: TrialSpeakers) -> NDArray[np.int64]:
    """All speakers once but for one, for each speaker of the trials: (P, S); none where there are more than 500."""
    present = np.unique(speakers.members)
    present = present[present < len(speakers.names)]
    # The acceleration falls with 1 / sqrt(S): beyond, it is not worth as many replicates.
    present = present[:0] if present.size > MOST_LEFT_OUT else present
    counts = np.ones((present.size, len(speakers.names)), np.int64)
    counts[np.arange(present.size), present] = 0
    return counts


def interval(
    estimate: float, values: Floats, speakers: int, level: float = 0.95, left_out: Floats | None = None
) -> Interval:
    """The BCa interval around `estimate`, widened for few speakers: for rates and ratios.

    Percentiles are moved by where the estimate stands among the replicates, and by the skewness that leaving out one
    speaker at a time shows (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, section 14.3): the error
    rate of a small sample is too good on average, and resampling it makes it better still. The normal quantile is
    replaced by Student's, times sqrt(S / (S - 1)) (T. Hesterberg, "What teachers should know about the bootstrap",
    2015, section 4.3). docs/evaluation.md says how often it held the truth in simulations.

    Args:
        estimate: the value on the sample itself.
        values: (R,) its replicates. Those that are not finite are left out; if they are more than an end of the
            interval leaves out, there is no interval.
        speakers: S, the speakers of the sample. With one, or without replicates, both ends are NaN.
        left_out: the values without one speaker each; without them only the bias is corrected.
    """
    finite = _finite(estimate, values, speakers, level)
    if finite is None:
        return NO_INTERVAL
    shift = _normal_rank(estimate, finite)
    ends = shift + _student(speakers, level) * np.array([-1, 1])
    ends /= np.maximum(1 - _acceleration(left_out) * ends, 0.1)
    low, high = np.quantile(finite, special.ndtr(shift + ends))
    return Interval(float(low), float(high))


def cost_interval(
    estimate: float,
    values: Floats,
    speakers: int,
    level: float = 0.95,
    *,
    highest: float = np.inf,
    logarithm: bool = False,
) -> Interval:
    """Student's interval around the estimate less its bias: for costs, whose least point was sought in the sample.

    Bias and standard error are those of the replicates (B. Efron, R. Tibshirani, 1993, sections 10.2 and 13.2;
    Student's quantile as in `interval`). A minimum over thresholds or maps is too low by more than shifted
    percentiles make good.

    Args:
        highest: the largest value that the cost can have; the least is 0.
        logarithm: make the interval for the logarithm.
        The others, and where there is no interval: as `interval`.
    """
    finite = _finite(estimate, values, speakers, level)
    if finite is None:
        return NO_INTERVAL
    # A replicate without any error has no logarithm.
    drawn, scaled = finite, estimate
    if logarithm:
        drawn, scaled = np.log(np.maximum(finite, LEAST_BITS)), float(np.log(max(estimate, LEAST_BITS)))
    ends = 2 * scaled - drawn.mean() + _student(speakers, level) * drawn.std() * np.array([-1, 1])
    low, high = np.exp(ends) if logarithm else ends
    # An end beyond the range, or beyond the estimate itself, is none.
    return Interval(float(min(max(low, 0.0), estimate)), float(max(min(high, highest), estimate)))


def difference_interval(
    difference: float, values: Floats, speakers: int, level: float = 0.95, left_out: Floats | None = None
) -> Interval:
    """Student's interval around a difference of two systems, without a correction for bias, which both share.

    The standard error is the larger of the bootstrap's and the jackknife's (B. Efron, R. Tibshirani, 1993, section
    11.2): the former is too small for minimum Cllr in our simulations. Arguments as of `interval`.
    """
    finite = _finite(difference, values, speakers, level)
    if finite is None:
        return NO_INTERVAL
    width = float(special.stdtrit(speakers - 1, (1 + level) / 2)) * _error(finite, speakers, left_out)
    return Interval(float(difference - width), float(difference + width))


def p_value(difference: float, values: Floats, speakers: int, left_out: Floats | None = None) -> float:
    """Two-sided p-value of "no difference": Student's t test, t = difference / standard error, S - 1 degrees.

    Below 0.05 exactly where the 95 % `difference_interval` leaves 0 out. NaN where there is no interval.
    """
    finite = _finite(difference, values, speakers, 0.95)
    if finite is None:
        return float("nan")
    error = _error(finite, speakers, left_out)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * special.stdtr(speakers - 1, -abs(difference) / error))


def _error(values: Floats, speakers: int, left_out: Floats | None) -> float:
    """The larger of the bootstrap's and the jackknife's standard error."""
    error = float(values.std() * np.sqrt(speakers / (speakers - 1)))
    if left_out is None or left_out.size < 2 or not np.isfinite(left_out).all():
        return error
    count = left_out.size
    return max(error, float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2))))


def _finite(estimate: float, values: Floats, speakers: int, level: float) -> Floats | None:
    """The replicates that are numbers, or None where they are too few for an interval."""
    finite = values[np.isfinite(values)]
    too_few = not values.size or finite.size < values.size * (1 + level) / 2
    return None if too_few or speakers < 2 or not np.isfinite(estimate) else finite


def _student(speakers: int, level: float) -> float:
    """Student's quantile, times sqrt(S / (S - 1)): a drawn sample's spread is that much too small."""
    return float(special.stdtrit(speakers - 1, (1 + level) / 2) * np.sqrt(speakers / (speakers - 1)))


def _acceleration(left_out: Floats | None) -> float:
    """A sixth of the skewness of the mean, from the values without one speaker each (Efron & Tibshirani, 14.15)."""
    if left_out is None or left_out.size < 2 or not np.isfinite(left_out).all():
        return 0.0
    apart = left_out.mean() - left_out
    spread = float(np.sum(apart**2))
    return float(np.sum(apart**3)) / (6 * spread**1.5) if spread > 0 else 0.0


def _normal_rank(value: float, values: Floats) -> float:
    """The normal deviate of the share of `values` below `value`, those equal to it by half; never infinite."""
    below = (np.sum(values < value) + np.sum(values == value) / 2) / values.size
    return float(special.ndtri(np.clip(below, 0.5 / values.size, 1 - 0.5 / values.size)))


def _blocks(counts: NDArray[np.int64], groups: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, BLOCK // groups)
    for begin in range(0, len(counts), step):
        yield counts[begin : begin + step]
