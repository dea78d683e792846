"""Detection metrics on arrays of scores: ROC, equal error rates, minimum detection cost.

A trial is accepted when its score is at least the threshold. Trials of equal score are accepted or
rejected together, so ties never depend on the order of a file.

Legend: T targets, N nontargets, K points of a curve, B replicates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csc_cli.errors import DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Roc(NamedTuple):
    """The corners of a ROC curve, from accepting all trials to rejecting all."""

    miss: Floats  # (K,) share of targets rejected, rising from 0 to 1
    false_alarm: Floats  # (K,) share of nontargets accepted, falling from 1 to 0
    thresholds: Floats  # (K,) rising; the second of two equal ones means "just above"


class Eer(NamedTuple):
    """An equal error rate (a share, not per cent) and a threshold that gives about that rate."""

    rate: float
    threshold: float


def split(scores: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """The ascending scores of the targets and of the nontargets.

    Raises:
        DataError: shapes differ, a score is NaN or infinite, or one of the two kinds is absent.
    """
    scores, target = check(scores, target)
    return np.sort(scores[target]), np.sort(scores[~target])


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
    return _corners(targets, nontargets)


def _corners(targets: Floats, nontargets: Floats) -> Roc:
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
    curve = roc(scores, target)
    rates, left, right = hull_crossing(curve.miss[:, None], curve.false_alarm[:, None])
    return Eer(float(rates[0]), float((curve.thresholds[left[0]] + curve.thresholds[right[0]]) / 2))


def hull_eer(miss: Floats, false_alarm: Floats) -> Floats:
    """Where the convex hull of each ROC crosses miss = false alarm.

    The hull is what the best decision rules reach, randomised ones included; its equal error rate is
    also the largest over all priors of the minimum Bayes error rate (N. Brummer, "Measuring, refining
    and calibrating speaker and language information extracted from speech", PhD thesis, 2010).

    Args:
        miss, false_alarm: (K, B), a column a curve, rising and falling along K, from (0, 1) to (1, 0).

    Returns:
        (B,) rates.
    """
    return hull_crossing(miss, false_alarm)[0]


def hull_crossing(miss: Floats, false_alarm: Floats) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """As `hull_eer`, with the indices of the two hull corners beside the crossing: (B,), (B,), (B,).

    The hull's edge is found without the hull: from a chord across the diagonal, go to the point
    farthest below it, which replaces the chord's end on its side, until none lies below.
    """
    points, curves = miss.shape
    column = np.arange(curves)
    left, right = np.zeros(curves, np.intp), np.full(curves, points - 1)
    rate = np.zeros(curves)
    active = column
    while active.size:
        low, high = left[active].min(), right[active].max() + 1
        m, f = miss[low:high, active], false_alarm[low:high, active]
        here = np.arange(active.size)
        a, b = left[active] - low, right[active] - low
        fall, rise = f[a, here] - f[b, here], m[b, here] - m[a, here]
        cost = fall * m + rise * f
        best = cost.argmin(axis=0)
        level = cost[a, here]
        rate[active] = level / (fall + rise)
        below = cost[best, here] < level * (1 - 1e-12)
        on_left = m[best, here] <= f[best, here]
        left[active[below & on_left]] = best[below & on_left] + low
        right[active[below & ~on_left]] = best[below & ~on_left] + low
        active = active[below]
    return rate, left, right


def eer_linear(scores: ArrayLike, target: ArrayLike) -> Eer:
    """The crossing of miss = false alarm on the ROC itself, straight lines between its points.

    This is what `brentq` on an interpolated ROC of scikit-learn finds. Never less than the hull's.
    """
    curve = roc(scores, target)
    gap = curve.miss - curve.false_alarm  # from -1 to 1, never falling
    after = int(np.searchsorted(gap, 0.0, "left"))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    rate = curve.miss[before] + share * (curve.miss[after] - curve.miss[before])
    return Eer(float(rate), float(curve.thresholds[[before, after]].mean()))


def eer_kaldi(scores: ArrayLike, target: ArrayLike) -> Eer:
    """The equal error rate as Kaldi's `compute-eer` takes it: a step of the miss rate, not interpolated.

    The first target score, in rising order, that lies above the nontarget score of the same rank from
    the top (ranks as shares, rounded down); the rate is the share of targets under it.
    """
    targets, nontargets = split(scores, target)
    position = np.arange(targets.size)
    opposite = nontargets.size - 1 - (nontargets.size * position / targets.size).astype(np.int64)
    above = nontargets[np.maximum(opposite, 0)] < targets
    above[-1] = True
    first = int(above.argmax())
    return Eer(first / targets.size, float(targets[first]))


def min_dcf(
    scores: ArrayLike, target: ArrayLike, p_target: float = 0.01, c_miss: float = 1.0, c_fa: float = 1.0
) -> float:
    """The smallest normalised detection cost over all thresholds (`min_cost`)."""
    curve = roc(scores, target)
    return float(min_cost(curve.miss, curve.false_alarm, p_target, c_miss, c_fa))


def min_cost(miss: Floats, false_alarm: Floats, p_target: float, c_miss: float = 1.0, c_fa: float = 1.0) -> Floats:
    """The least of C_miss P_target P_miss + C_fa (1 - P_target) P_fa along the first axis.

    Divided by the cost of the better system that does not listen (accepts all, or rejects all), so 1
    is useless (NIST Speaker Recognition Evaluation plans, C_norm).
    """
    if not 0 < p_target < 1:
        raise DataError(f"p_target={p_target}: must lie between 0 and 1")
    missed, accepted = c_miss * p_target, c_fa * (1 - p_target)
    return (missed * miss + accepted * false_alarm).min(axis=0) / min(missed, accepted)
