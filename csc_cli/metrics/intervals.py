"""Confidence intervals by the bootstrap over speakers.

Trials that share a speaker are not independent, so speakers are drawn, not trials: S of S with
replacement, once for both sides of the trials. A trial counts as often as the product of the draws
of its distinct speakers (`TrialSpeakers.weights`). For pairs of two speakers that is the resampling of
the nodes of a network (T. A. B. Snijders, S. P. Borgatti, "Non-parametric standard errors and tests
for network statistics", Connections 22, 1999; for arrays in general L. Davezies, X. D'Haultfoeuille,
Y. Guyonvarch, "Empirical process results for exchangeable arrays", Annals of Statistics 49, 2021);
that a target trial counts w, not w squared, follows from drawing nodes (in simulations w squared makes
the standard error of the EER 35 to 50 % too large).

Legend: S speakers, N trials, G groups, K distinct target scores, R replicates, B replicates of one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from csc_cli import seeds
from csc_cli.errors import ConfigError
from csc_cli.metrics.detection import Floats, check, hull_eer, min_cost
from csc_cli.metrics.speakers import TrialSpeakers

BLOCK = 4_000_000  # numbers in one array of a block: 32 MB, a few of them at a time


class Interval(NamedTuple):
    """The ends of an interval; NaN at both where there is none."""

    low: float
    high: float


class Replicates(NamedTuple):
    """Bootstrap values of one system on one set of trials; NaN where a replicate drew no such trials."""

    eer: Floats  # (R,) shares
    min_dcf: Floats  # (R,)


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
    p_target: float = 0.01,
) -> Replicates:
    """EER (convex hull) and minDCF of N trials under each of the R draws `counts` (R, S).

    The scores are ranked once. A replicate is then a sum over the groups of trials between two
    neighbouring target scores: a sparse matrix (K + 1, G) times the groups' weights (G, B).

    Raises:
        DataError: as `detection.split`.
    """
    scores, target = check(scores, target)
    missed, rejected = _segments(scores, target, speakers)
    eers, costs = [np.zeros(0)], [np.zeros(0)]
    for block in _blocks(counts, max(missed.shape)):
        weights = speakers.weights(block)
        miss, miss_empty = _rising(missed @ weights)
        rejection, false_alarm_empty = _rising(rejected @ weights)
        np.subtract(1.0, rejection, out=rejection)
        empty = miss_empty | false_alarm_empty
        eers.append(np.where(empty, np.nan, hull_eer(miss, rejection)))
        costs.append(np.where(empty, np.nan, min_cost(miss, rejection, p_target)))
    return Replicates(np.concatenate(eers), np.concatenate(costs))


def interval(estimate: float, values: Floats, speakers: int, level: float = 0.95) -> Interval:
    """The bias-corrected percentile interval around `estimate`, widened for few speakers.

    Percentiles are moved by where the estimate stands among the replicates (B. Efron, R. Tibshirani,
    "An Introduction to the Bootstrap", 1993, section 14.3, without acceleration): the error rate of a
    small sample is too good on average, and resampling it makes it better still. The normal quantile
    is replaced by Student's, times sqrt(S / (S - 1)) (T. Hesterberg, "What teachers should know about
    the bootstrap", 2015, section 4.3). Our simulation of cosine trials of 20 to 80 speakers: the true
    EER lies within in 92 to 96 % of draws, and in 86 to 92 % without the two corrections.

    Args:
        estimate: the value on the sample itself.
        values: (R,) its replicates. Those that are not finite are left out; if they are more than an end of the
            interval leaves out, there is no interval.
        speakers: S, the speakers of the sample. With one, or without replicates, both ends are NaN.
    """
    drawn, values = values.size, values[np.isfinite(values)]
    too_few = not drawn or values.size < drawn * (1 + level) / 2
    if too_few or speakers < 2 or not np.isfinite(estimate):
        return Interval(float("nan"), float("nan"))
    below = (np.sum(values < estimate) + np.sum(values == estimate) / 2) / values.size
    shift = special.ndtri(np.clip(below, 0.5 / values.size, 1 - 0.5 / values.size))
    spread = special.stdtrit(speakers - 1, (1 + level) / 2) * np.sqrt(speakers / (speakers - 1))
    low, high = np.quantile(values, special.ndtr(2 * shift + np.array([-spread, spread])))
    return Interval(float(low), float(high))


def _blocks(counts: NDArray[np.int64], rows: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, BLOCK // rows)
    for begin in range(0, len(counts), step):
        yield counts[begin : begin + step]


def _segments(
    scores: Floats, target: NDArray[np.bool_], speakers: TrialSpeakers
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """How many targets, and nontargets, of each group lie between neighbouring target scores: (K + 1, G) each."""
    edges = np.unique(scores[target])
    shape = (edges.size + 1, len(speakers.members))

    def table(kind: NDArray[np.bool_]) -> sparse.csr_array:
        segment = np.searchsorted(edges, scores[kind], "right")
        ones = np.ones(segment.size)
        return sparse.coo_array((ones, (segment, speakers.group[kind])), shape=shape).tocsr()

    return table(target), table(~target)


def _rising(weight: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The running share of the weight, from 0 to 1, (K + 2, B), and which columns have none at all."""
    running = np.zeros((weight.shape[0] + 1, weight.shape[1]))
    np.cumsum(weight, axis=0, out=running[1:])
    total = running[-1].copy()
    running /= np.where(total > 0, total, 1.0)
    running[-1] = 1.0
    return running, total == 0
