"""Scores of pairs and of all pairs, against the formula written out."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.backend.forms import PairForm


@pytest.mark.parametrize("groups", [0, 1, 3])
@pytest.mark.parametrize("dim", [1, 3, 8, 37])
def test_by_the_formula(groups: int, dim: int) -> None:
    draw = np.random.default_rng(dim)
    left, right, constant = draw.normal(size=(6, dim)), draw.normal(size=(9, dim)), draw.normal(size=6)
    curvature, group = draw.normal(size=(groups, dim)), draw.integers(0, max(1, groups), 6)
    form = PairForm(left, right, constant, curvature, group)
    wanted = np.empty((6, 9))
    for e, v in np.ndindex(6, 9):
        wanted[e, v] = left[e] @ right[v] + constant[e] + (curvature[group[e]] @ right[v] ** 2 if groups else 0)
    assert form.of_all() == pytest.approx(wanted)
    assert form.single().of_all() == pytest.approx(wanted, abs=1e-4)
    assert form.single().of_all().dtype == np.float32
    assert form.of_all(slice(1, 4), slice(2, 9)) == pytest.approx(wanted[1:4, 2:9])
    assert form.of_all(np.array([5, 0, 5])) == pytest.approx(wanted[[5, 0, 5]])
    e, v = draw.integers(0, 6, 50).astype(np.int32), draw.integers(0, 9, 50).astype(np.int32)
    assert form.of_pairs(e, v) == pytest.approx(wanted[e, v])


def test_what_is_not_finite_is_seen() -> None:
    """Sums may be taken in any order, but NaN and infinity are not optimised away."""
    left, right = np.ones((1, 16)), np.ones((3, 16))
    right[1, 3], right[2, 7] = np.nan, np.inf
    scores = PairForm.product(left, right).of_pairs(np.zeros(3, int), np.arange(3))
    assert scores[0] == 16 and np.isnan(scores[1]) and np.isinf(scores[2])
