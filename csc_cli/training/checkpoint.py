"""Checkpoints: everything that a training needs to go on exactly, written whole or not at all.

The random draws of a step are functions of (seed, step), so no generator's state is kept.
Files hold tensors and plain values only, and are read with `weights_only=True`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from csc_cli.errors import ConfigError, DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.datadir import DataDir
from csc_cli.training import identity

VERSION = 1
NAME = re.compile(r"step-(\d{8,})\.pt")
KEYS = {"version", "step", "settings", "identity", "learner", "optimiser", "parted", "seconds"}


def path_of(directory: Path, step: int) -> Path:
    return directory / f"step-{step:08d}.pt"


def save(directory: Path, step: int, state: dict[str, Any], kept: int = 2) -> Path:
    """Write the checkpoint of `step` and remove all but the newest `kept`."""
    target = path_of(directory, step)
    # To a file of Python's: torch's own does not say why it could not be written.
    with open_atomic(target, "wb") as stream:
        torch.save({"version": VERSION, "step": step, **state}, stream)
    for old in steps(directory)[:-kept]:
        path_of(directory, old).unlink(missing_ok=True)
    return target


def clear(directory: Path) -> None:
    """Remove what killed runs have left half-written."""
    for path in directory.glob(".tmp-*-step-*.pt"):
        path.unlink(missing_ok=True)


def steps(directory: Path) -> list[int]:
    """The steps whose checkpoints lie in `directory`, ascending."""
    names = (NAME.fullmatch(path.name) for path in directory.glob("step-*.pt"))
    return sorted(int(name[1]) for name in names if name)


def load_latest(
    directory: Path,
    settings: dict[str, Any],
    data: DataDir,
    surroundings: str = "",
    complete: Callable[[dict[str, Any]], dict[str, Any]] = lambda settings: settings,
) -> dict[str, Any] | None:
    """The newest checkpoint, or None where there is none.

    Args:
        settings: the resolved config; `data`: what is trained on; `surroundings`: their digest.
        complete: gives the checkpoint's settings the keys that csc did not have yet when it was written.

    Raises:
        ConfigError: it was made with other settings, other data or a newer version of csc.
        DataError: the file is damaged.
    """
    found = steps(directory)
    if not found:
        return None
    path = path_of(directory, found[-1])
    state = read(path)
    changed = differences(complete(state["settings"]), settings)
    if changed:
        raise ConfigError(f"{path}: was trained with other settings ({'; '.join(changed)}); use another EXP directory")
    if state["identity"] != identity.digest(data, surroundings):
        known = "utterances" in state  # not in those of older versions
        what = f" than those of {data.path} ({identity.difference(state['utterances'], data)})" if known else ""
        raise ConfigError(f"{path}: was trained on other data{what}; use another EXP directory")
    return state


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, read without running code.

    Raises:
        DataError: the file is damaged, or something else.
        ConfigError: it was made by a newer version of csc.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise DataError(f"{path}: damaged ({type(error).__name__}); remove it to go on from the one before") from error
    if not isinstance(state, dict) or not state.keys() >= KEYS:
        raise DataError(f"{path}: not a checkpoint of a training; remove it to go on from the one before")
    if state["version"] > VERSION:
        raise ConfigError(f"{path}: written by a newer csc (format {state['version']}); update csc")
    return state


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """The keys whose values differ: `part.key: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        parts = [differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else key) for key in keys]
        return [line for part in parts for line in part]
    return [] if old == new else [f"{prefix}: {old} -> {new}"]
