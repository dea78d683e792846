"""The bootstrap against explicit resampling, and the coverage of its intervals on drawn speakers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

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


def cosine_sample(rng, speakers, each=5, dimensions=8, within=0.7):
    """Cosine scores of every drawn speaker against `each` utterances of every one; spread differs by speaker."""
    means = rng.normal(size=(speakers, dimensions))
    enroll = means + 0.6 * within * rng.normal(size=means.shape)
    spread = within * np.exp(0.3 * rng.normal(size=(speakers, 1, 1)))
    test = (means[:, None] + spread * rng.normal(size=(speakers, each, dimensions))).reshape(-1, dimensions)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (enroll, test)]
    target = np.arange(speakers)[:, None] == np.repeat(np.arange(speakers), each)
    return (unit[0] @ unit[1].T).ravel(), target.ravel()


def coverage(metric, which, draws, speakers=40, replicates=300):
    """How often the 95 % interval of `draws` samples of speakers holds the value of a large population."""
    truth = np.mean([metric(*cosine_sample(np.random.default_rng(10**6 + i), 1200)) for i in range(3)])
    ids = [f"s{i}" for i in range(speakers)]
    utterances = [f"{name}-{i}" for name in ids for i in range(5)]
    pairs = list(product(ids, utterances))
    _, target = cosine_sample(np.random.default_rng(0), speakers)
    trials = Trials.of(*zip(*pairs, strict=True), target)
    of = trial_speakers(trials)
    held = 0
    for i in range(draws):
        scores, _ = cosine_sample(np.random.default_rng(i), speakers)
        replicated = bootstrap(scores, target, of, draw_counts(speakers, replicates, i), p_target=0.05)
        low, high = interval(metric(scores, target), getattr(replicated, which), speakers)
        held += low <= truth <= high
    return held / draws


@pytest.mark.long
@pytest.mark.parametrize(
    ("metric", "which"), [(lambda s, t: eer(s, t).rate, "eer"), (lambda s, t: min_dcf(s, t, 0.05), "min_dcf")]
)
def test_intervals_cover_the_truth(metric, which):
    assert 0.90 <= coverage(metric, which, draws=200) <= 0.98
