"""Detection results as tables: Markdown for a README, rich for a terminal."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence
from typing import NamedTuple

from csc_cli.metrics.evaluation import Comparison, ConditionResult, Measure, SystemResult

NONE = "–"


class Table(NamedTuple):
    """A heading for each column, and rows of as many cells; the first `left` columns are names."""

    headings: list[str]
    rows: list[list[str]]
    left: int = 1


def error_rates(results: Sequence[ConditionResult]) -> Table:
    """A row a condition: trials, each system's EER and minDCF at each point, the EER's ratio to the first system's."""
    first, *others = results[0].systems
    points = [result.point for result in results[0].systems[first].points]
    headings = ["condition", "trials (target / nontarget)"]
    for name in (first, *others):
        headings += [f"{name}: EER % [95 %]", *(f"{name}: minDCF({point}) [95 %]" for point in points)]
    for name in others:
        headings += [f"{name} / {first}: EER ratio [95 %]", f"{name} / {first}: p"]
    return Table(headings, [_error_row(result) for result in results])


def _error_row(result: ConditionResult) -> list[str]:
    row = [result.name, f"{result.targets} / {result.nontargets}"]
    for system in result.systems.values():
        row += [_with_interval(system.eer, 100, 2), *(_with_interval(at.min_dcf, 1, 3) for at in system.points)]
    for comparison in result.comparisons.values():
        row += [_with_interval(comparison.eer_ratio, 1, 2), _p_value(comparison.eer_p_value)]
    return row


def likelihood_ratios(results: Sequence[ConditionResult]) -> Table:
    """A row a condition and system: Cllr, minimum Cllr, actDCF at each point, Cllr less the first system's."""
    points = [at.point for at in next(iter(results[0].systems.values())).points]
    headings = ["condition", "system", "Cllr [95 %]", "min Cllr [95 %]"]
    headings += [f"actDCF({point}) [95 %]" for point in points]
    compared = bool(results[0].comparisons)
    headings += ["Cllr - first [95 %]", "p"] if compared else []
    rows = []
    for result in results:
        for name, system in result.systems.items():
            rows.append([result.name, name, *_ratio_cells(system)])
            rows[-1] += _cllr_difference(result.comparisons.get(name)) if compared else []
    return Table(headings, rows, left=2)


def _ratio_cells(system: SystemResult) -> list[str]:
    measures = [system.cllr, system.min_cllr, *(at.act_dcf for at in system.points)]
    return [_with_interval(measure, 1, 3) for measure in measures]


def _cllr_difference(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [NONE, NONE]
    return [_with_interval(comparison.cllr_difference, 1, 3), _p_value(comparison.cllr_p_value)]


def _with_interval(measure: Measure, scale: float, digits: int) -> str:
    if math.isnan(measure.value):
        return NONE
    if math.isnan(measure.low):
        return f"{scale * measure.value:.{digits}f}"
    value, low, high = (f"{scale * number:.{digits}f}" for number in (measure.value, measure.low, measure.high))
    return f"{value} [{low}, {high}]"


def _p_value(value: float) -> str:
    if math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def markdown(table: Table) -> str:
    """The table in Markdown, its figures set to the right."""
    rule = [":--"] * table.left + ["--:"] * (len(table.headings) - table.left)
    rows = (table.headings, rule, *table.rows)
    return "".join("| " + " | ".join(_escape(cell) for cell in row) + " |\n" for row in rows)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


def terminal(table: Table) -> str:
    """The table as plain text, as wide as the terminal (or as it needs, where standard output is none)."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    rich = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(table.headings):
        # A system's name above its figure keeps the columns narrow.
        text = Text(heading.replace(": ", ":\n").replace(" (", "\n(").replace(" [", "\n["))
        rich.add_column(text, justify="left" if index < table.left else "right")
    for row in table.rows:
        rich.add_row(*(Text(cell) for cell in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(rich)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
