"""What result files there are, and whether each is proved by its log, key and checksums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from csc_cli.errors import DataError
from csc_cli.experiment.cell import Cell, Impossible, siblings
from csc_cli.experiment.commands import read_json
from csc_cli.experiment.measure import Draws
from csc_cli.experiment.scoring import RESULT, read_result


@dataclass(frozen=True)
class State:
    """A cell and what is known of it; `result` and `draws` where it is there and proved."""

    cell: Cell | Impossible
    kind: Literal["there", "not run", "stale", "refused"]
    reason: str = ""
    result: dict[str, Any] | None = None
    draws: Draws | None = None

    @property
    def words(self) -> str:
        return f"{self.kind}: {self.reason}" if self.reason else self.kind


def state_of(cell: Cell | Impossible) -> State:
    """Read a cell's result file, if there is one under its key; say so where there is one under another key."""
    if isinstance(cell, Impossible):
        return State(cell, "not run", cell.reason)
    if not (cell.folder / RESULT).exists():
        stale = [folder for folder in siblings(cell.folder) if (folder / RESULT).exists()]
        return State(cell, "stale", other_key(cell, stale[-1])) if stale else State(cell, "not run")
    try:
        result = read_result(cell)
        if cell.key.differences(result.get("key", {})):
            raise DataError(f"{cell.folder / RESULT}: has another key than its folder; remove the folder and run again")
        return State(cell, "there", "", result, Draws.load(cell.folder / "draws.npz"))
    except DataError as error:
        return State(cell, "refused", str(error))


def other_key(cell: Cell, folder: Any) -> str:
    """Which parts of the key have changed since the result in `folder`."""
    try:
        changed = cell.key.differences(read_json(folder / RESULT)["key"])
    except (DataError, KeyError, TypeError):
        return "its result has no key"
    return "other " + ", ".join(changed)


def mean_draws(seeds: Sequence[Draws]) -> Draws:
    """The mean over seeds, draw by draw: what a system of the kind does on average."""
    first = seeds[0]
    means = {
        name: np.mean([getattr(draws, name) for draws in seeds], axis=0)
        for name in ("eer", "eer_threshold", "min_dcf", "eer_draws", "min_dcf_draws")
    }
    for name in ("eer_left_out", "min_dcf_left_out"):
        values = [getattr(draws, name) for draws in seeds]
        if all(value is not None for value in values):
            means[name] = np.mean(values, axis=0)
    return Draws(first.conditions, first.speakers, **means)
