"""Detection results of several systems on the same trials, by condition, with intervals and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError
from csc_cli.metrics import detection
from csc_cli.metrics.calibration import cllr, hull_cllr
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.hull import Floats
from csc_cli.metrics.intervals import (
    bootstrap,
    cost_interval,
    difference_interval,
    interval,
    leave_one_out,
    p_value,
)  # fmt: skip
from csc_cli.metrics.resampling import Replicates
from csc_cli.metrics.speakers import TrialSpeakers


@dataclass(frozen=True)
class ConditionTrials:
    """The N trials of one condition and each system's scores of them."""

    name: str
    target: NDArray[np.bool_]  # (N,)
    scores: Mapping[str, Floats]  # (N,) each
    speakers: TrialSpeakers


@dataclass(frozen=True)
class Measure:
    """A value and its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PointResult:
    """One system at one operating point: the least cost, and that at Bayes' threshold."""

    point: OperatingPoint
    min_dcf: Measure
    act_dcf: Measure


@dataclass(frozen=True)
class SystemResult:
    """One system in one condition. Error rates are shares, not per cent."""

    eer: Measure  # on the convex hull of the ROC
    eer_linear: float
    eer_kaldi: float
    eer_threshold: float
    min_dcf: Measure  # at the first operating point
    points: tuple[PointResult, ...]
    cllr: Measure  # bits
    min_cllr: Measure


@dataclass(frozen=True)
class Comparison:
    """A system against the first one, on the same trials and the same draws of speakers.

    Each p-value is that of no difference. `min_dcf` is meant at the first operating point.
    """

    eer_ratio: Measure
    eer_difference: Measure
    eer_p_value: float
    min_dcf_ratio: Measure
    min_dcf_difference: Measure
    min_dcf_p_value: float
    cllr_difference: Measure
    cllr_p_value: float
    min_cllr_difference: Measure
    min_cllr_p_value: float


@dataclass(frozen=True)
class ConditionResult:
    """All systems in one condition."""

    name: str
    targets: int
    nontargets: int
    speakers: int
    systems: dict[str, SystemResult]
    comparisons: dict[str, Comparison]  # by system, the first one left out


def evaluate_condition(
    trials: ConditionTrials, counts: NDArray[np.int64], points: Sequence[OperatingPoint] = (OperatingPoint(),)
) -> ConditionResult:
    """Every system's figures in one condition, under the draws `counts` (R, S) of the speakers.

    Raises:
        DataError: the condition lacks targets or nontargets, or a score is not finite; names the condition.
    """
    systems: dict[str, SystemResult] = {}
    drawn: dict[str, _Drawn] = {}
    for name, scores in trials.scores.items():
        try:
            drawn[name] = _draw(scores, trials, counts, points)
            systems[name] = _system(scores, trials.target, drawn[name], points)
        except DataError as error:
            raise DataError(f"condition '{trials.name}', scores of '{name}': {error}") from error
    first, *others = systems
    comparisons = {name: _compare(systems[name], systems[first], drawn[name], drawn[first]) for name in others}
    targets, speakers = int(trials.target.sum()), trials.speakers.present
    return ConditionResult(trials.name, targets, trials.target.size - targets, speakers, systems, comparisons)


def by_condition(whole: ConditionTrials, condition_of: NDArray[np.intp], names: Sequence[str]) -> list[ConditionTrials]:
    """The trials of each condition, and last of all of them together where there are several.

    Args:
        whole: N trials; its name is that of the last part.
        condition_of: (N,) index into `names`.
    """
    if len(names) == 1:
        return [ConditionTrials(names[0], whole.target, whole.scores, whole.speakers)]
    parts = []
    for index, name in enumerate(names):
        keep = condition_of == index
        scores = {system: values[keep] for system, values in whole.scores.items()}
        parts.append(ConditionTrials(name, whole.target[keep], scores, whole.speakers.subset(keep)))
    return [*parts, whole]


@dataclass(frozen=True)
class _Drawn:
    """What the figures of a system become when speakers are drawn, and when one at a time is left out."""

    values: Replicates
    left_out: Replicates
    speakers: int


def _draw(
    scores: Floats, trials: ConditionTrials, counts: NDArray[np.int64], points: Sequence[OperatingPoint]
) -> _Drawn:
    without_one = leave_one_out(trials.speakers) if len(counts) else counts
    both = bootstrap(scores, trials.target, trials.speakers, np.concatenate([counts, without_one]), points)
    values, left_out = (Replicates(*(x[part] for x in both)) for part in np.s_[: len(counts), len(counts) :])
    return _Drawn(values, left_out, trials.speakers.present)


def _system(scores: Floats, target: NDArray[np.bool_], drawn: _Drawn, points: Sequence[OperatingPoint]) -> SystemResult:
    by_kind = detection.split(scores, target)
    hull = by_kind.hull
    rate, threshold = detection.hull_eer(hull)
    values, speakers = drawn.values, drawn.speakers

    def cost(value: float, drawn: Floats, *, logarithm: bool, highest: float = np.inf) -> Measure:
        return Measure(value, *cost_interval(value, drawn, speakers, highest=highest, logarithm=logarithm))

    costs = tuple(
        PointResult(
            point,
            min_dcf=cost(detection.min_cost(hull, point), values.min_costs[:, p], logarithm=False, highest=1.0),
            act_dcf=cost(point.cost(*by_kind.rates(point.threshold)), values.act_costs[:, p], logarithm=False),
        )
        for p, point in enumerate(points)
    )
    return SystemResult(
        eer=Measure(rate, *interval(rate, values.eer, speakers, left_out=drawn.left_out.eer)),
        eer_linear=detection.linear_eer(by_kind).rate,
        eer_kaldi=detection.kaldi_eer(by_kind).rate,
        eer_threshold=threshold,
        min_dcf=costs[0].min_dcf,
        points=costs,
        cllr=cost(cllr(scores, target), values.cllr, logarithm=True),
        min_cllr=cost(hull_cllr(hull), values.min_cllr, logarithm=True, highest=1.0),
    )


def _compare(system: SystemResult, first: SystemResult, drawn: _Drawn, drawn_first: _Drawn) -> Comparison:
    def ratio(figure: str) -> Measure:
        value = float(divide(getattr(system, figure).value, getattr(first, figure).value))
        values, left_out = (
            divide(getattr(ours, figure), getattr(theirs, figure))
            for ours, theirs in ((drawn.values, drawn_first.values), (drawn.left_out, drawn_first.left_out))
        )
        return Measure(value, *interval(value, values, drawn.speakers, left_out=left_out))

    def difference(figure: str) -> tuple[Measure, float]:
        apart = getattr(system, figure).value - getattr(first, figure).value
        values = getattr(drawn.values, figure) - getattr(drawn_first.values, figure)
        left_out = getattr(drawn.left_out, figure) - getattr(drawn_first.left_out, figure)
        ends = difference_interval(apart, values, drawn.speakers, left_out=left_out)
        return Measure(apart, *ends), p_value(apart, values, drawn.speakers, left_out)

    return Comparison(
        ratio("eer"), *difference("eer"), ratio("min_dcf"), *difference("min_dcf"),
        *difference("cllr"), *difference("min_cllr"),
    )  # fmt: skip


def divide(value: float | Floats, other: float | Floats) -> Floats:
    """value / other (arrays of one shape, or numbers), NaN where other is 0 or either is NaN."""
    value, other = np.asarray(value, np.float64), np.asarray(other, np.float64)
    return np.divide(value, other, out=np.full(other.shape, np.nan), where=other > 0)
