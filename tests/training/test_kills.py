"""SIGKILL at any moment, a rerun, and the end is that of a training that was left alone, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from safetensors.torch import load_file

from csc_cli import progress
from csc_cli.nn.model import WEIGHTS
from csc_cli.training import checkpoint
from csc_cli.training.entry import train_model

pytestmark = pytest.mark.long

SETTINGS = (
    "optimiser.steps=6", "optimiser.ema=0.9", "tracking.checkpoint_every=1", "tracking.held_out_every=3",
    "tracking.log_every=2", "batch.held_out_mixtures=2",
)  # fmt: skip


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    """No trap."""


class Life:
    """Runs of one training, each in a process of its own that may be killed."""

    def __init__(self, conf: Path, data: Path, exp: Path, same: Callable[[Path, Path], None]) -> None:
        self.conf, self.data, self.exp, self.same = conf, data, exp, same
        self.newest = 0

    def begin(self) -> Life:
        """From nothing."""
        shutil.rmtree(self.exp, ignore_errors=True)
        self.newest = 0
        return self

    def start(self, trap: Callable[[], None] = nothing) -> Any:
        """A run in which `trap` is set; torch is loaded already, so that it begins at once."""

        def run() -> None:
            progress.set_quiet(True)
            trap()
            train_model(self.conf, self.data, self.exp, SETTINGS, device="cpu")
            os._exit(0)

        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        return process

    def run(self, trap: Callable[[], None] = nothing) -> bool:
        """Whether it came to its end; where it was killed, what it left is sound."""
        process = self.start(trap)
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL), "it must not fail by what a killed run left"
        self.look()
        return process.exitcode == 0

    def look(self) -> None:
        """All checkpoints are whole, the newest is not older than before, the model is whole where there is one."""
        folder = self.exp / "checkpoints"
        steps = checkpoint.steps(folder)
        for step in steps:
            assert checkpoint.read(checkpoint.path_of(folder, step))["step"] == step
        assert max(steps, default=0) >= self.newest, "the last good checkpoint is lost"
        self.newest = max(steps, default=0)
        if (self.exp / WEIGHTS).exists():
            assert load_file(self.exp / WEIGHTS)

    def assert_as(self, whole: Life) -> None:
        assert (self.exp / WEIGHTS).read_bytes() == (whole.exp / WEIGHTS).read_bytes()
        self.same(whole.exp, self.exp)
        assert not list(self.exp.rglob(".tmp-*-step-*")), "half-written checkpoints stay behind"


@pytest.fixture
def lives(
    tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path, assert_same_training: Callable[[Path, Path], None]
) -> tuple[Life, Life]:
    """A training that was left alone, and one that is not begun."""
    data = make_data_dir("data", speakers=6, utterances=3)
    whole, parts = (Life(tiny, data, tmp_path / name, assert_same_training) for name in ("whole", "parts"))
    assert whole.run()
    return whole, parts


def at_file_operation(count: int, exp: Path) -> Callable[[], None]:
    """A trap that kills before the `count`-th opening for writing, renaming or removing of a file of EXP."""
    left = [count]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename", "os.remove") or not str(arguments[0]).startswith(str(exp)):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left[0] -= 1
        if not left[0]:
            kill()

    return lambda: sys.addaudithook(watch)


def test_killed_before_each_file_operation_in_turn(lives: tuple[Life, Life]) -> None:
    whole, parts = lives
    for count in range(1, 500):
        if parts.begin().run(at_file_operation(count, parts.exp)):
            break
        assert parts.run()
        parts.assert_as(whole)
    assert count > 40, "a training of six checkpoints has more operations than that"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_killed_while_a_checkpoint_is_written(lives: tuple[Life, Life], share: float) -> None:
    whole, parts = lives
    parts.begin()
    save = torch.save

    def half(value: Any, stream: BinaryIO) -> None:
        save(value, stream)
        if value["step"] == step:
            stream.truncate(int(share * stream.tell()))
            kill()

    for step in range(1, 7):
        assert not parts.run(lambda: setattr(torch, "save", half))
        assert parts.newest == step - 1
    assert parts.run()
    parts.assert_as(whole)


def test_killed_at_many_random_moments(lives: tuple[Life, Life]) -> None:
    whole, parts = lives
    draw = random.Random(0)
    began = time.monotonic()
    assert parts.begin().run()
    longest = time.monotonic() - began
    kills = ends = 0
    parts.begin()
    while kills < 40:
        process = parts.start()
        process.join(draw.uniform(0, 0.8 * longest))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        parts.look()
        if process.exitcode == 0:
            parts.assert_as(whole)
            ends += 1
            parts.begin()
    assert parts.run()
    parts.assert_as(whole)
