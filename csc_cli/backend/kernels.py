"""What is compiled of scoring: a score for each pair, the best of a cohort.

Legend: N pairs, E enrollments, V test vectors, D dimensions, G groups, R rows, C columns.
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
def best_statistics(scores, n, means, deviations):  # type: ignore[no-untyped-def]
    """Mean and standard deviation (R,) of the n highest of each row of scores (R, C), float32.

    A bar that some more than n scores clear is found from a few of them; only what clears it is looked at again.
    """
    columns = scores.shape[1]
    kept = np.empty(columns, np.float32)
    for row in range(len(scores)):
        values = scores[row]
        few = np.sort(values[:: max(1, columns // 256)])
        # Three standard deviations of the count aside, so that the bar is hardly ever too high.
        share = n / columns * len(few)
        place = max(0, len(few) - 4 - int(share + 3 * np.sqrt(share)))
        while True:
            bar = few[place] if place > 0 else -np.float32(np.inf)
            count = 0
            for column in range(columns):
                kept[count] = values[column]
                count += values[column] >= bar
            if count >= n or place == 0:
                break
            place = max(0, place - len(few) // 16 - 1)
        if count < n:  # some are NaN
            means[row] = deviations[row] = np.nan
            continue
        best = np.partition(kept[:count], count - n)[count - n :]
        mean = 0.0
        for value in best:
            mean += value
        mean /= n
        spread = 0.0
        for value in best:
            spread += (value - mean) ** 2
        means[row], deviations[row] = mean, np.sqrt(spread / n)


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
