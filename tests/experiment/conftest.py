"""A grid small enough for a test, whose commands run in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import click.testing
import pytest
import torch

from csc_cli.errors import CscError
from csc_cli.experiment import budget, cell, commands, report, run

CONFIG = """\
model:
  sample_rate: 8000
  encoder:
    filterbank: {window: 64, hop: 32}
    galr: {features: 8, hidden: 8, chunk: 10, chunk_hop: 10, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    embedding: 8
  readout_heads: 2
mixtures: {crop_s: 0.5}
batch: {utterances: 4, conditions: 1, held_out: 0.34, held_out_mixtures: 4}
optimiser: {steps: 1000, warmup: 2, precision: float32}
tracking: {log_every: 2, held_out_every: 1000, checkpoint_every: 1000}
"""
GRID = """\
out: exp
training: [{name: six, data: train}]
trials:
  - {name: dev, folder: trials}
budgets: [{name: short, minutes: 0.01}]
bootstrap: 50
probe: {warmup: 1, steps: 1}
systems:
  - {name: csc, config: tiny.yaml}
"""


class Inline:
    """A pool of threads that does all at once, in this thread."""

    def __init__(self, _jobs: int) -> None:
        pass

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Callable[..., None], *arguments: Any) -> Future[None]:
        future: Future[None] = Future()
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """csc's commands run in this process; the list gets each as it is typed."""
    from csc_cli.cli.main import main

    shown: list[str] = []

    def call(
        self: commands.Commands, folder: Path, command: Sequence[str], text: str, output: Path | None = None
    ) -> None:
        shown.append(text)
        result = click.testing.CliRunner().invoke(main, list(command[3:]))
        with open(folder / "log", "a") as log:
            log.write(f"$ {text}\n{result.stderr}{'' if output else result.stdout}")
        if output:
            output.write_text(result.stdout)
        if result.exit_code:
            raise CscError(f"{text}: {result.output}")

    monkeypatch.setattr(commands.Commands, "run", call)
    monkeypatch.setattr(run, "ThreadPoolExecutor", Inline)
    # Pictures take most of the time; those of a comparison have tests of their own.
    for name in ("curves.plot_curves", "detection.plot_detection"):
        monkeypatch.setattr(f"csc_cli.plots.{name}", lambda *_, **__: [])
    for name in ("plot_sir", "plot_course"):
        monkeypatch.setattr(report, name, lambda *_: None)
    # Steps do not depend on how busy the machine is.
    monkeypatch.setattr(budget, "time_a_step", lambda *_: 0.1)
    return shown


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """One thread, and nothing kept of an earlier call: each call of the tests stands for a command of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    forget()


def forget() -> None:
    for kept in (cell.data_identity, cell.trials_identity, cell.code_identity):
        kept.cache_clear()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_data_dir: Callable[..., Path], csc: Any) -> Path:
    """A working folder with train, trials, tiny.yaml and grid.yaml."""
    monkeypatch.chdir(tmp_path)
    make_data_dir("train", speakers=6, utterances=3)
    make_data_dir("others", speakers=4, utterances=3, seed=5)
    csc("trials", "--quiet", "--set", "enrollment=1", "--set", "tests=1", "--set", "sir_db=[0]", "others", "trials")
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    (tmp_path / "grid.yaml").write_text(GRID)
    return tmp_path


@pytest.fixture
def experiment(place: Path, csc: Callable[..., click.testing.Result]) -> Callable[..., click.testing.Result]:
    """`csc experiment grid.yaml` on the CPU, as a command of its own."""

    def call(*options: object, status: int = 0) -> click.testing.Result:
        forget()
        result = csc("experiment", "--device", "cpu", *options, "grid.yaml", status=status)
        assert "Traceback" not in result.output
        return result

    return call
