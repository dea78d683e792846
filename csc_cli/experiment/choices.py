"""What is chosen on development and written down before a test set is scored, and the log of those scorings."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csc_cli import config as configs
from csc_cli.errors import ConfigError, some
from csc_cli.experiment.cell import Cell, trials_identity
from csc_cli.experiment.grid import Grid, Group
from csc_cli.files import open_atomic

HEAD = """\
# Scorings of test sets

A line for each `csc experiment --test` that scored something new: so often were the test sets looked at, and by whom.

| date | grid | trials | checksum of the trials | cells | systems | commit |
| --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Goal:
    """What a system must reach in a condition, against its group's baseline."""

    system: str
    condition: str
    ratio: float | None = None  # of EERs: at most this, and the whole interval below 1
    difference: float | None = None  # of EERs in % absolute: the upper end of the interval below this

    def __post_init__(self) -> None:
        if (self.ratio is None) == (self.difference is None):
            raise ConfigError(f"goal of '{self.system}': give either ratio or difference")


@dataclass(frozen=True)
class Baseline:
    """The system that a group is compared with; of one training set or budget, where these are named."""

    group: Group
    system: str
    training: str | None = None
    budget: str | None = None


@dataclass(frozen=True)
class Threshold:
    """A score from which on a trial is accepted."""

    system: str
    value: float
    training: str | None = None
    budget: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Choices:
    goals: tuple[Goal, ...]
    baselines: tuple[Baseline, ...]
    scoring: str  # the rule, in words
    settings: str  # what was tried on development and kept, in words
    thresholds: tuple[Threshold, ...] = ()

    def __post_init__(self) -> None:
        if not self.goals or not self.baselines:
            raise ConfigError("goals and baselines: name at least one of each")

    def baseline(self, group: str, training: str, budget: str) -> str | None:
        """The system of the closest line for a group; None where no line fits."""
        fitting = [
            ((line.training is not None) + (line.budget is not None), line.system)
            for line in self.baselines
            if line.group == group and line.training in (None, training) and line.budget in (None, budget)
        ]
        return max(fitting)[1] if fitting else None


def load_choices(grid: Grid) -> Choices | None:
    """The grid's choices; None where there is no file yet.

    Raises:
        ConfigError: the file is damaged, or names systems that the grid lacks.
    """
    if grid.choices is None or not Path(grid.choices).exists():
        return None
    choices = configs.load(Choices, grid.choices)
    lines: list[Goal | Baseline | Threshold] = [*choices.goals, *choices.baselines, *choices.thresholds]
    for line in lines:
        grid.system(line.system, grid.choices)
    return choices


def log_test(grid_path: Path, grid: Grid, cells: Sequence[Cell]) -> None:
    """Append those of `cells` that will score a test set to the grid's log, before anything is scored.

    Raises:
        ConfigError: there are no choices, or these, the grid or its configs are not committed.
    """
    if grid.choices is None or grid.test_log is None:
        raise ConfigError(
            f"{grid_path}: --test needs `choices` and `test_log`, the files of what was chosen and scored"
        )
    if load_choices(grid) is None:
        raise ConfigError(f"{grid.choices}: not found; write down what was chosen on development, and commit it")
    files = {str(grid_path), grid.choices, *(system.config for system in grid.systems if system.config)}
    commit = committed([Path(file) for file in sorted(files)])
    tests = [trials for trials in grid.trials if trials.use == "test"]
    lines = [line for trials in tests if (line := _line(grid_path, trials.name, cells, commit))]
    if lines:
        path = Path(grid.test_log)
        text = path.read_text(encoding="utf-8") if path.exists() else HEAD
        with open_atomic(path) as stream:
            stream.write(text + "".join(lines))


def _line(grid_path: Path, trials: str, cells: Sequence[Cell], commit: str) -> str:
    ours = [cell for cell in cells if cell.trials.name == trials]
    if not ours:
        return ""
    systems = ", ".join(dict.fromkeys(cell.place.system for cell in ours))
    checksum = trials_identity(ours[0].trials.folder)[:16]
    date = time.strftime("%F %T")
    return f"| {date} | {grid_path.name} | {trials} | {checksum} | {len(ours)} | {systems} | {commit} |\n"


def committed(files: Sequence[Path]) -> str:
    """The commit in which `files` stand as they are; "none" outside a checkout of git.

    Raises:
        ConfigError: inside one, a file is not committed, or was changed since.
    """
    folder = files[0].resolve().parent
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return "none"
    changed = []
    for file in files:
        path = file.resolve()
        inside = path.exists() and _git(path.parent, "ls-files", "--error-unmatch", path.name) is not None
        if path.exists() and not (inside and _git(path.parent, "status", "--porcelain", "--", path.name) == ""):
            changed.append(str(file))
    if changed:
        raise ConfigError(f"{some(changed)}: not committed as it is; commit it before a test set is scored")
    return (_git(folder, "rev-parse", "--short=12", "HEAD") or "none").strip()


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    try:
        found = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout if found.returncode == 0 else None
