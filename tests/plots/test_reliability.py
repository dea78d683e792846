"""The reliability plot shows the log ratios of pool-adjacent-violators."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.kaldi.trials import Trials
from csc_cli.metrics.calibration import cllr, min_cllr, pav
from csc_cli.metrics.detection import split
from csc_cli.metrics.evaluation import ConditionTrials
from csc_cli.metrics.speakers import trial_speakers
from csc_cli.plots.reliability import HIGHEST, reliability_figure, steps

SPEAKERS = trial_speakers(Trials.of("ee", "uv", [True, False]))


def condition(name="clean", scale=1.0, size=4000):
    """Log ratios of two normal distributions 2 apart, and the same scaled."""
    rng = np.random.default_rng(0)
    target = rng.random(size) < 0.3
    llr = 2 * rng.normal(size=size) + np.where(target, 2, -2)
    return ConditionTrials(name, target, {"calibrated": llr, "scaled": scale * llr}, SPEAKERS)


def test_steps_are_the_ratios_of_the_scores():
    part = condition(size=500)
    scores = part.scores["calibrated"]
    x, y = steps(split(scores, part.target).hull, float(scores.max()))
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert (x[0], x[-1]) == (scores.min(), scores.max())
    expected = pav(scores, part.target).clip(-HIGHEST, HIGHEST)
    for score, ratio in zip(scores, expected, strict=True):
        block = np.flatnonzero((x[::2] <= score) & (score <= x[1::2]))
        assert y[2 * block[-1]] == pytest.approx(ratio)


def test_calibrated_scores_lie_on_the_diagonal():
    part = condition(size=100_000)
    figure = reliability_figure([part])
    line = figure.axes[0].lines[0]
    x, y = line.get_data()
    inner = np.abs(x) < 3
    assert np.abs(x - y)[inner].max() < 0.5


def test_panels_and_legends():
    parts = [condition(), condition("noisy", 3.0)]
    figure = reliability_figure(parts, "trials, 8000 trials")
    assert [axes.get_title() for axes in figure.axes] == ["clean", "noisy"]
    assert figure.get_suptitle() == "trials, 8000 trials"
    for axes, part in zip(figure.axes, parts, strict=True):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert labels == [
            f"{name}: Cllr {cllr(scores, part.target):.2f}, min {min_cllr(scores, part.target):.2f}"
            for name, scores in part.scores.items()
        ]
