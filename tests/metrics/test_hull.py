"""The hull's blocks against scikit-learn's isotonic regression, and against the hull of all points."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.metrics.hull import hull_of_bins, hull_of_scores

bins = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=40)


def isotonic(targets, nontargets):
    """The share of targets in each bin under the best rising fit."""
    IsotonicRegression = pytest.importorskip("sklearn.isotonic").IsotonicRegression
    weight = targets + nontargets
    return IsotonicRegression().fit_transform(np.arange(len(weight)), targets / weight, sample_weight=weight)


@settings(max_examples=200, deadline=None)
@given(bins)
def test_blocks_are_those_of_isotonic_regression(pairs):
    targets, nontargets = (np.array(column, float) for column in zip(*pairs, strict=True))
    hull = hull_of_bins(targets, nontargets)
    assert hull.targets.sum() == targets.sum()
    assert hull.nontargets.sum() == nontargets.sum()
    kept = targets + nontargets > 0
    if not kept.any():
        assert len(hull.targets) == 0
        return
    share = hull.targets / (hull.targets + hull.nontargets)
    assert (np.diff(share) > 0).all()
    block = np.searchsorted(hull.first, np.flatnonzero(kept), "right") - 1
    assert share[block] == pytest.approx(isotonic(targets[kept], nontargets[kept]), abs=1e-12)


def lower_hull(points):
    """Corners of the lower left convex hull of points (miss, false alarm), by its definition, in exact fractions."""
    corners = [(Fraction(0), Fraction(1))]
    while corners[-1] != (1, 0):
        m, f = corners[-1]
        ahead = [(n, g) for n, g in points if n > m or (n == m and g < f)]
        corners.append(min(ahead, key=lambda p: ((p[1] - f) / (p[0] - m) if p[0] > m else -math.inf, -p[0], p[1])))
    return corners


@pytest.mark.parametrize("seed", range(20))
def test_corners_are_those_of_the_hull_of_all_points(seed):
    rng = np.random.default_rng(seed)
    targets, nontargets = np.round(rng.normal(1, 1, 17), 1), np.round(rng.normal(0, 1, 23), 1)
    hull = hull_of_scores(np.sort(targets), np.sort(nontargets))
    cuts = [*np.unique(np.concatenate([targets, nontargets])), np.inf]
    points = [(Fraction(int((targets < cut).sum()), 17), Fraction(int((nontargets >= cut).sum()), 23)) for cut in cuts]
    ours = np.stack([hull.miss, hull.false_alarm], axis=1)
    assert ours == pytest.approx(np.array(lower_hull(points), float), abs=1e-12)
    for k, first in enumerate(hull.first):  # accepting from a block's least score on gives its corner
        assert (np.mean(targets < first), np.mean(nontargets >= first)) == pytest.approx(tuple(ours[k]), abs=1e-12)


def test_more_blocks_than_there_is_room_for_at_first():
    """Blocks on a circle: none is pooled, and the stack of blocks has to grow."""
    angles = np.linspace(0.0005, np.pi / 2 - 0.0005, 1500)
    counts = np.round(2000 * np.stack([np.sin(angles), np.cos(angles)])).astype(int) + 1
    counts = counts[:, np.concatenate([[True], np.diff(counts[0] / counts[1]) > 0])]
    scores = np.arange(counts.shape[1], dtype=float)
    hull = hull_of_scores(np.repeat(scores, counts[0]), np.repeat(scores, counts[1]))
    assert len(hull.targets) == counts.shape[1] > 1024
    assert (hull.targets == counts[0]).all()
    assert (hull.nontargets == counts[1]).all()
    assert (hull.first == scores).all()
