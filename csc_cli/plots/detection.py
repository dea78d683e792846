"""Pictures of detection scores: DET curves on normal-deviate axes, histograms by key, reliability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from csc_cli.metrics.detection import Floats, Roc, eer, roc
from csc_cli.metrics.evaluation import ConditionTrials
from csc_cli.plots.figures import COLOURS, line_style, new_figure, panels, save
from csc_cli.plots.reliability import reliability_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS_PERCENT = (0.001, 0.01, 0.1, 0.5, 2, 5, 10, 20, 40, 60, 80)
HIGHEST = 0.9  # where the frame ends
NONTARGET, TARGET = "#8C8C8C", COLOURS[0]
FAR = 1e-9
STEP = 0.004  # normal deviates: what an eye can tell apart


def plot_detection(
    conditions: Sequence[ConditionTrials], out: Path, caption: str = "", formats: Sequence[str] = ("png",)
) -> list[str]:
    """Draw det, histogram and reliability into the folder `out`; returns the files' names.

    Args:
        caption: a line that says which trials these are.
        formats: png, pdf.
    """
    names = []
    for name, draw in (("det", det_figure), ("histogram", histogram_figure), ("reliability", reliability_figure)):
        names += save(draw(conditions, caption), out, name, formats)
    return names


def det_figure(conditions: Sequence[ConditionTrials], caption: str = "") -> Figure:
    """A panel for each condition, a curve for each system, a dot where miss = false alarm on the hull.

    Axes are normal deviates, on which two normal distributions of scores give a straight line (A. Martin,
    G. Doddington, T. Kamm, M. Ordowski, M. Przybocki, "The DET curve in assessment of detection task performance",
    Eurospeech 1997).
    """
    rows, columns = panels(len(conditions))
    figure = new_figure(3.4 * columns + 0.4, 3.4 * rows + 0.4, caption)
    grid = figure.subplots(rows, columns, squeeze=False)
    low = min(_lowest(condition.target) for condition in conditions)
    for axes, condition in zip(grid.flat, conditions, strict=False):
        for index, (name, scores) in enumerate(condition.scores.items()):
            _curve(axes, condition.target, scores, name, index)
        _normal_deviates(axes, low)
        axes.set_title(condition.name)
        axes.legend(loc="best", fontsize=8, framealpha=0.9, edgecolor="none")
    for axes in grid.flat[len(conditions) :]:
        axes.remove()
    figure.supxlabel("false alarms (%)", fontsize=10)
    figure.supylabel("misses (%)", fontsize=10)
    return figure


def histogram_figure(conditions: Sequence[ConditionTrials], caption: str = "") -> Figure:
    """A row for each system and a column for each condition: densities of scores, a line at the EER's threshold."""
    names = list(conditions[0].scores)
    figure = new_figure(max(2.6 * len(conditions) + 0.6, 4.8), 2.1 * len(names) + 0.6, caption)
    grid = figure.subplots(len(names), len(conditions), sharex="row", squeeze=False)
    for row, name in zip(grid, names, strict=True):
        edges = _bins(np.concatenate([condition.scores[name] for condition in conditions]))
        for axes, condition in zip(row, conditions, strict=True):
            _histogram(axes, condition.target, condition.scores[name], edges)
        row[0].set_ylabel(f"{name}\ndensity")
    for axes, condition in zip(grid[0], conditions, strict=True):
        axes.set_title(condition.name)
    handles, labels = grid[0][0].get_legend_handles_labels()
    # Below, where the caption is not; the label of the axis stands at the axes then, not under the legend.
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("score")
    return figure


def visible(curve: Roc) -> tuple[Floats, Floats]:
    """The curve in normal deviates, (false alarm, miss), as steps, without the points that no eye can tell apart.

    Rates of 0 and 1 lie far outside the frame.
    """
    x, y = (ndtri(np.clip(rate, FAR, 1 - FAR)) for rate in (curve.false_alarm, curve.miss))
    cell = np.round(np.stack([x, y]) / STEP)
    moved = np.concatenate([[True], (cell[:, 1:] != cell[:, :-1]).any(axis=0)])
    moved[-1] = True
    return x[moved], y[moved]


def _lowest(target: NDArray[np.bool_]) -> float:
    """One trial of the kind that has more: there the frame begins."""
    return float(np.clip(1 / max(target.sum(), (~target).sum()), 5e-6, 0.005))


def _curve(axes: Axes, target: NDArray[np.bool_], scores: Floats, name: str, index: int) -> None:
    style = line_style(index)
    x, y = visible(roc(scores, target))
    rate = eer(scores, target).rate
    axes.plot(x, y, linewidth=1.4, label=f"{name}: EER {100 * rate:.1f} %", **style)
    if rate > 0:
        axes.plot(*[ndtri(rate)] * 2, marker="o", markersize=4, color=style["color"], clip_on=False)


def _normal_deviates(axes: Axes, low: float) -> None:
    ticks = [tick for tick in TICKS_PERCENT if tick / 100 >= low]
    places = ndtri(np.array(ticks) / 100)
    labels = [f"{tick:g}" for tick in ticks]
    axes.set_xticks(places, labels)
    axes.set_yticks(places, labels)
    ends = (ndtri(low), ndtri(HIGHEST))
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.plot(ends, ends, color="0.75", linewidth=0.8, zorder=0)
    axes.grid(color="0.9", linewidth=0.6)
    axes.tick_params(labelsize=8)


def _bins(scores: Floats) -> Floats:
    """Edges over all scores but for far outliers, which are drawn in the last bin."""
    inner = np.quantile(scores, [0.001, 0.999])
    margin = (inner[1] - inner[0]) / 4
    low, high = max(scores.min(), inner[0] - margin), min(scores.max(), inner[1] + margin)
    return np.linspace(low, high if high > low else low + 1, 41)


def _histogram(axes: Axes, target: NDArray[np.bool_], scores: Floats, edges: Floats) -> None:
    inside = np.clip(scores, edges[0], edges[-1])
    style: dict[str, Any] = {"bins": edges, "density": True, "histtype": "stepfilled"}
    axes.hist(inside[~target], **style, color=NONTARGET, alpha=0.55, label="nontarget")
    axes.hist(inside[target], **style, color=TARGET, alpha=0.55, label="target")
    rate, threshold = eer(scores, target)
    axes.axvline(threshold, color="0.2", linewidth=0.9, linestyle="--", label="threshold of the EER")
    axes.annotate(
        f"EER {100 * rate:.1f} %", (0.02, 0.96), xycoords="axes fraction", ha="left", va="top", fontsize=8, color="0.2"
    )
    axes.locator_params(axis="x", nbins=5)
    axes.set_yticks([])
    axes.margins(y=0.12)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=8)
