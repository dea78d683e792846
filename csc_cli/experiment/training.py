"""One training of a grid: fix its steps, train, describe; in its own folder, going on where it was stopped.

The folder: key.json, steps.json, log, model/, info.json, and, last of all, done.json with the checksums of the log,
the history and the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csc_cli.errors import CscError, DataError
from csc_cli.experiment import keys, size
from csc_cli.experiment.budget import fixed_steps
from csc_cli.experiment.cell import Training
from csc_cli.experiment.commands import Commands, locked, read_json
from csc_cli.experiment.grid import Grid
from csc_cli.files import sha256, write_json
from csc_cli.history import HISTORY, read_history

DONE = "done.json"
PROVED = ("log", "model/train.jsonl", "model/model.safetensors", "model/config.yaml", "steps.json")


def train(training: Training, grid: Grid, commands: Commands, device: str = "auto") -> None:
    """Train what is missing; nothing where it is done.

    Raises:
        CscError: a command failed; the package's code changed meanwhile; the folder's proofs are gone.
        Stopped: the run was asked to stop; the next one goes on.
    """
    folder = training.folder
    with locked(folder):
        if (folder / DONE).exists():
            check_done(training)
            return
        command = command_of(training, grid, device)
        steps = _steps(training, grid, commands, command)
        dev = ["--dev", grid.dev] if grid.dev else []
        commands.csc(folder, *command, *dev, training.model, "--max-steps", steps)
        commands.csc(folder, "info", "--json", "--no-memory", training.model, output=folder / "info.json")
        refuse_changed_code(keys.TRAINING, folder)
        write_json(folder / DONE, {"key": dataclasses.asdict(training.key), "sha256": proofs(folder, PROVED)})


def fix_steps(training: Training, grid: Grid, commands: Commands, device: str = "auto") -> int:
    """The steps that the budget buys, written down for `train`; errors as there."""
    with locked(training.folder):
        return _steps(training, grid, commands, command_of(training, grid, device))


def _steps(training: Training, grid: Grid, commands: Commands, command: list[object]) -> int:
    write_json(training.folder / "key.json", dataclasses.asdict(training.key))
    return fixed_steps(training, grid.probe, commands, command)


def command_of(training: Training, grid: Grid, device: str) -> list[object]:
    """`csc train` as a person would type it, without the model directory and the steps."""
    system = training.system
    sets = [word for override in system.set for word in ("--set", override)]
    models = {other.system.name: other.model for other in training.initial}
    initial = [word for text in system.init for word in ("--init", _placed(text, models))]
    nj = ["--nj", grid.processes] if grid.processes > 1 else []
    options = [*sets, *initial, "--seed", training.seed, *nj, "--device", device]
    return ["train", *options, str(system.config), training.data.data]


def _placed(text: str, models: Mapping[str, Path]) -> str:
    """`PART=SYSTEM` as `PART=MODEL`, the model directory in place of the system."""
    part, equals, name = text.rpartition("=")
    return f"{part}{equals}{models[name]}"


def refuse_changed_code(entries: tuple[str, ...], folder: Path) -> None:
    """Raises CscError where the package's source is another one than when the keys were made."""
    from csc_cli.experiment.cell import code_identity

    if keys.code_digest(entries) != code_identity(entries):
        raise CscError(f"{folder}: the code of csc changed while this ran; what is there proves nothing: run it again")


def proofs(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    return {name: sha256(folder / name) for name in names}


def check_done(training: Training) -> None:
    """Raises DataError where a model lacks its log, history or weights, or has others than those of its training."""
    check_proofs(training.folder, read_json(training.folder / DONE).get("sha256", {}), PROVED)


def check_proofs(folder: Path, said: dict[str, str], names: tuple[str, ...]) -> None:
    """Raises DataError: a file that proves a result is not there, is another one, or was never named."""
    for name in names:
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path}: is gone, and without it the result proves nothing; remove {folder} and run again")
        if said.get(name) != sha256(path):
            raise DataError(f"{path}: is not what it was when the result was written; remove {folder} and run again")


def is_done(training: Training) -> bool:
    return (training.folder / DONE).exists()


def cost(training: Training) -> dict[str, Any]:
    """Steps, minutes of optimiser steps and MACs of a training that is done."""
    facts = read_json(training.folder / "info.json")
    steps, seconds = trained(training.model / HISTORY)
    macs = size.macs_of_step(facts)
    return {
        "system": training.place.system, "steps": steps, "minutes": round(seconds / 60, 3),
        "macs": macs * steps,
    }  # fmt: skip


def trained(history: Path) -> tuple[int, float]:
    """Optimiser steps made so far, and their seconds, by train.jsonl; 0 where there is none."""
    rows = [row for row in read_history(history) if "seconds" in row]
    return (rows[-1]["step"], rows[-1]["seconds"]) if rows else (0, 0.0)
