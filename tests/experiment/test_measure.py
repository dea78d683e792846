"""Means over seeds and paired intervals, against `csc evaluate` and plain formulas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csc_cli.experiment import compare
from csc_cli.experiment.measure import Draws, draw_errors
from csc_cli.experiment.results import mean_draws
from csc_cli.experiment.thresholds import errors_at
from csc_cli.metrics.report import evaluate

DRAWS = 200


@pytest.fixture
def trials(tmp_path: Path) -> Path:
    """40 trials of 8 speakers in two conditions, and the scores of two systems."""
    rng = np.random.default_rng(3)
    lines, scores, conditions, speakers = [], {"a": [], "b": []}, [], []  # type: ignore[var-annotated]
    for test in range(8):
        for condition in ("clean", "0dB"):
            utterance = f"u{test}-{condition}"
            conditions.append(f"{utterance} {condition}\n")
            speakers.append(f"{utterance} s{test}\n")
            for enroll in range(8):
                target = enroll == test
                lines.append(f"s{enroll} {utterance} {'target' if target else 'nontarget'}\n")
                for name, spread in (("a", 1.0), ("b", 1.5)):
                    scores[name].append(f"s{enroll} {utterance} {1.5 * target + spread * rng.normal():.5f}\n")
    for name, text in (("trials", lines), ("utt2cond", conditions), ("utt2spks", speakers), *scores.items()):
        (tmp_path / name).write_text("".join(text))
    return tmp_path


def evaluated(trials: Path) -> dict[str, Any]:
    import json

    options: dict[str, Any] = {"names": ["a", "b"], "replicates": DRAWS, "utt2spk": trials / "utt2spks"}
    evaluate(trials / "trials", [trials / "a", trials / "b"], trials / "out", utt2cond=trials / "utt2cond", **options)
    found: dict[str, Any] = json.loads((trials / "out" / "results.json").read_text())
    return found


def test_one_seed_gives_what_csc_evaluate_gives(trials: Path) -> None:
    first, second = (draw_errors(trials, trials / name, DRAWS) for name in ("a", "b"))
    said = evaluated(trials)["conditions"]
    assert first.conditions == tuple(condition["name"] for condition in said)
    for k, condition in enumerate(said):
        rates = {"a": compare.eer(first, k), "b": compare.eer(second, k)}
        for name, measure in rates.items():
            expected = condition["systems"][name]["eer"]
            assert vars(measure) == pytest.approx(expected), (condition["name"], name)
        costs = {"a": compare.min_dcf(first, k), "b": compare.min_dcf(second, k)}
        for name, measure in costs.items():
            assert vars(measure) == pytest.approx(condition["systems"][name]["min_dcf"]), (condition["name"], name)
        found = compare.against(second, first, k)
        for part in ("eer_ratio", "eer_difference", "min_dcf_ratio"):
            expected = condition["comparisons"]["b"][part]
            assert vars(getattr(found, part)) == pytest.approx(expected), (condition["name"], part)


def test_draws_survive_their_file(trials: Path) -> None:
    draws = draw_errors(trials, trials / "a", DRAWS)
    draws.save(trials / "draws.npz")
    again = Draws.load(trials / "draws.npz")
    assert again.conditions == draws.conditions
    np.testing.assert_array_equal(again.eer_draws, draws.eer_draws)
    np.testing.assert_array_equal(again.eer_left_out, draws.eer_left_out)


def test_draws_of_an_older_file_still_have_intervals(trials: Path) -> None:
    draws = replace(draw_errors(trials, trials / "a", DRAWS), eer_left_out=None, min_dcf_left_out=None)
    draws.save(trials / "draws.npz")
    again = Draws.load(trials / "draws.npz")
    assert again.eer_left_out is None
    assert compare.eer(again, 0).low < compare.eer(again, 0).high
    assert np.isfinite(compare.against(mean_draws([again, again]), again, 0).eer_ratio.low)


def test_the_ratio_of_means_over_seeds(trials: Path) -> None:
    one, two = (draw_errors(trials, trials / name, DRAWS) for name in ("a", "b"))
    mean = mean_draws([one, two])
    np.testing.assert_allclose(mean.eer, [(a + b) / 2 for a, b in zip(one.eer, two.eer, strict=True)])
    for r in (0, 17):
        drawn = (one.eer_draws[0, r] + two.eer_draws[0, r]) / 2
        assert mean.eer_draws[0, r] == pytest.approx(drawn)
    found = compare.against(mean, one, 0).eer_ratio
    assert found.value == pytest.approx((one.eer[0] + two.eer[0]) / 2 / one.eer[0])
    # A system against itself is 1 in every draw: pairing leaves no interval, though either has one.
    same = compare.against(mean, mean, 0).eer_ratio
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
    assert compare.eer(mean, 0).low < compare.eer(mean, 0).high


def test_errors_at_a_threshold_by_counting(trials: Path) -> None:
    key = [line.split() for line in (trials / "trials").read_text().splitlines()]
    scores = [float(line.split()[2]) for line in (trials / "a").read_text().splitlines()]
    threshold = scores[5]
    found = errors_at(trials, trials / "a", threshold)
    for name in ("clean", "0dB"):
        here = [(kind == "target", score) for (_, test, kind), score in zip(key, scores) if test.endswith(name)]
        targets, others = ([score for is_target, score in here if is_target == kind] for kind in (True, False))
        missed = sum(score < threshold for score in targets) / len(targets)
        accepted = sum(score >= threshold for score in others) / len(others)
        assert found[name] == pytest.approx((missed, accepted))
