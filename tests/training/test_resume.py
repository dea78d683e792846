"""A training that is stopped and run again ends with the very weights of one that was not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from csc_cli.nn.model import load_model
from csc_cli.training import checkpoint
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.interrupt import Interrupted
from csc_cli.training.trainer import Trainer

Same = Callable[[Path, Path], None]
SETTINGS = ("objective.guide_until=0.6", "mixtures.noise.probability=1", "model.encoder.galr.dropout=0.1")


@pytest.mark.parametrize("rows", ["learned", "attended"])
def test_stopped_after_any_step_and_run_again(
    make_trainer: Callable[..., Trainer], assert_same_training: Same, rows: str
) -> None:
    """Stopped after each step in turn: before and at lines of the history, held-out steps, the curriculum's end."""
    settings = (*SETTINGS, f"inventory.rows={rows}")
    whole = make_trainer(*settings, name="whole")
    whole.run()
    assert whole.batches.parted, "the stops must also lie on both sides of the curriculum's end"
    stops = 0
    for _ in range(20):
        trainer = make_trainer(*settings, name="parts")
        update = trainer.update

        def stop(batch: MixtureBatch, trainer: Trainer = trainer, update: Callable = update) -> dict[str, float]:
            signal.raise_signal(signal.SIGTERM)
            return update(batch)

        trainer.update = stop  # type: ignore[method-assign]
        try:
            trainer.run()
            break
        except Interrupted as error:
            stops += 1
            assert f"step {stops} of 8" in str(error)
    assert stops == 7
    assert_same_training(whole.directory, trainer.directory)


def test_killed_between_checkpoints_and_run_again(
    make_trainer: Callable[..., Trainer], assert_same_training: Same
) -> None:
    """As with kill -9 or a power failure: the steps after the last checkpoint are done again."""
    whole, parts = make_trainer(*SETTINGS, name="whole"), make_trainer(*SETTINGS, name="parts")
    whole.run()
    update = parts.update

    def fail(batch: MixtureBatch) -> dict[str, float]:
        if parts.step == 6:
            raise KeyboardInterrupt
        return update(batch)

    parts.update = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        parts.run()
    assert checkpoint.steps(parts.directory / "checkpoints") == [4]
    assert "trained 4 of 8 steps" in make_trainer(*SETTINGS, name="parts").run()
    assert_same_training(whole.directory, parts.directory)


def test_a_training_that_is_done_is_left_as_it_is(
    make_trainer: Callable[..., Trainer], assert_same_training: Same
) -> None:
    trainer = make_trainer()
    trainer.run()
    before = trainer.directory.with_name("before")
    shutil.copytree(trainer.directory, before)
    assert "trained 0 of 8 steps" in make_trainer().run()
    assert_same_training(before, trainer.directory)


def test_handlers_of_signals_are_given_back(make_trainer: Callable[..., Trainer]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    make_trainer("optimiser.steps=1").run()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_workers_change_nothing(make_trainer: Callable[..., Trainer], assert_same_training: Same) -> None:
    one, two = make_trainer(name="one"), make_trainer(name="two")
    two.workers = 1
    one.run()
    two.run()
    assert_same_training(one.directory, two.directory)


def test_first_and_last_model_can_be_loaded(make_trainer: Callable[..., Trainer]) -> None:
    untrained = make_trainer("optimiser.steps=0", name="untrained")
    assert "trained 0 of 0 steps" in untrained.run()
    trained = make_trainer(name="trained")
    trained.run()
    first, last = load_model(untrained.directory), load_model(trained.directory)
    names = {path.name for path in trained.directory.iterdir()}
    assert names == {"model.safetensors", "config.yaml", "train.jsonl", "checkpoints", "tensorboard"}
    assert not torch.equal(first.encoder.bottleneck[0].weight, last.encoder.bottleneck[0].weight)
    x, lengths = torch.randn(1, 4000), torch.tensor([4000])
    with torch.no_grad():
        trained.learner.eval()
        torch.testing.assert_close(last(x, lengths).segments, trained.learner.model(x, lengths).segments)


@pytest.fixture
def train(tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start `csc train` on the tiny config in a process (group) of its own."""
    data = make_data_dir("data", speakers=6, utterances=3)
    started: list[subprocess.Popen] = []

    def start(name: str, *options: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "csc_cli.cli.main", "train", str(tiny), str(data), str(tmp_path / name)]
        process = subprocess.Popen(
            [*command, "--device", "cpu", *options], text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_steps(directory: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (directory / "train.jsonl").is_file() and (directory / "train.jsonl").stat().st_size:
            return
        time.sleep(0.05)
    raise AssertionError(f"no step was done: {process.communicate()}")


LONGER = ("--set", "optimiser.steps=400", "--set", "tracking.held_out_every=400")


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGINT, ("--workers", "1"))]
)
def test_signal_saves_a_checkpoint_and_ends_in_one_line(
    train: Callable[..., subprocess.Popen], tmp_path: Path, number: int, options: tuple[str, ...]
) -> None:
    process = train("exp", *LONGER, *options)
    wait_for_steps(tmp_path / "exp", process)
    # Ctrl-C reaches the whole group of processes, `kill` the one.
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in err and "goes on from there" in err, err
    step = checkpoint.steps(tmp_path / "exp" / "checkpoints")[-1]
    assert f"stopped at step {step} of 400" in err and out == ""


@pytest.mark.long
def test_command_stopped_by_sigterm_and_rerun_equals_the_uninterrupted_one(
    train: Callable[..., subprocess.Popen], tmp_path: Path, assert_same_training: Same
) -> None:
    steps = ("--set", "optimiser.steps=60", "--set", "tracking.held_out_every=7")
    whole = train("whole", *steps)
    process = train("parts", *steps)
    wait_for_steps(tmp_path / "parts", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 1, "it was done before the signal came: give it more steps"
    again = train("parts", *steps)
    for one in (whole, again):
        assert one.communicate(timeout=300)[0].startswith("trained") and one.returncode == 0
    assert_same_training(tmp_path / "whole", tmp_path / "parts")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
