"""Pictures of a comparison: error rates against the interferer's level, and what trainings did over time."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csc_cli.files import atomic_path
from csc_cli.history import read_history
from csc_cli.plots.figures import line_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = list[dict[str, Any]]
MARKS = "osD^vPX<>*"


@dataclass(frozen=True)
class Point:
    """The EER in a condition, as shares; the interval's ends may be NaN."""

    condition: str
    eer: float
    low: float
    high: float


@dataclass(frozen=True)
class Course:
    """A system and its train.jsonl."""

    name: str
    history: Path


def sir_db(condition: str) -> float | None:
    """The signal-to-interference ratio that a condition's name gives; None for one without.

    >>> sir_db("2talkers_+5dB"), sir_db("clean")
    (5.0, None)
    """
    found = re.search(r"([+-]?\d+(?:\.\d+)?) ?dB", condition)
    return float(found[1]) if found else None


def plot_sir(systems: Mapping[str, Sequence[Point]], target: Path) -> None:
    """EER of each system against the ratio of tested to interfering talker; clean speech stands to the right.

    Nothing is drawn where no condition has a ratio.
    """
    ratios = {point.condition: sir_db(point.condition) for points in systems.values() for point in points}
    known = sorted({ratio for ratio in ratios.values() if ratio is not None})
    if not known:
        return
    plain = sorted(name for name, ratio in ratios.items() if ratio is None)
    step = max([b - a for a, b in pairwise(known)], default=5.0)
    places = {name: known[-1] + step * (index + 1) for index, name in enumerate(plain)}
    places |= {name: ratio for name, ratio in ratios.items() if ratio is not None}
    figure = _figure(8, 5)
    axes = figure.subplots()
    for index, (name, points) in enumerate(systems.items()):
        shift = 0.02 * step * (index - (len(systems) - 1) / 2)  # intervals beside each other
        with_ratio = sorted((point for point in points if ratios[point.condition] is not None), key=_ratio)
        without = [point for point in points if ratios[point.condition] is None]
        for part in (with_ratio, without):
            _intervals(axes, [places[point.condition] + shift for point in part], part, name, index)
    ticks = {ratio: f"{ratio:+g}" if ratio else "0" for ratio in known} | {places[name]: name for name in plain}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set(xlabel="tested over interfering talker (dB)", ylabel="EER (%)", ylim=(0, None))
    _legend(axes)
    _save(figure, target)


def _ratio(point: Point) -> float:
    return sir_db(point.condition) or 0.0


def _intervals(axes: Axes, x: list[float], points: Sequence[Point], name: str, index: int) -> None:
    y = [100 * point.eer for point in points]
    down = [0 if math.isnan(point.low) else max(0.0, 100 * (point.eer - point.low)) for point in points]
    up = [0 if math.isnan(point.high) else max(0.0, 100 * (point.high - point.eer)) for point in points]
    known = name in axes.get_legend_handles_labels()[1]
    axes.errorbar(
        x, y, yerr=[down, up], marker=MARKS[index % len(MARKS)], markersize=5, linewidth=1.3, elinewidth=0.8,
        capsize=2, label="_" if known else name, **line_style(index),
    )  # fmt: skip


def plot_course(systems: Sequence[Course], target: Path) -> None:
    """Over the minutes of training: the bound on I(z; K) as a share of its ceiling, and the EER of other speakers.

    The bound is dashed where it is of training data and solid where it is of held-out recordings, the EER (`csc train
    --dev`) dashed for clean recordings and solid for mixed ones; a history without one of these figures has no such
    line. Nothing is drawn where no history has any.
    """
    histories = [(system.name, read_history(system.history)) for system in systems]
    keys = ("bound", "held_out_bound", "dev_eer_clean", "dev_eer_mixed")
    if not any(key in row for _, rows in histories for row in rows for key in keys):
        return
    figure = _figure(9, 8)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for index, (name, rows) in enumerate(histories):
        colour = line_style(index)["color"]
        for key, ceiling, dash in (("bound", "ceiling", "--"), ("held_out_bound", "held_out_ceiling", "-")):
            line = shares(rows, key, ceiling)
            upper.plot(*line, color=colour, linestyle=dash, label=name if key == "held_out_bound" else "_")
        for key, dash in (("dev_eer_clean", "--"), ("dev_eer_mixed", "-")):
            label = name if key == "dev_eer_mixed" else "_"
            lower.plot(*timed(rows, key), color=colour, linestyle=dash, marker=".", label=label)
    upper.axhline(1, color="0.7", linewidth=0.8)
    upper.set(ylabel="bound on I(z; K), share of its ceiling", title="solid: held out; dashed: training data")
    lower.set(xlabel="minutes of training", ylabel="EER of other speakers (%)", title="solid: mixed; dashed: clean")
    for axes in (upper, lower):
        _legend(axes)
    _save(figure, target)


def shares(rows: History, key: str, ceiling: str) -> tuple[list[float], list[float]]:
    """Minutes and the value of `key` over that of `ceiling`; rows without a ceiling of their own take the last one."""
    last: dict[int, float] = {}
    known = None
    for row in rows:
        known = row.get(ceiling, known)
        if known and key in row:
            last[id(row)] = row[key] / known
    clock = minutes_at(rows)
    kept = [row for row in rows if id(row) in last]
    return [clock(row["step"]) for row in kept], [last[id(row)] for row in kept]


def timed(rows: History, key: str) -> tuple[list[float], list[float]]:
    """Minutes and values of a figure."""
    clock = minutes_at(rows)
    kept = [row for row in rows if key in row]
    return [clock(row["step"]) for row in kept], [row[key] for row in kept]


def minutes_at(rows: History) -> Any:
    """A function: step -> minutes, straight between the rows that have both."""
    import numpy as np

    known = [(row["step"], row["seconds"] / 60) for row in rows if "seconds" in row] or [(0, 0.0)]
    steps, minutes = zip(*known)
    return lambda step: float(np.interp(step, (0, *steps), (0.0, *minutes)))


def _legend(axes: Axes) -> None:
    axes.grid(color="0.9", linewidth=0.6)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, target: Path) -> None:
    with atomic_path(target) as path:
        figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
