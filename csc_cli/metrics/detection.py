"""Detection metrics on arrays of scores: ROC, equal error rates, detection costs.

A trial is accepted when its score is at least the threshold. Trials of equal score are accepted or
rejected together, so ties never depend on the order of a file.

Legend: T targets, N nontargets, K points of a curve.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csc_cli.errors import DataError
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.hull import Floats, Hull, hull_of_scores

Bools = NDArray[np.bool_]
Side = Literal["left", "right"]


class Split(NamedTuple):
    """Scores by kind, ascending."""

    targets: Floats  # (T,)
    nontargets: Floats  # (N,)

    @property
    def hull(self) -> Hull:
        """The convex hull of their ROC curve."""
        return hull_of_scores(*self)

    def rates(self, threshold: float) -> tuple[float, float]:
        """Miss rate and false-alarm rate at a threshold."""
        missed, rejected = (int(np.searchsorted(scores, threshold, "left")) for scores in self)
        return missed / self.targets.size, (self.nontargets.size - rejected) / self.nontargets.size


class Roc(NamedTuple):
    """The corners of a ROC curve, from accepting all trials to rejecting all."""

    miss: Floats  # (K,) share of targets rejected, rising from 0 to 1
    false_alarm: Floats  # (K,) share of nontargets accepted, falling from 1 to 0
    thresholds: Floats  # (K,) rising; the second of two equal ones means "just above"


class Eer(NamedTuple):
    """An equal error rate (a share, not per cent) and a threshold that gives about that rate."""

    rate: float
    threshold: float


def split(scores: ArrayLike, target: ArrayLike) -> Split:
    """The ascending scores of the targets and of the nontargets.

    Raises:
        DataError: shapes differ, a score is NaN or infinite, or one of the two kinds is absent.
    """
    scores, target = check(scores, target)
    return Split(np.sort(scores[target]), np.sort(scores[~target]))


def check(scores: ArrayLike, target: ArrayLike) -> tuple[Floats, Bools]:
    """`scores` and `target` as arrays, found fit for a detection metric (errors as in `split`)."""
    scores, target = np.asarray(scores, np.float64), np.asarray(target, bool)
    if scores.ndim != 1 or scores.shape != target.shape:
        raise DataError(f"scores {scores.shape} and keys {target.shape} must be one list of the same length")
    bad = scores.size - int(np.isfinite(scores).sum())
    if bad:
        raise DataError(f"{bad} of {scores.size} scores are NaN or infinite; mend the scoring before evaluating")
    targets = int(target.sum())
    for count, kind in ((targets, "target"), (target.size - targets, "nontarget")):
        if count == 0:
            raise DataError(f"no {kind} among {target.size} trials: error rates need both kinds")
    return scores, target


def roc(scores: ArrayLike, target: ArrayLike) -> Roc:
    """The ROC curve by its corners; linear interpolation between them gives every other threshold's point.

    Two points for each distinct target score (accepted from it on; accepted above it), because
    between two target scores only the share of false alarms moves.

    >>> roc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]).miss.tolist()
    [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]
    """
    targets, nontargets = split(scores, target)
    edges = np.unique(targets)
    sides = [(np.searchsorted(x, edges, "left"), np.searchsorted(x, edges, "right")) for x in (targets, nontargets)]
    missed, rejected = (np.stack(pair, axis=1).ravel() for pair in sides)  # (2 * edges,)
    miss = np.concatenate([[0.0], missed / targets.size, [1.0]])
    false_alarm = np.concatenate([[1.0], 1.0 - rejected / nontargets.size, [0.0]])
    lowest, highest = min(targets[0], nontargets[0]), max(targets[-1], nontargets[-1])
    thresholds = np.concatenate([[lowest], np.repeat(edges, 2), [highest]])
    return Roc(miss, false_alarm, thresholds)


def eer(scores: ArrayLike, target: ArrayLike) -> Eer:
    """The equal error rate on the convex hull of the ROC (see `hull_eer`): csc's default.

    Its threshold is the midpoint of the scores between which the hull crosses the diagonal.
    """
    return hull_eer(split(scores, target).hull)


def hull_eer(hull: Hull) -> Eer:
    """Where the convex hull of a ROC crosses miss = false alarm.

    The hull is what the best decision rules reach, randomised ones included; its equal error rate is
    also the largest over all priors of the minimum Bayes error rate (N. Brummer, "Measuring, refining
    and calibrating speaker and language information extracted from speech", PhD thesis, 2010).
    """
    miss, false_alarm = hull.miss, hull.false_alarm
    gap = miss - false_alarm  # from -1 to 1, rising
    after = int(np.searchsorted(gap, 0.0, "left"))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    rate = miss[before] + share * (miss[after] - miss[before])
    # Of the last edge only the beginning is known by a score.
    ends = hull.first[[before, min(after, len(hull.first) - 1)]]
    return Eer(float(rate), float(ends[0] + (ends[1] - ends[0]) / 2))


def eer_linear(scores: ArrayLike, target: ArrayLike) -> Eer:
    """The crossing of miss = false alarm on the ROC itself, straight lines between its points.

    This is what `brentq` on an interpolated ROC of scikit-learn finds. Never less than the hull's.
    """
    return linear_eer(split(scores, target))


def linear_eer(scores: Split) -> Eer:
    """As `eer_linear`, from the scores by kind."""
    targets, nontargets = scores

    def corner(edge: float, side: Side) -> tuple[float, float]:
        """Miss and false-alarm rate when scores from `edge` on (left), or above it (right), are accepted."""
        missed, rejected = (int(np.searchsorted(x, edge, side)) for x in scores)
        return missed / targets.size, 1.0 - rejected / nontargets.size

    def gap_above(place: int) -> float:
        miss, false_alarm = corner(targets[place], "right")
        return miss - false_alarm

    edge = float(targets[bisect_left(range(targets.size), 0.0, key=gap_above)])
    (miss, false_alarm), (miss_after, false_alarm_after) = corner(edge, "left"), corner(edge, "right")
    gap, gap_after = miss - false_alarm, miss_after - false_alarm_after
    if gap >= 0:  # already crossed between the target score before and this one, where only false alarms move
        below = targets[np.searchsorted(targets, edge, "left") - 1] if miss > 0 else min(targets[0], nontargets[0])
        return Eer(miss, float(below + (edge - below) / 2))
    return Eer(miss + -gap / (gap_after - gap) * (miss_after - miss), edge)


def eer_kaldi(scores: ArrayLike, target: ArrayLike) -> Eer:
    """The equal error rate as Kaldi's `compute-eer` takes it: a step of the miss rate, not interpolated.

    The first target score, in rising order, that lies above the nontarget score of the same rank from
    the top (ranks as shares, rounded down); the rate is the share of targets under it.
    """
    return kaldi_eer(split(scores, target))


def kaldi_eer(scores: Split) -> Eer:
    """As `eer_kaldi`, from the scores by kind."""
    targets, nontargets = scores

    def above(place: int) -> bool:
        # The nontarget falls as the place rises and the target rises: once above, always above.
        opposite = nontargets.size - 1 - nontargets.size * place // targets.size
        return bool(nontargets[max(opposite, 0)] < targets[place])

    first = min(bisect_left(range(targets.size), True, key=above), targets.size - 1)
    return Eer(first / targets.size, float(targets[first]))


def min_dcf(
    scores: ArrayLike, target: ArrayLike, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """The least normalised detection cost (`OperatingPoint.cost`) over all thresholds."""
    point = OperatingPoint(p_target, c_miss, c_fa)
    return min_cost(split(scores, target).hull, point)


def min_cost(hull: Hull, point: OperatingPoint) -> float:
    """The least cost over the corners of a hull, which are the best thresholds for all operating points."""
    return float(point.cost(hull.miss, hull.false_alarm).min())


def act_dcf(
    scores: ArrayLike, target: ArrayLike, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """The normalised detection cost at Bayes' threshold, for scores that are natural log likelihood ratios."""
    point = OperatingPoint(p_target, c_miss, c_fa)
    scores, target = check(scores, target)
    accepted = scores >= point.threshold
    return point.cost(float(np.mean(~accepted[target])), float(np.mean(accepted[~target])))
