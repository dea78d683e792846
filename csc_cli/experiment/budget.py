"""How many optimiser steps a budget buys: found once for a training and written down, so that a rerun has the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from csc_cli.errors import CscError
from csc_cli.experiment.cell import Training
from csc_cli.experiment.commands import Commands, read_json
from csc_cli.experiment.grid import ProbeConfig
from csc_cli.experiment.size import macs_of_step
from csc_cli.files import write_json
from csc_cli.history import HISTORY, read_history

LEAST_S = 2.0  # train.jsonl has tenths of a second
NEVER = 10**9


def fixed_steps(training: Training, probe: ProbeConfig, commands: Commands, command: list[object]) -> int:
    """The steps that steps.json of the training's folder says; it is made where it is not there.

    Args:
        command: the training's own, without its output, steps and tracking.

    Raises:
        CscError: the probe failed; the budget buys no step.
    """
    path, budget, share = training.folder / "steps.json", training.budget, training.system.share
    if path.exists():
        return int(read_json(path)["steps"])
    if budget is None:
        found: dict[str, Any] = {"steps": 0}
    elif budget.minutes is not None:
        load = os.getloadavg()[0]
        seconds = time_a_step(training.folder, probe, commands, command)
        found = {"steps": steps_for(60 * budget.minutes, share, seconds)}
        found |= {"seconds_per_step": round(seconds, 5), "load_before": round(load, 2)}
    else:
        macs = count_a_step(training, commands)
        found = {"steps": steps_for(budget.macs or 0.0, share, macs), "macs_per_step": macs}
    if budget is not None and not found["steps"]:
        raise CscError(f"{training.place}: budget '{budget.name}' does not buy a single step; give more")
    write_json(path, found)
    return int(found["steps"])


def steps_for(amount: float, share: float, each: float) -> int:
    """How many steps of `each` a share of an amount buys, both in the same unit.

    >>> steps_for(60.0, 0.5, 7.0)
    4
    """
    return int(amount * share / each + 1e-9)  # 0.6 / 0.1 is 5.999...


def time_a_step(folder: Path, probe: ProbeConfig, commands: Commands, command: list[object]) -> float:
    """Seconds of an optimiser step, from a short training like the real one."""
    target, timed, seconds = folder / "probe", probe.steps, 0.0
    for timed in (probe.steps, 10 * probe.steps, 100 * probe.steps):
        shutil.rmtree(target, ignore_errors=True)
        steps = probe.warmup + timed
        tracking = {"log_every": probe.warmup, "held_out_every": NEVER, "checkpoint_every": NEVER}
        sets = [word for key, value in tracking.items() for word in ("--set", f"tracking.{key}={value}")]
        commands.csc(folder, *command, target, *sets, "--max-steps", steps)
        clock = {row["step"]: row["seconds"] for row in read_history(target / HISTORY) if "seconds" in row}
        seconds = clock[steps] - clock[probe.warmup]
        if seconds >= LEAST_S:
            break
    shutil.rmtree(target)
    return max(seconds, 0.05) / timed


def count_a_step(training: Training, commands: Commands) -> float:
    """Multiply-accumulates of an optimiser step, from the config."""
    system, facts = training.system, training.folder / "info.json"
    sets = [word for override in system.set for word in ("--set", override)]
    commands.csc(training.folder, "info", "--json", "--no-memory", *sets, str(system.config), output=facts)
    return macs_of_step(read_json(facts))
