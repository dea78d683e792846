"""What is compared with what: systems, training sets, budgets, seeds, trial sets. The only home of their defaults."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from csc_cli import config as configs
from csc_cli.errors import ConfigError, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
Group = Literal["labels", "no labels", "oracle", "reference"]


@dataclass(frozen=True)
class TrainingSet:
    name: str
    data: str  # a data directory
    optional: bool = False  # where it is not there, its cells are shown as not run, and that is no failure


@dataclass(frozen=True)
class TrialSet:
    """A folder that `csc trials` wrote: enroll, test, trials, utt2cond, utt2spks."""

    name: str
    folder: str
    use: Literal["development", "test"] = "development"  # test: only with --test, and logged


@dataclass(frozen=True)
class Budget:
    """What training one system may cost, in one of two currencies."""

    name: str
    minutes: float | None = None  # of this machine, optimiser steps alone
    macs: float | None = None  # multiply-accumulates of all steps, forward and backward

    def __post_init__(self) -> None:
        given = [value for value in (self.minutes, self.macs) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ConfigError(f"budget '{self.name}': give either minutes or macs, above 0")


@dataclass(frozen=True)
class System:
    """A row of the tables: a training and how its model is used, or another system's model used in another way."""

    name: str
    group: Group = "labels"  # rows are compared within their group; oracle and reference with none
    config: str | None = None  # a config of csc train
    set: tuple[str, ...] = ()  # KEY=VALUE, as csc train --set
    # As csc train --init: SYSTEM or PART=SYSTEM, whose models of the same seed and budget it begins from.
    init: tuple[str, ...] = ()
    share: float = 1.0  # of the budget; the shares of a system and of all that it begins from add up to 1 at most
    untrained: bool = False  # no steps: the weights at the start, or those of `init`
    model: str | None = None  # in place of config: the system whose model is used
    external: str | None = None  # in place of config: a command of sh, with {data} and {out}, that writes vectors
    streams: Literal["best", "all"] = "all"  # of test recordings, as csc extract --streams
    sources: bool = False  # the true sources of test recordings are embedded: csc extract --sources
    enroll: Literal["mean", "attention"] = "mean"
    extract: tuple[str, ...] = ()  # more options of csc extract
    score: tuple[str, ...] = ()  # more options of csc score cosine; {cohort}: the vectors of the grid's cohort
    separates: bool = False  # csc separate is measured, too
    rival: bool = False  # may be the baseline
    part: bool = False  # only trained, for those that begin from it: no row

    def __post_init__(self) -> None:
        kinds = [self.config is not None, self.model is not None, self.external is not None]
        if sum(kinds) != 1:
            raise ConfigError(f"system '{self.name}': give one of config, model and external")
        if self.config is None and (self.set or self.init or self.untrained or self.share != 1):
            raise ConfigError(f"system '{self.name}': set, init, share and untrained belong to a config")
        if self.part and self.config is None:
            raise ConfigError(f"system '{self.name}': a part must have a config; nothing else of it is used")
        if self.external is not None and not ("{data}" in self.external and "{out}" in self.external):
            raise ConfigError(f"system '{self.name}': the external command must name {{data}} and {{out}}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"system '{self.name}': share={self.share}: must lie in (0, 1]")

    @property
    def begins_from(self) -> tuple[str, ...]:
        """The systems of `init`, each once."""
        return tuple(dict.fromkeys(text.rpartition("=")[2] for text in self.init))

    @property
    def needs(self) -> tuple[str, ...]:
        """The systems that must be trained first."""
        return self.begins_from if self.model is None else (self.model,)


@dataclass(frozen=True)
class ProbeConfig:
    """How the steps of a budget in minutes are found: by a short training of the same kind."""

    warmup: int = 10  # steps before the clock is read
    steps: int = 30  # timed; ten times as many where they take less than 2 s

    def __post_init__(self) -> None:
        if self.warmup < 1 or self.steps < 1:
            raise ConfigError("warmup and steps must be at least 1")


@dataclass(frozen=True)
class Grid:
    """Every system with every training set, budget and seed, on every trial set."""

    out: str
    training: tuple[TrainingSet, ...]
    trials: tuple[TrialSet, ...]
    budgets: tuple[Budget, ...]
    systems: tuple[System, ...]
    seeds: tuple[int, ...] = (0,)
    condition: str = "2talkers_0dB"  # the best rival is the one of the least EER here
    clean: str = "clean"  # where differences, not ratios, are of interest
    dev: str | None = None  # a data directory, whose EER is measured while training goes on: csc train --dev
    cohort: str | None = None  # a data directory, embedded by each system, for csc score's options
    choices: str | None = None  # the file that must be committed before --test
    test_log: str | None = None  # to which each scoring of a test set is appended
    processes: int = 1  # of one training, as csc train --nj
    threads: int | None = None  # of each process (OMP_NUM_THREADS); null: as the environment says
    bootstrap: int = 1000  # draws of the speakers
    probe: ProbeConfig = ProbeConfig()

    def __post_init__(self) -> None:
        for kind in ("training", "trials", "budgets", "systems"):
            check_names(kind, [part.name for part in getattr(self, kind)])
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(f"seeds={list(self.seeds)}: name at least one, each once")
        if self.processes < 1 or (self.threads is not None and self.threads < 1):
            raise ConfigError("processes and threads must be at least 1")
        if self.bootstrap < 1:
            raise ConfigError(f"bootstrap={self.bootstrap}: intervals need draws, 1000 for instance")
        for system in self.systems:
            self.check(system)

    def check(self, system: System) -> None:
        """Names of other systems exist, lead to configs and in no circle, and cost one system's budget in all."""
        for name in system.needs:
            other = self.system(name, f"system '{system.name}'")
            if other.config is None:
                raise ConfigError(f"system '{system.name}': '{name}' has no model of its own; name one with a config")
        if any("{cohort}" in option for option in system.score) and self.cohort is None:
            raise ConfigError(f"system '{system.name}': score names {{cohort}}, but the grid has none")
        spent = sum(part.share for part in self.trained(system))
        if spent > 1 + 1e-9:
            names = ", ".join(f"{part.name} {part.share:g}" for part in self.trained(system))
            raise ConfigError(
                f"system '{system.name}': its trainings cost {spent:g} budgets ({names}); lower the shares to 1 in all"
            )

    def system(self, name: str, where: str) -> System:
        """The system of a name. Raises ConfigError, naming `where`, for an unknown one."""
        found = {system.name: system for system in self.systems}
        if name not in found:
            raise ConfigError(f"{where}: no system '{name}'; {nearest(name, found)}")
        return found[name]

    def trained(self, system: System) -> list[System]:
        """The distinct systems that are trained for this one, itself last. Raises ConfigError for a circle."""
        found: dict[str, System] = {}

        def visit(part: System, above: tuple[str, ...]) -> None:
            if part.name in above:
                raise ConfigError(f"system '{part.name}': begins from itself ({' -> '.join((*above, part.name))})")
            for name in part.needs:
                visit(self.system(name, f"system '{part.name}'"), (*above, part.name))
            if part.config is not None and not part.untrained:
                found[part.name] = part

        visit(system, ())
        return list(found.values())


def check_names(kind: str, names: Iterable[str]) -> None:
    """Each once, at least one, and fit for a file's name."""
    names = list(names)
    if not names:
        raise ConfigError(f"{kind}: name at least one")
    for name in names:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{kind}: '{name}' must be of letters, digits and ._+- (it names files)")
        if names.count(name) > 1:
            raise ConfigError(f"{kind}: '{name}' is there twice; names must differ")


def load_grid(path: Path) -> Grid:
    """Read a grid. Paths in it are meant from the working folder, as everywhere in csc.

    Raises:
        ConfigError: with `path:line`, for a fault.
    """
    return configs.load(Grid, path)
