"""The convex hull of a ROC curve, as blocks of scores found by pool-adjacent-violators.

Scores are taken in rising order and neighbours are pooled until the share of targets rises from block to
block. The blocks are the edges of the hull's lower left side (F. Provost, T. Fawcett, "Robust classification
for imprecise environments", Machine Learning 42, 2001), and their ratios of targets to nontargets are the best
that a rising map can make of the scores (N. Brummer, J. du Preez, "The PAV algorithm optimizes binary proper
scoring rules", 2009). So the equal error rate, minDCF at any operating point and minimum Cllr follow from a
few blocks. Counts are whole numbers, compared exactly below 2^53.

Legend: T targets, N nontargets, K bins of scores, H blocks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.compiled import compiled

Floats = NDArray[np.float64]


class Hull(NamedTuple):
    """Blocks of rising scores and of rising share of targets."""

    targets: Floats  # (H,) weight of the targets in each block
    nontargets: Floats  # (H,)
    first: NDArray[np.float64]  # (H,) the least score of each block, or its first bin

    @property
    def miss(self) -> Floats:
        """(H + 1,) the share of targets below each corner of the hull, from 0 to 1; needs a target."""
        return _shares(self.targets)

    @property
    def false_alarm(self) -> Floats:
        """(H + 1,) the share of nontargets above each corner, from 1 to 0; needs a nontarget."""
        return _shares(self.nontargets[::-1])[::-1]

    @property
    def ratio(self) -> Floats:
        """(H,) the likelihood ratio of each block, from 0 to infinity."""
        targets, nontargets = self.targets / self.targets.sum(), self.nontargets / self.nontargets.sum()
        return np.divide(targets, nontargets, out=np.full(len(targets), np.inf), where=nontargets > 0)


def hull_of_scores(targets: Floats, nontargets: Floats) -> Hull:
    """The hull for the ascending scores of T targets and N nontargets."""
    return Hull(*_of_scores(targets, nontargets))


def hull_of_bins(targets: Floats, nontargets: Floats) -> Hull:
    """The hull for the weights of targets and of nontargets in each of K bins of rising scores."""
    return Hull(*_of_bins(targets, nontargets))


def _shares(weights: Floats) -> Floats:
    running = np.concatenate([[0.0], np.cumsum(weights)])
    return running / running[-1]


@compiled
def _push(stack, top, targets, nontargets, first):  # type: ignore[no-untyped-def]
    """Put a block on the stack (3, room), pooled with those below whose share of targets is not less."""
    while top > 0 and stack[0, top - 1] * nontargets >= targets * stack[1, top - 1]:
        top -= 1
        targets += stack[0, top]
        nontargets += stack[1, top]
        first = stack[2, top]
    stack[0, top], stack[1, top], stack[2, top] = targets, nontargets, first
    return top + 1


@compiled
def _of_bins(targets, nontargets):  # type: ignore[no-untyped-def]
    stack = np.empty((3, len(targets)))
    top = 0
    for k in range(len(targets)):
        if targets[k] > 0 or nontargets[k] > 0:
            top = _push(stack, top, targets[k], nontargets[k], float(k))
    return stack[0, :top].copy(), stack[1, :top].copy(), stack[2, :top].copy()


@compiled
def _of_scores(targets, nontargets):  # type: ignore[no-untyped-def]
    stack = np.empty((3, 1024))
    top = i = j = 0
    while i < len(targets) or j < len(nontargets):
        if top == stack.shape[1]:
            wider = np.empty((3, 2 * top))
            wider[:, :top] = stack
            stack = wider
        score = targets[i] if i < len(targets) else nontargets[j]
        if j < len(nontargets):
            score = min(score, nontargets[j])
        i_from, j_from = i, j
        while i < len(targets) and targets[i] == score:
            i += 1
        while j < len(nontargets) and nontargets[j] == score:
            j += 1
        top = _push(stack, top, float(i - i_from), float(j - j_from), score)
    return stack[0, :top].copy(), stack[1, :top].copy(), stack[2, :top].copy()
