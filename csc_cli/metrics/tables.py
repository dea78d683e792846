"""Detection results as a table: Markdown for a README, rich for a terminal."""

from __future__ import annotations

import math
import shutil
import sys
from collections.abc import Sequence

from csc_cli.metrics.evaluation import ConditionResult, Measure

NONE = "–"


def cells(results: Sequence[ConditionResult], p_target: float) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: condition, trials, each system's EER and minDCF, and the ratios to the first system."""
    first, *others = results[0].systems
    headings = ["condition", "trials (target / nontarget)"]
    for name in (first, *others):
        headings += [f"{name}: EER % [95 %]", f"{name}: minDCF({p_target:g}) [95 %]"]
    headings += [f"{name} / {first}: EER ratio [95 %]" for name in others]
    return headings, [_row(result) for result in results]


def _row(result: ConditionResult) -> list[str]:
    row = [result.name, f"{result.targets} / {result.nontargets}"]
    for system in result.systems.values():
        row += [_with_interval(system.eer, 100, 2), _with_interval(system.min_dcf, 1, 3)]
    return row + [_with_interval(comparison.eer_ratio, 1, 2) for comparison in result.comparisons.values()]


def _with_interval(measure: Measure, scale: float, digits: int) -> str:
    if math.isnan(measure.value):
        return NONE
    if math.isnan(measure.low):
        return f"{scale * measure.value:.{digits}f}"
    value, low, high = (f"{scale * number:.{digits}f}" for number in (measure.value, measure.low, measure.high))
    return f"{value} [{low}, {high}]"


def markdown(results: Sequence[ConditionResult], p_target: float) -> str:
    """The table in Markdown, its figures set to the right."""
    headings, rows = cells(results, p_target)
    rule = [":--"] + ["--:"] * (len(headings) - 1)
    return "".join("| " + " | ".join(_escape(cell) for cell in row) + " |\n" for row in (headings, rule, *rows))


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


def terminal(results: Sequence[ConditionResult], p_target: float) -> str:
    """The table as plain text, as wide as the terminal (or as it needs, where standard output is none)."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    headings, rows = cells(results, p_target)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        # A system's name above its figure keeps the columns narrow.
        table.add_column(Text(heading.replace(": ", ":\n").replace(" (", "\n(")), justify="right" if index else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
