"""The bootstrap against explicit resampling, and the coverage of its intervals on drawn speakers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import ttest_1samp

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.trials import Trials
from csc_cli.metrics import intervals
from csc_cli.metrics.calibration import cllr, min_cllr
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.detection import act_dcf, eer, min_dcf
from csc_cli.metrics.intervals import (
    bootstrap,
    cost_interval,
    difference_interval,
    draw_counts,
    interval,
    leave_one_out,
    p_value,
)  # fmt: skip
from csc_cli.metrics.speakers import trial_speakers


def mixed_trials(rng, speakers=6, each=3):
    """Every speaker against utterances of one and of two talkers: trials, scores."""
    names = [f"s{i}" for i in range(speakers)]
    heard = {f"u{i}": sorted(rng.choice(names, size=1 + i % 2, replace=False)) for i in range(each * speakers)}
    pairs = list(product(names, heard))
    target = np.array([name in heard[utterance] for name, utterance in pairs])
    scores = np.round(rng.normal(size=len(pairs)) + 1.3 * target, 1)  # with ties
    return Trials.of(*zip(*pairs, strict=True), target), scores, heard


def resampled(trials, scores, heard, count):
    """The trials of a drawn population, each copy of a speaker being a person of their own, one by one."""
    drawn_scores, drawn_keys = [], []
    for enroll, test, target, score in zip(trials.enroll, trials.test, trials.target, scores, strict=True):
        involved = {enroll, *heard[test]}
        for _ in product(*(range(count[name]) for name in involved)):
            drawn_scores.append(score)
            drawn_keys.append(target)
    return np.array(drawn_scores), np.array(drawn_keys, bool)


@pytest.mark.parametrize("block", [intervals.BLOCK, 50])
@pytest.mark.parametrize("with_table", [True, False])
def test_weights_do_what_explicit_resampling_does(monkeypatch, block, with_table):
    monkeypatch.setattr(intervals, "BLOCK", block)
    rng = np.random.default_rng(4)
    trials, scores, heard = mixed_trials(rng)
    speakers = trial_speakers(trials, None, heard if with_table else None)
    counts = draw_counts(len(speakers.names), 40, seed=1)
    points = (OperatingPoint(0.1), OperatingPoint(0.4, 3, 1))
    found = bootstrap(scores, trials.target, speakers, counts, points)
    assert len(found.eer) == 40
    for r, row in enumerate(counts):
        count = dict(zip(speakers.names, row.tolist(), strict=True))
        drawn, keys = resampled(trials, scores, heard, count)
        figures = [found.eer[r], found.cllr[r], found.min_cllr[r], *found.min_costs[r], *found.act_costs[r]]
        if keys.all() or not keys.any():
            assert np.isnan(figures).all()
            continue
        costs = [metric(drawn, keys, *point) for metric in (min_dcf, act_dcf) for point in ((0.1,), (0.4, 3, 1))]
        expected = [eer(drawn, keys).rate, cllr(drawn, keys), min_cllr(drawn, keys), *costs]
        assert figures == pytest.approx(expected, abs=1e-12)


def test_all_speakers_once_is_the_sample_itself():
    trials, scores, _ = mixed_trials(np.random.default_rng(0))
    speakers = trial_speakers(trials)
    once = bootstrap(scores, trials.target, speakers, np.ones((1, len(speakers.names)), np.int64))
    assert once.eer[0] == pytest.approx(eer(scores, trials.target).rate, abs=1e-12)
    assert once.min_dcf[0] == pytest.approx(min_dcf(scores, trials.target), abs=1e-12)


def test_a_draw_without_targets_has_no_value():
    trials = Trials.of(["a", "a", "b", "c"], ["ua", "ub", "uc", "ua"], [True, False, False, False])
    speakers = trial_speakers(trials, None, {"ua": ["a"], "ub": ["b"], "uc": ["c"]})
    counts = np.array([[0, 2, 1], [1, 1, 1]])
    found = bootstrap(np.array([1.0, 0.0, 0.2, 0.4]), trials.target, speakers, counts)
    assert np.isnan(found.eer).tolist() == [True, False]


def test_draws():
    counts = draw_counts(30, 2000, seed=5)
    assert (counts.sum(axis=1) == 30).all()
    assert np.abs(counts.mean(axis=0) - 1).max() < 0.12
    assert counts.var() == pytest.approx(1 - 1 / 30, abs=0.02)
    assert (counts == draw_counts(30, 2000, seed=5)).all()
    assert (counts != draw_counts(30, 2000, seed=6)).any()
    with pytest.raises(ConfigError, match="at least 0"):
        draw_counts(30, -1, seed=0)


def test_interval_of_a_normal_sample():
    values = np.random.default_rng(0).normal(5, 2, size=200_000)
    low, high = interval(5.0, values, speakers=10_000)
    assert (low, high) == pytest.approx((5 - 1.96 * 2, 5 + 1.96 * 2), abs=0.05)
    # Student's t of 9 degrees of freedom, 2.262, times sqrt(10 / 9).
    assert interval(5.0, values, speakers=10).high == pytest.approx(5 + 2 * 2.262 * np.sqrt(10 / 9), abs=0.1)


def test_interval_corrects_bias_twice_over():
    """Replicates that lie b below the estimate say that the estimate lies b below the truth."""
    values = np.random.default_rng(0).normal(-0.5, 1, size=200_000)
    low, high = interval(0.0, values, speakers=10_000)
    assert (low, high) == pytest.approx((0.5 - 1.96, 0.5 + 1.96), abs=0.05)


def test_interval_follows_monotone_maps():
    values = np.random.default_rng(0).gamma(3, size=20_001)
    plain, mapped = interval(2.5, values, 50), interval(np.log(2.5), np.log(values), 50)
    assert np.log(plain) == pytest.approx(mapped, abs=1e-3)


def test_student_intervals_of_a_normal_sample():
    values = np.random.default_rng(0).normal(-0.5, 1, size=200_000)
    # Replicates lie 0.5 below the estimate: the estimate lies 0.5 below the truth.
    assert cost_interval(5.0, values + 5, 10_000) == pytest.approx((5.5 - 1.96, 5.5 + 1.96), abs=0.05)
    assert difference_interval(5.0, values + 5, 10_000) == pytest.approx((5 - 1.96, 5 + 1.96), abs=0.05)
    width = 2.262 * np.sqrt(10 / 9)
    assert difference_interval(5.0, values + 5, 10) == pytest.approx((5 - width, 5 + width), abs=0.05)


def test_the_interval_of_a_cost_stays_in_its_range_and_holds_the_estimate():
    rng = np.random.default_rng(0)
    assert cost_interval(0.1, rng.normal(0.1, 1, 1000), 30).low == 0
    assert cost_interval(0.9, rng.normal(0.9, 1, 1000), 30, highest=1.0).high == 1
    low, high = cost_interval(0.9, rng.normal(0.2, 0.01, 1000), 30, highest=1.0)
    assert (low, high) == (0.9, 1.0)


def test_p_value_is_that_of_the_interval():
    values = np.random.default_rng(0).normal(0, 1, size=400_000)
    assert p_value(1.96, values, 10**6) == pytest.approx(0.05, abs=0.002)
    assert p_value(-2.5758, values, 10**6) == pytest.approx(0.01, abs=0.001)
    for difference in np.linspace(-4, 4, 33):
        low, high = difference_interval(difference, values + difference, 12)
        assert (p_value(difference, values + difference, 12) < 0.05) == (not low <= 0 <= high)
    # Leaving one out of a sample of 40 moves its mean by 1/39 of the apartness: the error is that of a mean.
    sample = np.random.default_rng(1).normal(size=40)
    left_out = (sample.sum() - sample) / 39
    known = ttest_1samp(sample, 0.0).pvalue
    assert p_value(sample.mean(), np.full(100, sample.mean()), 40, left_out) == pytest.approx(known, rel=1e-9)
    assert p_value(sample.mean(), values, 40, left_out) == p_value(sample.mean(), values, 40)  # the larger error
    assert p_value(0.0, np.zeros(9), 5) == 1.0
    assert p_value(0.1, np.full(9, 0.1), 5) == 0.0
    assert np.isnan(p_value(0.1, np.zeros(0), 5))


@pytest.mark.parametrize(
    ("estimate", "values", "speakers"),
    [(1.0, np.zeros(0), 9), (1.0, np.ones(9), 1), (np.nan, np.ones(9), 9), (1.0, np.array([1, 1, np.inf]), 9)],
)
def test_no_interval_where_there_is_none(estimate, values, speakers):
    for form in (interval, cost_interval, difference_interval):
        assert np.isnan(form(estimate, values, speakers)).all()


def test_a_perfect_system_has_the_point_zero():
    assert interval(0.0, np.zeros(100), 20) == (0.0, 0.0)


def test_scores_that_are_not_numbers():
    trials, scores, _ = mixed_trials(np.random.default_rng(0))
    speakers = trial_speakers(trials)
    with pytest.raises(DataError, match="NaN"):
        bootstrap(np.full_like(scores, np.nan), trials.target, speakers, draw_counts(len(speakers.names), 2, 0))


def test_skewness_moves_both_ends():
    """Values without one speaker each: their spread is that of a mean, so is the acceleration, by its definition."""
    rng = np.random.default_rng(0)
    sample = rng.exponential(size=40)
    left_out = (sample.sum() - sample) / 39
    values = rng.choice(sample, size=(100_000, 40)).mean(axis=1)
    low, high = interval(sample.mean(), values, 10**6, left_out=left_out)
    skewness = np.mean((sample - sample.mean()) ** 3) / sample.std() ** 3
    a, shift = skewness / (6 * np.sqrt(40)), ndtri(np.mean(values < sample.mean()))
    expected = [ndtr(shift + (shift + z) / (1 - a * (shift + z))) for z in (-1.96, 1.96)]
    assert (low, high) == pytest.approx(tuple(np.quantile(values, expected)), rel=1e-3)
    assert high > interval(sample.mean(), values, 10**6).high


def test_who_is_left_out():
    trials, *_ = mixed_trials(np.random.default_rng(0))
    speakers = trial_speakers(trials)
    assert (leave_one_out(speakers) == 1 - np.eye(len(speakers.names))).all()
    part = speakers.subset(trials.enroll == "s0")
    rows = leave_one_out(part)
    assert len(rows) == part.present
    assert (rows.sum(axis=1) == len(speakers.names) - 1).all()


def test_costs_on_the_scale_of_logarithms():
    values = np.exp(np.random.default_rng(0).normal(-0.5, 0.3, size=200_000))
    # Logarithms of replicates lie 0.5 below that of the estimate 1.
    low, high = cost_interval(1.0, values, 10**6, logarithm=True)
    assert (np.log(low), np.log(high)) == pytest.approx((0.5 - 1.96 * 0.3, 0.5 + 1.96 * 0.3), abs=0.01)
    assert cost_interval(0.5, 0.5 * values, 10**6, highest=0.7, logarithm=True).high == 0.7
    assert cost_interval(0.0, np.zeros(100), 30, logarithm=True).low == 0
