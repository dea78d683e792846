"""Cllr by its definition, minimum Cllr by isotonic regression, and scores that are what they say."""

from __future__ import annotations

from math import fsum, log2

import numpy as np
import pytest

from csc_cli.metrics.calibration import cllr, min_cllr, pav


def drawn(seed, size=300, ties=False):
    rng = np.random.default_rng(seed)
    target = rng.random(size) < 0.3
    target[:2] = [True, False]
    scores = rng.normal(size=size) + 1.5 * target
    return (np.round(scores, 1) if ties else scores), target


def by_definition(llr, target):
    bits = [log2(1 + np.exp(-x if t else x)) for x, t in zip(llr, target, strict=True)]
    means = [
        fsum(b for b, t in zip(bits, target, strict=True) if t == kind) / np.sum(target == kind) for kind in (1, 0)
    ]
    return sum(means) / 2


@pytest.mark.parametrize("seed", range(4))
def test_cllr_by_its_definition(seed):
    scores, target = drawn(seed)
    assert cllr(scores, target) == pytest.approx(by_definition(scores, target), rel=1e-12)


def test_large_ratios_do_not_overflow():
    assert cllr([800.0, -800.0], [False, True]) == pytest.approx(800 / np.log(2))
    assert cllr([800.0, -800.0], [True, False]) == 0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_pav_is_isotonic_regression(seed, ties):
    isotonic = pytest.importorskip("sklearn.isotonic").IsotonicRegression
    scores, target = drawn(seed, ties=ties)
    share = isotonic().fit_transform(scores, target.astype(float))
    with np.errstate(divide="ignore"):
        expected = np.log(share / (1 - share)) - np.log(target.sum() / (~target).sum())
    found = pav(scores, target)
    finite = np.isfinite(expected)
    assert (np.isfinite(found) == finite).all()
    assert found[finite] == pytest.approx(expected[finite], abs=1e-9)
    bounded = np.clip(expected, -700, 700)
    assert min_cllr(scores, target) == pytest.approx(cllr(bounded, target), abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_no_rising_map_costs_less_than_the_minimum(seed):
    scores, target = drawn(seed)
    least = min_cllr(scores, target)
    for a, b in ((1, 0), (1.5, -1.1), (0.3, 2), (5, -3)):
        for rising in (scores, np.arctan(scores), scores**3):
            assert cllr(a * rising + b, target) >= least


def test_small_cases_by_hand():
    assert min_cllr([1, 1, 1, 1], [1, 0, 0, 1]) == 1  # nothing told apart: one bit
    assert min_cllr([2, 1, 0], [1, 0, 0]) == 0
    assert min_cllr([0, 1], [1, 0]) == 1  # the wrong way round: the best rising map is constant
    # Blocks (0 targets, 1 nontarget), (1, 1), (1, 0): half of each kind costs a bit.
    assert min_cllr([0, 1, 1, 2], [0, 0, 1, 1]) == pytest.approx(0.5)


def test_calibrated_scores_have_cllr_and_its_minimum_alike():
    """Log ratios of two normal distributions: N(d^2 / 2, d^2) for targets, N(-d^2 / 2, d^2) for nontargets."""
    rng = np.random.default_rng(0)
    target = rng.random(200_000) < 0.5
    for distance in (1.0, 2.0, 3.0):
        llr = distance * rng.normal(size=target.size) + np.where(target, 0.5, -0.5) * distance**2
        lost = cllr(llr, target) - min_cllr(llr, target)
        assert 0 <= lost < 0.001
        # what says too much, or is shifted, costs more
        assert cllr(1.5 * llr, target) - min_cllr(llr, target) > 0.01
        assert cllr(llr + 0.7, target) - min_cllr(llr, target) > 0.01
