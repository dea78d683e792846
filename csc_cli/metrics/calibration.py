"""How well scores do as natural log likelihood ratios, and the best that a rising map could make of them.

N. Brummer, J. du Preez, "Application-independent evaluation of speaker detection", Computer Speech & Language
20, 2006. Legend: N trials, H blocks of a hull.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from csc_cli.metrics.detection import check, split
from csc_cli.metrics.hull import Floats, Hull

LOG_2 = np.log(2.0)


def cllr(llr: ArrayLike, target: ArrayLike) -> float:
    """The cost of log likelihood ratios, in bits: 0 is perfect, 1 is that of saying nothing (all ratios 1).

    Mean of log2(1 + exp(-llr)) over targets and of log2(1 + exp(llr)) over nontargets, halved.

    Raises:
        DataError: as `detection.split`.

    >>> cllr([0.0, 0.0], [True, False])
    1.0
    """
    llr, target = check(llr, target)
    return float(surprise(llr[target]).mean() + surprise(-llr[~target]).mean()) / 2


def surprise(llr: Floats) -> Floats:
    """log2(1 + exp(-llr)), without overflow."""
    bits = np.logaddexp(0.0, -llr)
    bits /= LOG_2
    return bits


def min_cllr(scores: ArrayLike, target: ArrayLike) -> float:
    """Cllr after the best rising map of the scores on these very trials (`pav`): what discrimination costs.

    Raises:
        DataError: as `detection.split`.
    """
    return hull_cllr(split(scores, target).hull)


def hull_cllr(hull: Hull) -> float:
    """As `min_cllr`, from the hull."""
    ratio = hull.ratio
    inverse = np.divide(1.0, ratio, out=np.full(len(ratio), np.inf), where=ratio > 0)
    # A block without targets has ratio 0 and costs its nontargets nothing, and the other way round.
    cost = 0.0
    for weights, odds in ((hull.targets, inverse), (hull.nontargets, ratio)):
        present = weights > 0
        cost += float(weights[present] @ np.log1p(odds[present]) / weights.sum())
    return cost / (2 * LOG_2)


def pav(scores: ArrayLike, target: ArrayLike) -> Floats:
    """The log likelihood ratio of each trial by pool-adjacent-violators: (N,), infinite at the ends.

    Raises:
        DataError: as `detection.split`.
    """
    hull = split(scores, target).hull
    with np.errstate(divide="ignore"):
        llr = np.log(hull.ratio)
    return llr[np.searchsorted(hull.first, np.asarray(scores, np.float64), "right") - 1]
