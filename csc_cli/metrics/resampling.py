"""Detection metrics of trials that count more or less than once, as a bootstrap needs them again and again.

The scores are ranked once. For given weights the targets and nontargets of each bin of scores are summed
and pooled to a hull, from which all follows.

Legend: N trials, G groups of trials of the same speakers, K bins of rising scores, E entries (bin and group), R draws,
P operating points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.compiled import compiled
from csc_cli.metrics.calibration import hull_cllr, surprise
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.detection import Bools, check, hull_eer, min_cost
from csc_cli.metrics.hull import Floats, hull_of_bins


class Replicates(NamedTuple):
    """Metrics of one system on one set of trials under R draws; NaN where a draw has no target or no nontarget."""

    eer: Floats  # (R,) shares
    cllr: Floats  # (R,)
    min_cllr: Floats  # (R,)
    min_costs: Floats  # (R, P) minDCF at each operating point
    act_costs: Floats  # (R, P) actDCF

    @property
    def min_dcf(self) -> Floats:
        """(R,) at the first operating point."""
        return self.min_costs[:, 0]


class Table(NamedTuple):
    """How many trials of each group lie in each bin: the entries of bin k are those from start[k] to start[k + 1]."""

    start: NDArray[np.int64]  # (K + 1,)
    group: NDArray[np.int32]  # (E,)
    trials: NDArray[np.int32]  # (E,)


class Ranked:
    """N trials, ready for `replicate`."""

    def __init__(
        self, scores: Floats, target: Bools, group: NDArray[np.integer], groups: int, points: Sequence[OperatingPoint]
    ) -> None:
        """Rank the trials.

        Args:
            scores: (N,) read as log likelihood ratios for Cllr and actDCF.
            target: (N,).
            group: (N,) from 0 to `groups` - 1.

        Raises:
            DataError: as `detection.split`.
        """
        scores, target = check(scores, target)
        self.points = tuple(points)
        bins, of_trial = _bins(scores, target)
        self.tables = tuple(_table(of_trial[kind], group[kind], bins, groups) for kind in (target, ~target))
        self.sums = np.stack([_sums(scores, target, group, groups, point) for point in points])  # (P, 2, G)
        self.bits = np.stack(
            [
                np.bincount(group[kind], surprise(sign * scores[kind]), groups)
                for kind, sign in ((target, 1), (~target, -1))
            ]
        )  # (2, G)

    def replicate(self, weights: Floats) -> Replicates:
        """The metrics when each trial of group g counts `weights[g, r]` times: weights (G, R), whole numbers."""
        draws = weights.shape[1]
        found = Replicates(*(np.full(draws, np.nan) for _ in range(3)), *np.full((2, draws, len(self.points)), np.nan))
        bits = self.bits @ weights  # (2, R)
        wrong = self.sums @ weights  # (P, 2, R)
        for r, weight in enumerate(np.ascontiguousarray(weights.T)):
            targets, nontargets = (_weigh(*table, weight) for table in self.tables)
            totals = np.array([targets.sum(), nontargets.sum()])
            if not totals.all():
                continue
            hull = hull_of_bins(targets, nontargets)
            found.eer[r] = hull_eer(hull).rate
            found.cllr[r] = (bits[:, r] / totals).sum() / 2
            found.min_cllr[r] = hull_cllr(hull)
            for p, point in enumerate(self.points):
                found.min_costs[r, p] = min_cost(hull, point)
                found.act_costs[r, p] = point.cost(*(wrong[p, :, r] / totals))
        return found


def _bins(scores: Floats, target: Bools) -> tuple[int, NDArray[np.int64]]:
    """The bins (how many; of each trial): all of one kind between two neighbours of the other, or equal scores.

    A threshold within a bin of one kind is never better than one at its ends, whatever the weights.
    """
    order = np.argsort(scores)
    rising, kind = scores[order], target[order]
    tie = np.concatenate([[0], np.cumsum(rising[1:] != rising[:-1])])  # (N,) number of the distinct score
    present = np.bincount(tie, np.where(kind, 1.0, 0.0)) > 0, np.bincount(tie, np.where(kind, 0.0, 1.0)) > 0
    both = present[0] & present[1]
    begins = both[1:] | both[:-1] | (present[0][1:] != present[0][:-1])
    bin_of_tie = np.concatenate([[0], np.cumsum(begins)])
    of_trial = np.empty(len(scores), np.int64)
    of_trial[order] = bin_of_tie[tie]
    return int(bin_of_tie[-1]) + 1, of_trial


def _table(of_trial: NDArray[np.int64], group: NDArray[np.integer], bins: int, groups: int) -> Table:
    code, count = np.unique(of_trial * groups + group, return_counts=True)
    start = np.searchsorted(code, np.arange(bins + 1) * groups)
    return Table(start, (code % groups).astype(np.int32), count.astype(np.int32))


def _sums(
    scores: Floats, target: Bools, group: NDArray[np.integer], groups: int, point: OperatingPoint
) -> NDArray[np.float64]:
    """Targets missed and nontargets accepted in each group at Bayes' threshold: (2, G)."""
    accepted = scores >= point.threshold
    wrong = (target & ~accepted, ~target & accepted)
    return np.stack([np.bincount(group[kind], minlength=groups) for kind in wrong]).astype(np.float64)


@compiled
def _weigh(start, group, count, weight):  # type: ignore[no-untyped-def]
    """The weight of each bin: (K,)."""
    total = np.zeros(len(start) - 1)
    for k in range(len(total)):
        for entry in range(start[k], start[k + 1]):
            total[k] += count[entry] * weight[group[entry]]
    return total
