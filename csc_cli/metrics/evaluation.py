"""Detection results of several systems on the same trials, by condition, with intervals and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError
from csc_cli.metrics import detection
from csc_cli.metrics.detection import Floats
from csc_cli.metrics.intervals import Replicates, bootstrap, interval
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
class SystemResult:
    """One system in one condition. Error rates are shares, not per cent."""

    eer: Measure  # on the convex hull of the ROC
    eer_linear: float
    eer_kaldi: float
    eer_threshold: float
    min_dcf: Measure


@dataclass(frozen=True)
class Comparison:
    """A system against the first one, on the same trials and the same draws of speakers."""

    eer_ratio: Measure
    eer_difference: Measure
    min_dcf_ratio: Measure
    min_dcf_difference: Measure


@dataclass(frozen=True)
class ConditionResult:
    """All systems in one condition."""

    name: str
    targets: int
    nontargets: int
    speakers: int
    systems: dict[str, SystemResult]
    comparisons: dict[str, Comparison]  # by system, the first one left out


def evaluate_condition(trials: ConditionTrials, counts: NDArray[np.int64], p_target: float) -> ConditionResult:
    """Every system's figures in one condition, under the draws `counts` (R, S) of the speakers.

    Raises:
        DataError: the condition lacks targets or nontargets, or a score is not finite; names the condition.
    """
    systems: dict[str, SystemResult] = {}
    replicates: dict[str, Replicates] = {}
    speakers = trials.speakers.present
    for name, scores in trials.scores.items():
        try:
            replicates[name] = bootstrap(scores, trials.target, trials.speakers, counts, p_target)
            systems[name] = _system(scores, trials.target, replicates[name], speakers, p_target)
        except DataError as error:
            raise DataError(f"condition '{trials.name}', scores of '{name}': {error}") from error
    first, *others = systems
    comparisons = {
        name: _compare(systems[name], systems[first], replicates[name], replicates[first], speakers) for name in others
    }
    targets = int(trials.target.sum())
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


def _system(
    scores: Floats, target: NDArray[np.bool_], replicates: Replicates, speakers: int, p_target: float
) -> SystemResult:
    rate, threshold = detection.eer(scores, target)
    return SystemResult(
        eer=_measure(rate, replicates.eer, speakers),
        eer_linear=detection.eer_linear(scores, target).rate,
        eer_kaldi=detection.eer_kaldi(scores, target).rate,
        eer_threshold=threshold,
        min_dcf=_measure(detection.min_dcf(scores, target, p_target), replicates.min_dcf, speakers),
    )


def _compare(
    system: SystemResult, first: SystemResult, drawn: Replicates, drawn_first: Replicates, speakers: int
) -> Comparison:
    def ratio(value: float, other: float, values: Floats, others: Floats) -> Measure:
        return _measure(float(_divide(value, other)), _divide(values, others), speakers)

    def difference(value: float, other: float, values: Floats, others: Floats) -> Measure:
        return _measure(value - other, values - others, speakers)

    rates = (system.eer.value, first.eer.value, drawn.eer, drawn_first.eer)
    costs = (system.min_dcf.value, first.min_dcf.value, drawn.min_dcf, drawn_first.min_dcf)
    return Comparison(ratio(*rates), difference(*rates), ratio(*costs), difference(*costs))


def _divide(value: float | Floats, other: float | Floats) -> Floats:
    """value / other, NaN where other is 0."""
    value, other = np.asarray(value, np.float64), np.asarray(other, np.float64)
    return np.divide(value, other, out=np.full(other.shape, np.nan), where=other > 0)


def _measure(value: float, values: Floats, speakers: int) -> Measure:
    return Measure(value, *interval(value, values, speakers))
