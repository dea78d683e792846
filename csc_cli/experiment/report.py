"""From result files to tables and figures; nothing else is looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from csc_cli.experiment import compare, tables
from csc_cli.experiment.cell import Cell, Planner
from csc_cli.experiment.choices import Choices, Threshold, load_choices
from csc_cli.experiment.compare import Row, Table
from csc_cli.experiment.grid import Grid, TrialSet
from csc_cli.experiment.thresholds import errors_at
from csc_cli.files import open_atomic, write_json
from csc_cli.history import HISTORY
from csc_cli.plots.comparison import Course, Point, plot_course, plot_sir

NOTE = """\
EER on the convex hull of the ROC. Intervals of 95 % by bootstrap over the speakers ({speakers} at most), {draws} draws,
the same for all systems; they tell nothing of other seeds. "seeds": how many results a figure is the mean of.
"""


def write_report(grid: Grid, planner: Planner) -> tuple[str, list[str]]:
    """Write OUT/report/TRIALS.{md,json} and the figures of each trial set; test sets only where one was scored.

    Returns:
        The pages' text, and a line for each result that is refused.

    Raises:
        ConfigError: the choices are unfit; the deciding condition is not in the trials.
    """
    out, choices = Path(grid.out) / "report", load_choices(grid)
    rivals: dict[tuple[str, str], dict[str, str]] = {}
    pages: list[str] = []
    refused: list[str] = []
    # Development first: the rivals are ranked on its first trial set.
    for trials in sorted(grid.trials, key=lambda trials: trials.use == "test"):
        found = compare.tables(grid, planner, trials)
        if trials.use == "test" and not any(row.draws for table in found for row in table.rows):
            continue
        for index, table in enumerate(found):
            place = (table.training, table.budget)
            if trials.use == "development":
                rivals.setdefault(place, compare.best_rivals(grid, table))
            found[index] = replace(table, baselines=rivals.get(place, {}) | compare.chosen(choices, table))
        pages.append(write_page(out, grid, trials, found, choices))
        refused += _refused(found)
    if choices is None and pages:
        _propose(out, grid, compare.tables(grid, planner, _first(grid)), rivals)
    return "\n".join(pages), list(dict.fromkeys(refused))


def write_page(out: Path, grid: Grid, trials: TrialSet, found: list[Table], choices: Choices | None) -> str:
    """One trial set's page, its values and its figures; returns the page."""
    speakers = max(table.speakers for table in found)
    text = "\n".join(tables.markdown(table, grid, choices) for table in found)
    at = [] if choices is None or trials.use == "development" else [_at(table, choices) for table in found]
    text += "".join(at) + "\n" + NOTE.format(speakers=speakers, draws=grid.bootstrap)
    with open_atomic(out / f"{trials.name}.md") as stream:
        stream.write(f"# {trials.name}\n\n{text}")
    write_json(out / f"{trials.name}.json", [tables.values(table) for table in found])
    for table in found:
        name = f"{trials.name}-{table.training}-{table.budget}"
        plot_sir(points(table), out / f"{name}-sir.png")
        plot_course(courses(table), out / f"{name}-course.png")
    return text


def points(table: Table) -> dict[str, list[Point]]:
    """System -> its EER in each condition, with the interval's ends."""
    return {
        row.system.name: [
            Point(name, *_shares(compare.eer(row.draws, k))) for k, name in enumerate(table.conditions) if name != "all"
        ]
        for row in table.rows
        if row.draws is not None
    }


def _shares(measure: compare.Measure) -> tuple[float, float, float]:
    return measure.value, measure.low, measure.high


def courses(table: Table) -> list[Course]:
    """The history of each system's first seed that is there."""
    found = []
    for row in table.rows:
        first = next((state.cell for state in row.there if isinstance(state.cell, Cell)), None)
        # A model that is used in two ways has one history.
        if first is not None and first.training is not None and row.system.model is None:
            found.append(Course(row.system.name, first.training.model / HISTORY))
    return found


def _at(table: Table, choices: Choices) -> str:
    """Misses and false alarms at the thresholds that were chosen on development."""
    lines = []
    for row in table.rows:
        for state in row.there:
            for threshold in choices.thresholds:
                if isinstance(state.cell, Cell) and _is_of(threshold, row, table, state.cell.place.seed):
                    trials = Path(state.cell.trials.folder)
                    rates = errors_at(trials, state.cell.folder / "scores", threshold.value)
                    words = [f"{name} {100 * miss:.1f} / {100 * alarm:.1f}" for name, (miss, alarm) in rates.items()]
                    seed = "" if state.cell.place.seed is None else f", seed {state.cell.place.seed}"
                    lines.append(f"- {row.system.name}{seed}, from {threshold.value:g} on: {'; '.join(words)}\n")
    where = f"{table.training}, {table.budget}"
    head = f"\nMisses / false alarms in % at the thresholds chosen on development ({where}):\n\n"
    return head + "".join(lines) if lines else ""


def _is_of(threshold: Threshold, row: Row, table: Table, seed: int | None) -> bool:
    return (
        threshold.system == row.system.name
        and threshold.training in (None, table.training)
        and threshold.budget in (None, table.budget)
        and threshold.seed in (None, seed)
    )


def _refused(found: list[Table]) -> list[str]:
    states = [state for table in found for row in table.rows for state in row.states]
    return [f"{state.cell}: refused: {state.reason}" for state in states if state.kind == "refused"]


def _first(grid: Grid) -> TrialSet:
    return next(trials for trials in grid.trials if trials.use == "development")


def _propose(out: Path, grid: Grid, found: list[Table], rivals: dict[tuple[str, str], dict[str, str]]) -> None:
    """OUT/report/choices.yaml: what development says, to be edited, committed and named in the grid."""
    import yaml

    baselines: list[dict[str, Any]] = [
        {"group": group, "system": name, "training": training, "budget": budget}
        for (training, budget), best in rivals.items()
        for group, name in best.items()
    ]
    thresholds = [
        {"system": row.system.name, "value": round(float(state.draws.eer_threshold[k]), 5)}
        | {"training": table.training, "budget": table.budget}
        | ({} if state.cell.place.seed is None else {"seed": state.cell.place.seed})
        for table in found
        if grid.condition in table.conditions
        for k in [table.conditions.index(grid.condition)]
        for row in table.rows
        for state in row.there
        if state.draws is not None
    ]
    text = {
        "goals": [], "baselines": baselines, "scoring": "", "settings": "", "thresholds": thresholds,
    }  # fmt: skip
    with open_atomic(out / "choices.yaml") as stream:
        stream.write("# What development says. Add goals, the scoring rule and the settings, then commit it.\n")
        stream.write(yaml.safe_dump(text, sort_keys=False, default_flow_style=None, width=120))
