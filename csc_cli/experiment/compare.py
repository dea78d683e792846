"""Systems side by side on one trial set: means over seeds, and paired intervals against each group's baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from csc_cli.errors import ConfigError, nearest
from csc_cli.experiment.cell import Planner
from csc_cli.experiment.choices import Choices
from csc_cli.experiment.grid import Grid, System, TrialSet
from csc_cli.experiment.measure import Draws, Floats
from csc_cli.experiment.results import State, mean_draws, state_of
from csc_cli.metrics.evaluation import Measure, divide
from csc_cli.metrics.intervals import cost_interval, difference_interval, interval

COMPARED = ("labels", "no labels")  # groups that have a baseline


@dataclass(frozen=True)
class Row:
    """A system with one training set and budget: a state for each seed, and the mean of those that are there."""

    system: System
    states: tuple[State, ...]

    @property
    def there(self) -> list[State]:
        return [state for state in self.states if state.draws is not None]

    @property
    def draws(self) -> Draws | None:
        found = [state.draws for state in self.states if state.draws is not None]
        return mean_draws(found) if found else None

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Over the seeds that are there; None where one has no value."""
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known and len(known) == len(values) else None

    def of_results(self, name: str) -> float | None:
        """A figure of the result files."""
        return self.mean([(state.result or {}).get(name) for state in self.there])

    def of_trainings(self, name: str) -> float | None:
        """A figure of the trainings, summed over all that a model rests on."""
        sums: list[float | None] = []
        for state in self.there:
            parts = [part[name] for part in (state.result or {}).get("trainings", [])]
            sums.append(None if not parts or None in parts else float(sum(parts)))
        return self.mean(sums)

    def si_snri(self, condition: str) -> float | None:
        """Mean SI-SNRi of a condition in dB; None where the system does not separate."""
        found = [((state.result or {}).get("separation") or {}).get(condition) for state in self.there]
        return self.mean([None if part is None else part["improvement"] for part in found])


@dataclass(frozen=True)
class Table:
    """All rows of one trial set, training set and budget."""

    trials: TrialSet
    training: str
    budget: str
    rows: tuple[Row, ...]
    baselines: Mapping[str, str]  # group -> system

    @property
    def conditions(self) -> tuple[str, ...]:
        return next((row.draws.conditions for row in self.rows if row.draws), ())

    @property
    def speakers(self) -> int:
        return max((int(row.draws.speakers.max()) for row in self.rows if row.draws), default=0)

    def baseline_of(self, row: Row) -> Row | None:
        """The row that a row is compared with: its group's baseline, where that has a result."""
        name = self.baselines.get(row.system.group)
        return next((other for other in self.rows if other.system.name == name and other.draws), None)


@dataclass(frozen=True)
class Against:
    """A row against its baseline in one condition."""

    eer_ratio: Measure
    eer_difference: Measure
    min_dcf_ratio: Measure


def tables(grid: Grid, planner: Planner, trials: TrialSet) -> list[Table]:
    """A table for each training set and budget; no baseline is set yet."""
    states: dict[tuple[str, str | None, str | None], list[State]] = {}
    for cell in planner.cells(trials):
        place = cell.place
        states.setdefault((place.system, place.training, place.budget), []).append(state_of(cell))
    found = []
    for training in grid.training:
        for budget in grid.budgets:
            rows = []
            for system in grid.systems:
                # What depends on no training set or budget stands in every table.
                keys = [(system.name, t, b) for t in (training.name, None) for b in (budget.name, None)]
                here = next((states[key] for key in keys if key in states), None)
                if here:
                    rows.append(Row(system, tuple(here)))
            found.append(Table(trials, training.name, budget.name, tuple(rows), {}))
    return found


def best_rivals(grid: Grid, table: Table) -> dict[str, str]:
    """Group -> the rival of the least EER in the grid's deciding condition.

    Raises:
        ConfigError: there is no such condition.
    """
    if table.conditions and grid.condition not in table.conditions:
        raise ConfigError(
            f"condition: no '{grid.condition}' in the trials; {nearest(grid.condition, table.conditions)}"
        )
    best: dict[str, tuple[float, str]] = {}
    for row in table.rows:
        if row.draws is not None and row.system.rival and row.system.group in COMPARED:
            rate = float(row.draws.eer[table.conditions.index(grid.condition)])
            best[row.system.group] = min(best.get(row.system.group, (2.0, "")), (rate, row.system.name))
    return {group: name for group, (_, name) in best.items()}


def chosen(choices: Choices | None, table: Table) -> dict[str, str]:
    """Group -> the baseline that the choices name."""
    named = {group: choices.baseline(group, table.training, table.budget) for group in COMPARED} if choices else {}
    return {group: name for group, name in named.items() if name is not None}


def eer(draws: Draws, k: int) -> Measure:
    """With its 95 % interval, in condition k."""
    value, speakers = float(draws.eer[k]), int(draws.speakers[k])
    return Measure(value, *interval(value, draws.eer_draws[k], speakers, left_out=left_out(draws, "eer", k)))


def min_dcf(draws: Draws, k: int) -> Measure:
    """With its 95 % interval, in condition k."""
    value, speakers = float(draws.min_dcf[k]), int(draws.speakers[k])
    return Measure(value, *cost_interval(value, draws.min_dcf_draws[k], speakers, highest=1.0))


def left_out(draws: Draws, name: str, k: int) -> Floats | None:
    """The figure without one speaker each, for the speakers of condition k; None where that is not known."""
    values = getattr(draws, f"{name}_left_out")
    return None if values is None else values[k][~np.isnan(values[k])]


def against(system: Draws, baseline: Draws, k: int) -> Against:
    """Paired, in condition k: both under the same draws of the speakers, each the mean of its seeds."""
    speakers = int(system.speakers[k])

    def ratio(name: str) -> Measure:
        a, b = (getattr(draws, name) for draws in (system, baseline))
        a_draws, b_draws = (getattr(draws, f"{name}_draws")[k] for draws in (system, baseline))
        a_left, b_left = (left_out(draws, name, k) for draws in (system, baseline))
        skewness = None if a_left is None or b_left is None else divide(a_left, b_left)
        value = float(divide(a[k], b[k]))
        return Measure(value, *interval(value, divide(a_draws, b_draws), speakers, left_out=skewness))

    value, draws = float(system.eer[k] - baseline.eer[k]), system.eer_draws[k] - baseline.eer_draws[k]
    a_left, b_left = (left_out(draws, "eer", k) for draws in (system, baseline))
    apart = None if a_left is None or b_left is None else a_left - b_left
    difference = Measure(value, *difference_interval(value, draws, speakers, left_out=apart))
    return Against(ratio("eer"), difference, ratio("min_dcf"))
