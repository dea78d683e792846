"""Error rates against scikit-learn, brute force over all thresholds, Kaldi's own programs, and invariances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.trials import join, read_scores, read_trials
from csc_cli.metrics.calibration import cllr, min_cllr
from csc_cli.metrics.detection import act_dcf, eer, eer_kaldi, eer_linear, min_dcf, roc


def every_threshold(scores, target):
    """(miss, false alarm) of every distinct way to cut the trials, by counting."""
    scores, target = np.asarray(scores, float), np.asarray(target, bool)
    cuts = [*np.unique(scores), np.inf]
    miss = [np.mean(scores[target] < cut) for cut in cuts]
    false_alarm = [np.mean(scores[~target] >= cut) for cut in cuts]
    return np.array(miss), np.array(false_alarm)


def hull_eer_by_chords(scores, target):
    """The lowest crossing of the diagonal among the chords between any two points: the hull's, by definition."""
    points = list(zip(*every_threshold(scores, target), strict=True))
    best = 1.0
    for m, f in points:
        for n, g in points:
            a, b = m - f, n - g
            if a <= 0 <= b:
                best = min(best, m if a == b else m - a / (b - a) * (n - m))
    return best


def random_trials(seed, size=60, ties=False):
    rng = np.random.default_rng(seed)
    target = rng.random(size) < 0.3
    target[:2] = [True, False]
    scores = rng.normal(size=size) + 1.5 * target
    return (np.round(2 * scores) / 2 if ties else scores), target


CASES = [random_trials(seed, ties=ties) for seed in range(8) for ties in (False, True)]
trial_lists = st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=30).filter(
    lambda trials: len({key for _, key in trials}) == 2
)


@pytest.mark.parametrize(("scores", "target"), CASES)
def test_linear_eer_is_that_of_scikit_learn(scores, target):
    false_alarm, hit, _ = roc_curve(target, scores, drop_intermediate=False)
    expected = brentq(lambda x: 1 - x - interp1d(false_alarm, hit)(x), 0, 1)
    assert eer_linear(scores, target).rate == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("scores", "target"), CASES)
def test_roc_interpolates_every_threshold(scores, target):
    curve = roc(scores, target)
    for miss, false_alarm in zip(*every_threshold(scores, target), strict=True):
        on_it = (np.abs(curve.miss - miss) < 1e-12) & (curve.false_alarm >= false_alarm - 1e-12)
        assert on_it.any()
        assert curve.false_alarm[np.abs(curve.miss - miss) < 1e-12].min() <= false_alarm + 1e-12


@settings(max_examples=200, deadline=None)
@given(trial_lists)
def test_hull_eer_and_min_dcf_by_brute_force(trials):
    scores, target = zip(*trials, strict=True)
    assert eer(scores, target).rate == pytest.approx(hull_eer_by_chords(scores, target), abs=1e-12)
    miss, false_alarm = every_threshold(scores, target)
    for p_target in (0.01, 0.3):
        cost = (p_target * miss + (1 - p_target) * false_alarm).min() / p_target
        assert min_dcf(scores, target, p_target) == pytest.approx(cost, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(trial_lists, st.randoms(use_true_random=False))
def test_order_and_monotone_maps_change_nothing(trials, random):
    scores, target = (np.array(column) for column in zip(*trials, strict=True))
    shuffled = np.array(random.sample(range(len(trials)), len(trials)))
    for rate in (
        lambda s, t: eer(s, t).rate,
        lambda s, t: eer_linear(s, t).rate,
        lambda s, t: eer_kaldi(s, t).rate,
        min_dcf,
        min_cllr,
    ):
        value = rate(scores, target)
        assert rate(scores[shuffled], target[shuffled]) == value
        assert rate(np.exp(scores) - 7, target) == value
    assert eer(-scores, ~target).rate == pytest.approx(eer(scores, target).rate, abs=1e-12)  # roles changed


@pytest.mark.parametrize(
    ("scores", "target", "hull", "linear"),
    [
        ([1, 1, 1, 1], [1, 0, 0, 1], 0.5, 0.5),  # nothing told apart
        ([2, 1, 1, 0], [1, 0, 0, 0], 0.0, 0.0),  # one target, found
        ([0, 1, 2, 3], [1, 0, 0, 0], 0.5, 1.0),  # one target, lost: guessing does better
        ([3, 1, 2, 0], [1, 1, 0, 0], 0.25, 0.5),  # thresholds 1 and 3: (0, 1/2) and (1/2, 0), their chord
    ],
)
def test_small_cases_by_hand(scores, target, hull, linear):
    assert eer(scores, target).rate == pytest.approx(hull)
    assert eer_linear(scores, target).rate == pytest.approx(linear)


def test_threshold_gives_the_rate():
    rng = np.random.default_rng(3)
    target = rng.random(40_000) < 0.5
    scores = rng.normal(size=target.size) + 2 * target  # normal, unit variance, 2 apart: EER = Phi(-1), threshold 1
    for metric in (eer, eer_linear, eer_kaldi):
        rate, threshold = metric(scores, target)
        assert rate == pytest.approx(0.1587, abs=0.006)
        assert np.mean(scores[target] < threshold) == pytest.approx(rate, abs=0.004)


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        ([1.0, 2.0], [False, False], "no target among 2 trials"),
        ([1.0, 2.0], [True, True], "no nontarget among 2 trials"),
        ([], [], "no target among 0 trials"),
        ([1.0, float("nan"), float("inf")], [True, False, False], "2 of 3 scores are NaN or infinite"),
        ([1.0, 2.0], [True], "the same length"),
    ],
)
def test_what_cannot_be_evaluated_is_said(scores, target, message):
    for metric in (eer, eer_linear, eer_kaldi, min_dcf, act_dcf, cllr, min_cllr, roc):
        with pytest.raises(DataError, match=message):
            metric(scores, target)


@pytest.mark.parametrize(("scores", "target"), CASES)
def test_costs_by_counting(scores, target):
    miss, false_alarm = every_threshold(scores, target)
    for p_target, c_miss, c_fa in ((0.01, 1, 1), (0.01, 10, 1), (0.3, 1, 2.5)):
        missed, accepted = c_miss * p_target, c_fa * (1 - p_target)
        best = (missed * miss + accepted * false_alarm).min() / min(missed, accepted)
        assert min_dcf(scores, target, p_target, c_miss, c_fa) == pytest.approx(best, abs=1e-12)
        cut = np.log(accepted / missed)
        at_bayes = missed * np.mean(scores[target] < cut) + accepted * np.mean(scores[~target] >= cut)
        assert act_dcf(scores, target, p_target, c_miss, c_fa) == pytest.approx(at_bayes / min(missed, accepted))


def test_impossible_operating_points():
    for point in ((1.0,), (0.5, 0.0), (0.5, 1.0, float("inf"))):
        with pytest.raises(ConfigError, match=r"p_target|c_miss|c_fa"):
            min_dcf([1.0, 0.0], [True, False], *point)


def test_kaldi_prints_the_same_digits(shared: Path):
    folder = shared / "kaldi" / "reference"
    if not folder.is_dir():
        pytest.skip("no Kaldi reference in the shared test data")
    trials = read_trials(folder / "trials")
    lines = (folder / "metrics.kaldi").read_text().splitlines()
    assert len(lines) == 8
    for line in lines:
        name, *figures = line.split()
        scores = join(trials, read_scores(folder / name))
        ours = (
            f"eer={100 * eer_kaldi(scores, trials.target).rate:.4g}",
            f"mindcf_p0.01={min_dcf(scores, trials.target, 0.01):.4f}",
            f"mindcf_p0.001={min_dcf(scores, trials.target, 0.001):.4f}",
        )
        assert list(ours) == figures, name
