"""Do scores mean what they say? Each score against the log likelihood ratio that the trials give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from csc_cli.metrics.calibration import cllr, hull_cllr
from csc_cli.metrics.detection import split
from csc_cli.metrics.evaluation import ConditionTrials
from csc_cli.metrics.hull import Floats, Hull
from csc_cli.plots.figures import line_style, new_figure, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHEST = 12.0  # log likelihood ratio; ratios of 0 and infinity are drawn at the frame


def reliability_figure(conditions: Sequence[ConditionTrials], caption: str = "") -> Figure:
    """A panel for each condition, a step for each block of scores of each system; the diagonal is calibrated.

    A step's height is the log likelihood ratio of its scores after pool-adjacent-violators, so no choice of bins is
    made (T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers", PNAS
    118, 2021; there as probabilities).
    """
    rows, columns = panels(len(conditions))
    figure = new_figure(3.4 * columns + 0.4, 3.1 * rows + 0.4, caption)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        _panel(axes, condition)
    for axes in grid.flat[len(conditions) :]:
        axes.remove()
    figure.supxlabel("score, taken for a log likelihood ratio", fontsize=10)
    figure.supylabel("log likelihood ratio in these trials", fontsize=10)
    return figure


def steps(hull: Hull, highest: float) -> tuple[Floats, Floats]:
    """Corners of the step function, (score, log ratio), ratios of 0 and infinity at the frame.

    Args:
        hull: of H blocks.
        highest: the largest score.

    Returns:
        (2 H,) and (2 H,).
    """
    with np.errstate(divide="ignore"):
        heights = np.log(hull.ratio).clip(-HIGHEST, HIGHEST)
    ends = np.append(hull.first[1:], highest)
    return np.stack([hull.first, ends], axis=1).ravel(), np.repeat(heights, 2)


def _panel(axes: Axes, condition: ConditionTrials) -> None:
    lowest, highest, tallest = np.inf, -np.inf, 1.0
    for index, (name, scores) in enumerate(condition.scores.items()):
        by_kind = split(scores, condition.target)
        hull = by_kind.hull
        x, y = steps(hull, float(scores.max()))
        costs = f"Cllr {cllr(scores, condition.target):.2f}, min {hull_cllr(hull):.2f}"
        axes.plot(x, y, linewidth=1.4, label=f"{name}: {costs}", **line_style(index))
        low, high = np.quantile(scores, [0.0005, 0.9995])
        lowest, highest = min(lowest, low), max(highest, high)
        inner = np.abs(y)[np.abs(y) < HIGHEST]
        tallest = max(tallest, float(inner.max(initial=0.0)))
    margin = 0.05 * (highest - lowest) or 1.0
    ends = (lowest - margin, highest + margin)
    axes.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    axes.set(xlim=ends, ylim=(-tallest - 0.5, tallest + 0.5))
    axes.set_title(condition.name)
    axes.grid(color="0.9", linewidth=0.6)
    axes.tick_params(labelsize=8)
    axes.legend(loc="upper left", fontsize=7, framealpha=0.9, edgecolor="none")
