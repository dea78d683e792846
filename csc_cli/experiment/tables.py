"""The tables in Markdown, and everything in them as plain values for JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from csc_cli.experiment import compare
from csc_cli.experiment.choices import Choices, Goal
from csc_cli.experiment.compare import Row, Table
from csc_cli.experiment.grid import Grid
from csc_cli.experiment.measure import P_TARGET, Draws
from csc_cli.files import nan_as_null
from csc_cli.metrics.evaluation import Measure

NONE = "–"
UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def markdown(table: Table, grid: Grid, choices: Choices | None) -> str:
    """All tables of a training set and budget on a trial set, under one heading."""
    head = f"## {table.trials.name}: trained on {table.training}, {table.budget} each\n"
    if table.conditions:
        parts = [head, *_errors(table), *_ratios(table, grid), *_costs(table), *_missing(table)]
    else:
        parts = [head, _grid(["system", "result"], table, lambda row: []), *_missing(table)]
    goals = [f"- {goal_words(goal, table)}" for goal in choices.goals] if choices else []
    return "\n".join([*parts, *(["Goals:", "", *goals, ""] if goals else [])])


def _errors(table: Table) -> Iterator[str]:
    def rates(row: Row) -> list[str]:
        figures = _each(table, row, lambda draws, k: percent(compare.eer(draws, k)))
        return [row.system.group, _seeds(row), *figures]

    def costs(row: Row) -> list[str]:
        return [_seeds(row), *_each(table, row, lambda draws, k: figure(compare.min_dcf(draws, k), 1, 3))]

    def gains(row: Row) -> list[str]:
        return [_seeds(row), *(_number(row.si_snri(name), ".1f") for name in separated)]

    yield "EER in % [95 %], the mean over seeds:\n"
    yield _grid(["system", "group", "seeds", *table.conditions], table, rates)
    yield f"minDCF({P_TARGET:g}) [95 %]:\n"
    yield _grid(["system", "seeds", *table.conditions], table, costs)
    separated = [name for name in table.conditions if any(row.si_snri(name) is not None for row in table.rows)]
    if separated:
        yield "SI-SNRi in dB, mean over recordings:\n"
        yield _grid(["system", "seeds", *separated], table, gains, lambda row: row.system.separates)


def _ratios(table: Table, grid: Grid) -> Iterator[str]:
    for group in compare.COMPARED:
        name = table.baselines.get(group)
        baseline = next((row for row in table.rows if row.system.name == name), None)
        if baseline is not None and baseline.draws is not None:
            yield f'EER as a ratio to {name}, the baseline of the group "{group}"; paired intervals of 95 %:\n'
            yield _ratio_table(table, grid, baseline, baseline.draws)


def _ratio_table(table: Table, grid: Grid, baseline: Row, base: Draws) -> str:
    def cell(draws: Draws, k: int) -> str:
        found = compare.against(draws, base, k)
        is_clean = table.conditions[k] == grid.clean
        return percent(found.eer_difference) if is_clean else figure(found.eer_ratio, 1, 2)

    def compared(row: Row) -> bool:
        return row.system.group == baseline.system.group and row is not baseline

    conditions = [f"{name} (difference, %)" if name == grid.clean else name for name in table.conditions]
    return _grid(
        ["system", "seeds", *conditions], table, lambda row: [_seeds(row), *_each(table, row, cell)], compared
    )  # fmt: skip


def _costs(table: Table) -> Iterator[str]:
    yield "What a system costs; steps, minutes and MACs are of all its trainings:\n"
    yield _grid(
        ["system", "seeds", "parameters", "MACs/s of audio", "steps", "minutes", "MACs"], table,
        lambda row: [
            _seeds(row), short(row.of_results("parameters")), short(row.of_results("macs_per_second")),
            _number(row.of_trainings("steps"), ".0f"), _number(row.of_trainings("minutes"), ".1f"),
            short(row.of_trainings("macs")),
        ],
    )  # fmt: skip


def _missing(table: Table) -> Iterator[str]:
    states = [state for row in table.rows for state in row.states if state.draws is None]
    lines = [f"- {state.cell.place}: {state.words}" for state in states]
    if lines:
        yield "\n".join(["Not in the tables:", "", *lines, ""])


def _grid(
    headings: list[str],
    table: Table,
    cells: Callable[[Row], list[str]],
    only: Callable[[Row], bool] = lambda row: True,
) -> str:
    """A Markdown table with a row a system; "not run" (or stale, refused) in place of figures that are not there."""
    lines = [headings, [":--"] + ["--:"] * (len(headings) - 1)]
    for row in table.rows:
        if only(row):
            found = cells(row) if row.draws is not None else [_absent(row)] * (len(headings) - 1)
            lines.append([row.system.name, *found])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _each(table: Table, row: Row, cell: Callable[[Draws, int], str]) -> list[str]:
    return [NONE if row.draws is None else cell(row.draws, k) for k in range(len(table.conditions))]


def _absent(row: Row) -> str:
    kinds = {state.kind for state in row.states}
    return next((kind for kind in ("refused", "stale") if kind in kinds), "not run")


def _seeds(row: Row) -> str:
    """How many seeds there are, of how many."""
    there, wanted = len(row.there), len(row.states)
    return str(there) if there == wanted else f"{there} of {wanted}"


def percent(measure: Measure) -> str:
    return figure(measure, 100, 1)


def figure(measure: Measure, scale: float, digits: int) -> str:
    """The value and its interval, as far as there are such."""
    if math.isnan(measure.value):
        return NONE
    value, low, high = (f"{scale * part:.{digits}f}" for part in dataclasses.astuple(measure))
    return value if math.isnan(measure.low) else f"{value} [{low}, {high}]"


def _number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def short(value: float | None) -> str:
    """Three digits and a unit.

    >>> short(1_480_000), short(None)
    ('1.48 M', '–')
    """
    if value is None:
        return NONE
    unit = next(((size, name) for size, name in UNITS if value >= size), (1.0, ""))
    return f"{value / unit[0]:.3g} {unit[1]}".strip()


def goal_words(goal: Goal, table: Table) -> str:
    """Whether a goal is reached, with the figures."""
    row = next((row for row in table.rows if row.system.name == goal.system), None)
    baseline = row and table.baseline_of(row)
    what = f"{goal.system}, {goal.condition}"
    if row is None or row.draws is None or baseline is None or baseline.draws is None:
        return f"{what}: not run"
    if goal.condition not in table.conditions:
        return f"{what}: no such condition"
    found = compare.against(row.draws, baseline.draws, table.conditions.index(goal.condition))
    if goal.ratio is not None:
        reached = found.eer_ratio.value <= goal.ratio and found.eer_ratio.high < 1
        text = (
            f"ratio to {baseline.system.name} {figure(found.eer_ratio, 1, 2)}; at most {goal.ratio:g}, interval below 1"
        )
    else:
        most = goal.difference or 0.0
        reached = 100 * found.eer_difference.high < most
        text = f"difference to {baseline.system.name} {percent(found.eer_difference)} %; upper end below {most:g} %"
    return f"{what}: {text}: {'reached' if reached else 'not reached'}"


def values(table: Table) -> dict[str, Any]:
    """Everything of a table as plain values; rates are shares."""
    return {
        "trials": table.trials.name, "training": table.training, "budget": table.budget,
        "conditions": list(table.conditions), "speakers": table.speakers, "baselines": dict(table.baselines),
        "systems": [_row_values(table, row) for row in table.rows],
    }  # fmt: skip


def _row_values(table: Table, row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {
        "system": row.system.name, "group": row.system.group, "rival": row.system.rival, "seeds": len(row.there),
        "states": {str(state.cell.place.seed): state.words for state in row.states},
    }  # fmt: skip
    if row.draws is None:
        return found
    names = list(enumerate(table.conditions))
    found["eer"] = {name: _plain(compare.eer(row.draws, k)) for k, name in names}
    found["min_dcf"] = {name: _plain(compare.min_dcf(row.draws, k)) for k, name in names}
    found["si_snri"] = {name: row.si_snri(name) for _, name in names if row.si_snri(name) is not None}
    found |= {name: row.of_results(name) for name in ("parameters", "macs_per_second")}
    found |= {name: row.of_trainings(name) for name in ("steps", "minutes", "macs")}
    baseline = table.baseline_of(row)
    if baseline is not None and baseline.draws is not None:
        against = {name: compare.against(row.draws, baseline.draws, k) for k, name in names}
        for part in ("eer_ratio", "eer_difference", "min_dcf_ratio"):
            found[part] = {name: _plain(getattr(value, part)) for name, value in against.items()}
    return found


def _plain(measure: Measure) -> dict[str, float | None]:
    """As JSON has it: null for NaN."""
    found: dict[str, float | None] = nan_as_null(dataclasses.asdict(measure))
    return found
