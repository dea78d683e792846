"""Logistic regression against a general minimiser, against scikit-learn, and what cannot be learned."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from csc_cli.backend.logistic import cost, fit
from csc_cli.errors import ConfigError, DataError
from csc_cli.metrics.calibration import cllr


def drawn(seed, inputs=2, size=400):
    rng = np.random.default_rng(seed)
    target = rng.random(size) < 0.3
    return rng.normal(size=(size, inputs)) * 10.0 ** np.arange(inputs) + target[:, None] * [1.0, 5.0, 3.0][
        :inputs
    ], target


def plain_cost(parameters, x, target, prior):
    """The formula of the docstring, trial by trial."""
    llr = x @ parameters[:-1] + parameters[-1]
    odds = np.exp(llr) * prior / (1 - prior)
    return prior * np.mean(np.log1p(1 / odds[target])) + (1 - prior) * np.mean(np.log1p(odds[~target]))


@pytest.mark.parametrize("prior", [0.5, 0.01, 0.9])
@pytest.mark.parametrize("inputs", [1, 2, 3])
def test_the_least_point_is_that_of_a_general_minimiser(inputs, prior):
    x, target = drawn(inputs, inputs)
    weights, offset = fit(x, target, prior)
    start, options = np.zeros(inputs + 1), {"xatol": 1e-9, "fatol": 1e-14, "maxiter": 20_000, "maxfev": 20_000}
    found = minimize(plain_cost, start, (x, target, prior), method="Nelder-Mead", options=options)
    ours = plain_cost(np.append(weights, offset), x, target, prior)
    assert ours <= found.fun + 1e-12
    assert np.append(weights, offset) == pytest.approx(found.x, rel=1e-3, abs=1e-4)
    assert cost(x @ weights + offset, target, prior) == pytest.approx(ours, rel=1e-12)


def test_the_least_point_has_no_gradient():
    x, target = drawn(0)
    weights, offset = fit(x, target, 0.2)
    best = np.append(weights, offset)
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-5 / (1, 10, 1)[k]
        rise = plain_cost(best + step, x, target, 0.2) - plain_cost(best - step, x, target, 0.2)
        assert abs(rise) < 1e-12


@pytest.mark.parametrize("prior", [0.5, 0.05])
def test_it_is_weighted_logistic_regression_of_scikit_learn(prior):
    regression = pytest.importorskip("sklearn.linear_model").LogisticRegression
    x, target = drawn(1)
    x = x / x.std(axis=0)
    weight = np.where(target, prior / target.sum(), (1 - prior) / (~target).sum()) * target.size
    model = regression(C=1e10, tol=1e-12, max_iter=10_000).fit(x, target, weight)
    weights, offset = fit(x, target, prior)
    assert weights == pytest.approx(model.coef_[0], rel=1e-5)
    assert offset + np.log(prior / (1 - prior)) == pytest.approx(model.intercept_[0], rel=1e-5)


def test_affine_maps_of_the_inputs_leave_the_ratios():
    x, target = drawn(2)
    weights, offset = fit(x, target, 0.1)
    moved = x @ np.array([[3.0, 1e-4], [-2.0, 5e-4]]) + [1e3, -7.0]
    other, other_offset = fit(moved, target, 0.1)
    assert moved @ other + other_offset == pytest.approx(x @ weights + offset, abs=1e-7)


def test_copies_of_nontargets_change_nothing():
    """Each kind of trial is weighted by the prior, however many there are of it."""
    x, target = drawn(3)
    again = np.concatenate([np.arange(len(x)), *(np.flatnonzero(~target),) * 4])
    assert fit(x[again], target[again], 0.3)[0] == pytest.approx(fit(x, target, 0.3)[0], rel=1e-9)


def test_log_ratios_are_left_as_they_are():
    """Drawn from N(d^2 / 2, d^2) and N(-d^2 / 2, d^2): weight 1, offset 0, at any prior."""
    rng = np.random.default_rng(0)
    target = rng.random(400_000) < 0.2
    llr = 2 * rng.normal(size=target.size) + np.where(target, 2, -2)
    for prior in (0.5, 0.02):
        weights, offset = fit(llr[:, None], target, prior)
        assert weights[0] == pytest.approx(1, abs=0.02)
        assert offset == pytest.approx(0, abs=0.03)


def test_the_cost_at_one_half_is_cllr():
    x, target = drawn(4, 1)
    assert cost(x[:, 0], target, 0.5) / np.log(2) == pytest.approx(cllr(x[:, 0], target), rel=1e-12)


def test_rare_errors_are_learned_from():
    """One error in 10,000 trials is enough for a finite least point; Newton's first steps go too far without care."""
    scores = np.concatenate([np.linspace(5, 9, 5000), np.linspace(-9, -5, 5000)])
    target = np.arange(10_000) < 5000
    scores[0] = -5.5
    weights, offset = fit(scores[:, None], target, 0.5)
    assert 0 < weights[0] < 100
    assert plain_cost(np.array([weights[0], offset]), scores[:, None], target, 0.5) < 0.01


@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        ([[1], [2], [3], [4]], [0, 0, 1, 1], "parts the targets from the nontargets"),
        ([[1], [2], [2], [4]], [0, 0, 1, 1], "parts the targets from the nontargets"),  # touching
        ([[4], [3], [2], [1]], [0, 0, 1, 1], "parts the targets from the nontargets"),
        ([[1, 0], [2, 0], [3, 0], [1.5, 0]], [0, 1, 0, 1], "input 2 of 2 is the same for all trials"),
        ([[1, 2], [2, 4], [3, 6], [1.5, 3]], [0, 1, 0, 1], "follows from the others"),
        ([[1], [2]], [1, 1], "no nontarget"),
        ([[1], [2]], [0, 0], "no target"),
        ([[1], [np.nan], [np.inf]], [0, 1, 1], "2 of 3 trials have scores"),
    ],
)
def test_what_cannot_be_learned_from(x, target, message):
    with pytest.raises(DataError, match=message):
        fit(np.array(x, float), np.array(target, bool), 0.5)


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, float("nan")])
def test_impossible_priors(prior):
    with pytest.raises(ConfigError, match="--prior"):
        fit(np.zeros((2, 1)), np.array([True, False]), prior)
