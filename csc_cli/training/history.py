"""`train.jsonl`: a line an interval, the source of all curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from csc_cli.files import open_atomic
from csc_cli.history import HISTORY, read_history
from csc_cli.training.board import Board
from csc_cli.training.examples import Draw, Examples


class History:
    """Appends rows to `train.jsonl` (and to TensorBoard) and drops those after a checkpoint at resume."""

    def __init__(self, directory: Path, step: int) -> None:
        """`step` is the number of steps done: later rows belong to a run that was cut off."""
        self.path = directory / HISTORY
        kept = [row for row in read_history(self.path) if row["step"] <= step]
        with open_atomic(self.path) as stream:
            stream.writelines(json.dumps(row) + "\n" for row in kept)
        self.stream = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)
        self.board = Board(directory / "tensorboard", step)
        self.shown = False

    def add(self, row: dict[str, Any]) -> None:
        """One line, flushed; numbers also become TensorBoard scalars."""
        self.stream.write(json.dumps(row) + "\n")
        self.stream.flush()
        scalars = {key: float(value) for key, value in row.items() if key != "step" and isinstance(value, int | float)}
        self.board.scalars(scalars, row["step"])

    def show(self, step: int, examples: Examples, draw: Draw | None) -> None:
        """Sounds and pictures for TensorBoard; what does not change, once a run."""
        sounds = examples.sounds if self.shown else {**examples.truth, **examples.sounds}
        self.shown = True
        for name, samples in sounds.items():
            self.board.sound(name, samples, examples.sample_rate, step)
        for name, pixels in draw(examples.arrays).items() if draw else ():
            self.board.picture(name, pixels, step)

    def close(self) -> None:
        try:
            self.stream.close()
        finally:
            self.board.close()
