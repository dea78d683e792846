"""Thresholds against a search over all of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import ConfigError, DataError
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.detection import split
from csc_cli.metrics.thresholds import (
    between,
    find_thresholds,
    threshold_for_far,
    threshold_for_frr,
    threshold_of_least_cost,
)  # fmt: skip

trial_lists = st.lists(
    st.tuples(st.one_of(st.integers(-3, 3), st.floats(-1e6, 1e6)), st.booleans()), min_size=2, max_size=30
).filter(lambda trials: len({key for _, key in trials}) == 2)


def cuts(scores):
    """One threshold for each distinct way to cut the trials."""
    return [*np.unique(scores), np.inf]


@settings(max_examples=300, deadline=None)
@given(trial_lists, st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]))
def test_rates_by_search(trials, share):
    scores, target = (np.array(column) for column in zip(*trials, strict=True))
    target = target.astype(bool)
    scores = scores.astype(float)
    by_kind = split(scores, target)

    def far(cut):
        return np.mean(scores[~target] >= cut)

    def frr(cut):
        return np.mean(scores[target] < cut)

    def trials_accepted(cut):
        return (scores >= cut).tolist()

    least = min(cut for cut in cuts(scores) if far(cut) <= share)
    assert trials_accepted(threshold_for_far(by_kind, share)) == trials_accepted(least)
    most = max(cut for cut in cuts(scores) if frr(cut) <= share)
    assert trials_accepted(threshold_for_frr(by_kind, share)) == trials_accepted(most)
    point = OperatingPoint(0.2, 3, 1)
    cost = [point.cost(frr(cut), far(cut)) for cut in cuts(scores)]
    found = threshold_of_least_cost(by_kind, point)
    assert point.cost(frr(found), far(found)) == pytest.approx(min(cost), abs=1e-12)
    assert all(np.isfinite(t) for t in (threshold_for_far(by_kind, share), threshold_for_frr(by_kind, share), found))


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_between(a, b):
    low, high = sorted((a, b))
    if low == high:
        return
    assert low < between(low, high) <= high


def test_neighbouring_floats_leave_one_choice():
    assert between(1.0, np.nextafter(1.0, 2.0)) == np.nextafter(1.0, 2.0)


def test_whole_counts_are_not_lost_to_rounding():
    scores = np.arange(200.0)
    target = np.arange(200) % 2 == 0
    by_kind = split(scores, target)
    for percent in range(1, 100):  # 0.29 * 100 is less than 29
        assert by_kind.rates(threshold_for_far(by_kind, percent / 100))[1] == percent / 100
        assert by_kind.rates(threshold_for_frr(by_kind, percent / 100))[0] == percent / 100


@pytest.fixture
def files(tmp_path: Path):
    rng = np.random.default_rng(0)
    rows = [(f"s{s}", f"u{u}", s == u % 5) for u in range(40) for s in range(5)]
    scores = np.array([rng.normal() + 2 * target for *_, target in rows])
    (tmp_path / "trials").write_text("".join(f"{e} {t} {'target' if k else 'nontarget'}\n" for e, t, k in rows))
    (tmp_path / "scores").write_text("".join(f"{e} {t} {s!r}\n" for (e, t, _), s in zip(rows, scores.tolist())))
    (tmp_path / "utt2cond").write_text("".join(f"u{u} {'clean' if u % 2 else 'mixed'}\n" for u in range(40)))
    return tmp_path, scores, np.array([k for *_, k in rows]), np.array([int(t[1:]) % 2 == 1 for _, t, _ in rows])


def test_rates_of_each_condition_are_counted(files):
    folder, scores, target, clean = files
    arguments = {"far": [0.05], "frr": [0.1], "p_target": [0.05], "utt2cond": folder / "utt2cond", "as_json": True}
    found = json.loads(find_thresholds(folder / "trials", folder / "scores", **arguments))
    assert [entry["wanted"] for entry in found] == ["FAR <= 0.05", "FRR <= 0.1", "least cost, prior 0.05"]
    for entry in found:
        accepted = scores >= entry["threshold"]
        assert [rates["condition"] for rates in entry["rates"]] == ["clean", "mixed", "all"]
        for rates, here in zip(entry["rates"], (clean, ~clean, clean | ~clean), strict=True):
            assert rates["misses"] == (~accepted & target & here).sum()
            assert rates["false_alarms"] == (accepted & ~target & here).sum()
            assert rates["far"] == rates["false_alarms"] / (~target & here).sum()
            assert rates["frr"] == rates["misses"] / (target & here).sum()
    assert found[0]["rates"][2]["far"] <= 0.05
    assert found[1]["rates"][2]["frr"] <= 0.1


def test_bayes_threshold_needs_no_trials(files):
    folder, *_ = files
    arguments = {"p_target": [0.01], "c_miss": [10], "bayes": True, "as_json": True}
    (found,) = json.loads(find_thresholds(folder / "trials", folder / "scores", **arguments))
    assert found["threshold"] == pytest.approx(np.log(9.9))


def test_a_condition_of_one_kind_has_one_rate(files):
    folder, *_ = files
    (folder / "utt2cond").write_text("".join(f"u{u} {'one' if u else 'odd'}\n" for u in range(40)))
    lines = (folder / "trials").read_text().replace("s0 u0 target", "s0 u0 nontarget")
    (folder / "trials").write_text(lines)
    text = find_thresholds(folder / "trials", folder / "scores", far=[0.1], utt2cond=folder / "utt2cond", as_json=True)
    (odd,) = [rates for rates in json.loads(text)[0]["rates"] if rates["condition"] == "odd"]
    assert odd["targets"] == 0
    assert odd["frr"] is None


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ConfigError, "nothing is wanted"),
        ({"far": [1.5]}, ConfigError, "--far 1.5"),
        ({"frr": [float("nan")]}, ConfigError, "--frr nan"),
        ({"p_target": [1.0]}, ConfigError, "p_target"),
    ],
)
def test_what_cannot_be_wanted(files, settings, error, message):
    folder, *_ = files
    with pytest.raises(error, match=message):
        find_thresholds(folder / "trials", folder / "scores", **settings)


def test_trials_and_scores_that_do_not_fit(files):
    folder, *_ = files
    lines = (folder / "scores").read_text().splitlines(keepends=True)
    (folder / "scores").write_text("".join(lines[3:]))
    with pytest.raises(DataError, match=r"scores on .*trials: 3 trials have no score"):
        find_thresholds(folder / "trials", folder / "scores", far=[0.1])
    (folder / "trials").write_text("s0 u0 target\n")
    (folder / "scores").write_text("s0 u0 1.0\n")
    with pytest.raises(DataError, match="no nontarget"):
        find_thresholds(folder / "trials", folder / "scores", far=[0.1])
