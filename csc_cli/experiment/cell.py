"""The work of a grid: trainings, and cells in which a model is scored on a trial set. Each has a key and a folder.

A folder is named by its key, so another config, other data, trials or code never touch a result that is there: it is
stale then, and another folder is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from csc_cli import config as configs
from csc_cli.errors import ConfigError, CscError
from csc_cli.experiment import keys
from csc_cli.experiment.grid import Budget, Grid, System, TrainingSet, TrialSet

ANY = "any"  # in a folder's name, where a system does not depend on the training set or the budget
SHOWN = 10  # digits of a key in a folder's name


@dataclass(frozen=True)
class Place:
    """Where a piece of work stands in the grid; None where it depends on none."""

    system: str
    training: str | None
    budget: str | None
    seed: int | None

    @property
    def path(self) -> Path:
        """The folder's parent and the beginning of its name."""
        seed = ANY if self.seed is None else f"seed{self.seed}"
        return Path(self.system, self.training or ANY, self.budget or ANY, seed)

    def __str__(self) -> str:
        parts = (self.system, self.training, self.budget, None if self.seed is None else f"seed {self.seed}")
        return ", ".join(part for part in parts if part is not None)


@dataclass(frozen=True)
class Key:
    """What a result depends on; two results of the same key are the same."""

    config: str  # settings, seed, budget
    plan: str  # training data, and trials
    code: str  # of the package

    @property
    def whole(self) -> str:
        return keys.digest(dataclasses.astuple(self))

    def differences(self, other: Mapping[str, str]) -> list[str]:
        """The parts that differ."""
        return [name for name, value in dataclasses.asdict(self).items() if other.get(name) != value]


@dataclass(frozen=True)
class Training:
    """A model to be trained."""

    place: Place
    key: Key
    folder: Path
    system: System
    data: TrainingSet
    budget: Budget | None  # None: no steps at all
    seed: int
    initial: tuple[Training, ...]

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def all(self) -> Iterator[Training]:
        """Those that it begins from, at any depth, and itself, each once; the first ones first."""
        found: dict[Path, Training] = {}
        for other in self.initial:
            found.update({training.folder: training for training in other.all()})
        yield from (found | {self.folder: self}).values()


@dataclass(frozen=True)
class Cell:
    """A model to be scored on a trial set: one result file. `training` is None for an external system."""

    place: Place
    key: Key
    folder: Path
    system: System
    trials: TrialSet
    training: Training | None

    def __str__(self) -> str:
        return f"{self.place} on {self.trials.name}"


@dataclass(frozen=True)
class Impossible:
    """A cell that cannot be: its config, data or trials are not there."""

    place: Place
    trials: TrialSet
    reason: str
    excused: bool = False  # it need not be

    def __str__(self) -> str:
        return f"{self.place} on {self.trials.name}"


@dataclass(frozen=True)
class Planner:
    """Finds keys and folders; what is read for them is read once."""

    grid: Grid

    def cells(self, trials: TrialSet) -> Iterator[Cell | Impossible]:
        """All cells of a trial set, in the grid's order."""
        for system in self.grid.systems:
            if not system.part:
                for place in self.places(system):
                    try:
                        yield self.cell(system, place, trials)
                    except CscError as error:
                        yield Impossible(place, trials, str(error), self.excused(place))

    def places(self, system: System) -> Iterator[Place]:
        if system.external is not None:
            yield Place(system.name, None, None, None)
            return
        budgets: tuple[Budget | None, ...] = self.grid.budgets if self.grid.trained(system) else (None,)
        for training in self.grid.training:
            for budget in budgets:
                for seed in self.grid.seeds:
                    yield Place(system.name, training.name, None if budget is None else budget.name, seed)

    def excused(self, place: Place) -> bool:
        """Whether the training set is optional and not there."""
        named = [part for part in self.grid.training if part.name == place.training]
        return any(part.optional and not Path(part.data).exists() for part in named)

    def cell(self, system: System, place: Place, trials: TrialSet) -> Cell:
        """Raises CscError: a config, data or trials are not there or unfit."""
        training, config = None, ""
        plan, code = [trials_identity(trials.folder)], [code_identity(keys.SCORING)]
        if system.external is not None:
            code.append(keys.command_identity(system.external))
        else:
            name = system.model or system.name
            training = self.training(self.grid.system(name, system.name), place)
            config = training.key.config
            plan.append(training.key.plan)
            code.append(training.key.code)
        if any("{cohort}" in option for option in system.score):
            plan.append(data_identity(str(self.grid.cohort)))
        settings = [system.streams, system.sources, system.enroll, system.extract, system.score, system.separates]
        key = Key(keys.digest([config, settings, self.grid.bootstrap]), keys.digest(plan), keys.digest(code))
        return Cell(place, key, self.folder(Path("cells", trials.name), place, key), system, trials, training)

    def training(self, system: System, place: Place) -> Training:
        """The training of `system` at the training set, budget and seed of `place`; raises CscError as `cell`."""
        from csc_cli.training.config import TrainConfig

        if system.config is None or place.training is None or place.seed is None:
            raise ConfigError(f"system '{system.name}': has no training of its own")
        initial = tuple(self.training(self.grid.system(name, system.name), place) for name in system.begins_from)
        data = next(part for part in self.grid.training if part.name == place.training)
        budget = None if system.untrained else next(part for part in self.grid.budgets if part.name == place.budget)
        resolved = configs.to_dict(configs.load(TrainConfig, Path(system.config), system.set))
        # The budget decides the steps, the grid the seed.
        resolved["optimiser"].pop("steps")
        resolved.pop("seed")
        of_budget = None if budget is None else [budget.minutes, budget.macs, system.share]
        sets = [data_identity(folder) for folder in (data.data, self.grid.dev) if folder is not None]
        settings = [resolved, system.init, of_budget, place.seed, self.grid.processes, self.grid.threads]
        key = Key(
            config=keys.digest([settings, [training.key.config for training in initial]]),
            plan=keys.digest([sets, [training.key.plan for training in initial]]),
            code=keys.digest([code_identity(keys.TRAINING), [training.key.code for training in initial]]),
        )
        here = replace(place, system=system.name, budget=place.budget if self.grid.trained(system) else None)
        return Training(here, key, self.folder(Path("models"), here, key), system, data, budget, place.seed, initial)

    def folder(self, kind: Path, place: Place, key: Key) -> Path:
        path = Path(self.grid.out) / kind / place.path
        return path.with_name(f"{path.name}-{key.whole[:SHOWN]}")


# One invocation reads each folder once: what changes while it runs is seen by the next one, or by `code_now`.
@cache
def data_identity(folder: str) -> str:
    return keys.data_identity(Path(folder))


@cache
def trials_identity(folder: str) -> str:
    return keys.trials_identity(Path(folder))


@cache
def code_identity(entries: tuple[str, ...]) -> str:
    return keys.code_digest(entries)


def siblings(folder: Path) -> list[Path]:
    """The folders of the same place under other keys."""
    name = folder.name[: -SHOWN - 1]
    pattern = f"{name}-{'[0-9a-f]' * SHOWN}"
    return sorted(path for path in folder.parent.glob(pattern) if path != folder)
