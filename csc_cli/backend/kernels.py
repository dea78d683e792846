"""What is compiled of scoring: a score for each pair.

Legend: N pairs, E enrollments, V test vectors, D dimensions, G groups.
"""

from __future__ import annotations

import numpy as np

from csc_cli.compiled import compiled

# Sums may be taken in any order, which lets the processor take eight terms at a time; NaN and infinity stay themselves.
ANY_ORDER = {"reassoc", "contract", "nsz"}


@compiled(fastmath=ANY_ORDER)
def bilinear(left, right, constant, enroll, test, scores):  # type: ignore[no-untyped-def]
    """scores[i] = <left[e], right[v]> + constant[e] for each pair (e, v) = (enroll[i], test[i])."""
    for i in range(len(scores)):
        e, v = np.uint64(enroll[i]), np.uint64(test[i])
        total = 0.0
        for d in range(left.shape[1]):
            total += left[e, d] * right[v, d]
        scores[i] = total + constant[e]


@compiled(fastmath=ANY_ORDER)
def quadratic(left, right, constant, curvature, group, enroll, test, scores):  # type: ignore[no-untyped-def]
    """As `bilinear`, and the squares of right[v] weighted by curvature[group[e]]."""
    for i in range(len(scores)):
        e, v = np.uint64(enroll[i]), np.uint64(test[i])
        g = np.uint64(group[e])
        total = 0.0
        for d in range(left.shape[1]):
            total += right[v, d] * (left[e, d] + curvature[g, d] * right[v, d])
        scores[i] = total + constant[e]


@compiled
def count_repeated(enroll, test, tests, seen):  # type: ignore[no-untyped-def]
    """How many pairs (N,), (N,) stand there before; `seen` has a zero bit for each possible pair."""
    count = 0
    for i in range(len(enroll)):
        cell = np.uint64(enroll[i]) * np.uint64(tests) + np.uint64(test[i])
        bit = np.uint8(1) << np.uint8(cell & np.uint64(7))
        place = cell >> np.uint64(3)
        if seen[place] & bit:
            count += 1
        seen[place] |= bit
    return count
