"""The DET plot and the histogram show what the arrays say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.special import ndtr, ndtri

from csc_cli.kaldi.trials import Trials
from csc_cli.metrics.detection import eer, roc
from csc_cli.metrics.evaluation import ConditionTrials
from csc_cli.metrics.speakers import trial_speakers
from csc_cli.plots.detection import STEP, det_figure, histogram_figure, plot_detection, visible

# The pictures need no speakers.
SPEAKERS = trial_speakers(Trials.of("ee", "uv", [True, False]))


def condition(name="clean", systems=("a", "b"), distance=2.0, size=4000, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.random(size) < 0.2
    target[:2] = [True, False]
    scores = {system: rng.normal(size=size) + distance * (i + 1) / 2 * target for i, system in enumerate(systems)}
    return ConditionTrials(name, target, scores, SPEAKERS)


def test_normal_scores_give_a_straight_line():
    part = condition(size=200_000)
    x, y = visible(roc(part.scores["b"], part.target))
    inner = (x > ndtri(0.005)) & (x < ndtri(0.9)) & (y > ndtri(0.005)) & (y < ndtri(0.9))
    slope, offset = np.polyfit(x[inner], y[inner], 1)
    assert slope == pytest.approx(-1, abs=0.03)
    assert offset == pytest.approx(-2, abs=0.05)  # the distance of the two normal distributions


def test_thinning_cannot_be_seen():
    part = condition(size=50_000)
    curve = roc(part.scores["a"], part.target)
    x, y = visible(curve)
    assert len(x) < len(curve.miss) / 2
    points = ndtri(np.clip(np.stack([curve.false_alarm, curve.miss], axis=1), 1e-9, 1 - 1e-9))[::50]
    begin, end = np.stack([x, y], axis=1)[:-1], np.stack([x, y], axis=1)[1:]
    length = np.maximum(np.linalg.norm(end - begin, axis=1), 1e-12)
    along = np.einsum("psd,sd->ps", points[:, None] - begin, end - begin) / length**2
    nearest = begin + along.clip(0, 1)[..., None] * (end - begin)
    assert np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1).max() < 2 * STEP


def test_det_figure():
    parts = [condition(), condition("noisy", distance=1.0), condition("lost", systems=("a", "b"), distance=0.0)]
    figure = det_figure(parts)
    assert [axes.get_title() for axes in figure.axes] == ["clean", "noisy", "lost"]
    for axes, part in zip(figure.axes, parts, strict=True):
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        rates = [eer(scores, part.target).rate for scores in part.scores.values()]
        assert labels == [f"{name}: EER {100 * rate:.1f} %" for name, rate in zip("ab", rates, strict=True)]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [ndtr(line.get_xdata()[0]) for line in dots] == pytest.approx(rates)
        assert axes.get_xlim() == axes.get_ylim()
        for tick, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
            assert 100 * ndtr(tick) == pytest.approx(float(label.get_text()))


def test_histogram_figure():
    parts = [condition(), condition("noisy", distance=1.0)]
    figure = histogram_figure(parts)
    assert len(figure.axes) == 4  # two systems, two conditions
    threshold = eer(parts[1].scores["b"], parts[1].target).threshold
    (line,) = figure.axes[3].lines
    assert line.get_xdata()[0] == threshold
    for axes in figure.axes:
        for polygon in axes.patches:  # each density encloses an area of 1
            x, y = polygon.get_xy().T
            area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
            assert area == pytest.approx(1)


@pytest.mark.parametrize("scores", [[1.0, 1.0, 1.0], [0.0, 1.0, 1e9], [-1.0, 0.0, 1.0]])
def test_extreme_scores_can_be_drawn(scores, tmp_path):
    target = np.array([False, False, True])
    parts = [ConditionTrials("all", target, {"x": np.array(scores)}, SPEAKERS)]
    names = plot_detection(parts, tmp_path, "trials")
    for name in names:
        image = imread(tmp_path / name)
        assert image.std() > 0.02  # not blank


def test_files_are_the_same_bytes_again(tmp_path):
    parts = [condition(size=500)]
    written = [
        [(tmp_path / name).read_bytes() for name in plot_detection(parts, tmp_path, "x", ("png", "pdf"))]
        for _ in range(2)
    ]
    assert written[0] == written[1]
