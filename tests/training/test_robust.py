"""When something goes wrong in a training: what is passed over, what is said, what stays whole."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from csc_cli.errors import CscError, DataError
from csc_cli.nn.model import load_model
from csc_cli.training import checkpoint
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.ema import MovingAverage
from csc_cli.training.interrupt import Interrupted
from csc_cli.training.memory import explain, is_full
from csc_cli.training.objective import Losses
from csc_cli.training.trainer import Trainer

Make = Callable[..., Trainer]


def spoil(trainer: Trainer, steps: set[int]) -> None:
    """Make the loss of these steps not a number."""
    forward = trainer.learner.forward

    def spoiled(*arguments: object, **more: object) -> Losses:
        losses = forward(*arguments, **more)
        return losses._replace(total=losses.total * float("nan")) if trainer.step in steps else losses

    trainer.learner.forward = spoiled  # type: ignore[method-assign]


def test_step_that_is_not_finite_is_passed_over_and_named(make_trainer: Make, capsys: pytest.CaptureFixture) -> None:
    trainer = make_trainer("batch.accumulate=2")
    before: list[dict[str, torch.Tensor]] = []
    names: list[str] = []
    update = trainer.update

    def watch(parts: list[MixtureBatch]) -> dict[str, float]:
        if trainer.step == 5:
            before.append({name: p.detach().clone() for name, p in trainer.learner.named_parameters()})
            names.extend(name for part in parts for name in part.ids)
        figures = update(parts)
        if trainer.step == 5:
            assert figures == {}
            assert all(torch.equal(p, before[0][name]) for name, p in trainer.learner.named_parameters())
        return figures

    trainer.update = watch  # type: ignore[method-assign]
    spoil(trainer, {5})
    assert "trained 8 of 8 steps" in trainer.run()
    said = capsys.readouterr().err
    assert "step 5: the loss is nan" in said and "passed over (1 of 3)" in said
    assert (
        f"from the mixtures {', '.join(names)}; passed over" in said and len(names) == 2 * trainer.config.batch.mixtures
    )
    assert len(before) == 1
    assert all(torch.isfinite(tensor).all() for tensor in load_model(trainer.directory).state_dict().values())


def test_once_too_often_ends_the_training_with_a_whole_checkpoint(make_trainer: Make) -> None:
    trainer = make_trainer("optimiser.skipped=1")
    spoil(trainer, {5, 7})
    with pytest.raises(DataError, match=r"step 7: the loss is nan.*step 2 of the kind, the last checkpoint is whole"):
        trainer.run()
    assert checkpoint.steps(trainer.directory / "checkpoints") == [4]
    again = make_trainer("optimiser.skipped=1")
    spoil(again, {7})
    assert "trained 4 of 8 steps" in again.run()


def test_what_was_passed_over_is_remembered(make_trainer: Make) -> None:
    first = make_trainer("optimiser.skipped=1", "optimiser.steps=8")
    spoil(first, {2, 6})
    with pytest.raises(DataError):
        first.run()
    again = make_trainer("optimiser.skipped=1", "optimiser.steps=8")
    spoil(again, {6})
    with pytest.raises(DataError, match="step 2 of the kind"):
        again.run()


def test_moving_average_is_the_formula(make_model_dir: Callable[..., Path]) -> None:
    model = load_model(make_model_dir())
    average, name = MovingAverage(model, 0.9), "encoder.speaker_out.weight"
    weight = model.state_dict()[name]
    expected = None
    for step in range(40):
        with torch.no_grad():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(step)))
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        own = weight.double().clone()
        expected = own if expected is None else decay * expected + (1 - decay) * own
    last = weight.clone()
    with average.applied():
        torch.testing.assert_close(model.state_dict()[name].double(), expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(model.state_dict()[name], last)


def test_the_average_is_what_is_kept_and_resumes_exactly(make_trainer: Make, tmp_path: Path) -> None:
    whole, parts = make_trainer("optimiser.ema=0.5", name="whole"), make_trainer("optimiser.ema=0.5", name="parts")
    whole.run()
    update = parts.update

    def stop(batch: MixtureBatch) -> dict[str, float]:
        if parts.step == 3:
            signal.raise_signal(signal.SIGTERM)
        return update(batch)

    parts.update = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        parts.run()
    make_trainer("optimiser.ema=0.5", name="parts").run()
    kept, again = load_model(tmp_path / "whole").state_dict(), load_model(tmp_path / "parts").state_dict()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    own = whole.learner.model.state_dict()
    assert not torch.equal(own["encoder.speaker_out.weight"], kept["encoder.speaker_out.weight"])


def test_slurm_asks_for_an_end_by_usr1(make_trainer: Make) -> None:
    trainer = make_trainer()
    update = trainer.update

    def stop(batch: MixtureBatch) -> dict[str, float]:
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return update(batch)

    trainer.update = stop  # type: ignore[method-assign]
    with pytest.raises(Interrupted, match=r"stopped at step 3 of 8 \(SIGUSR1\); the same command goes on from there"):
        trainer.run()
    assert checkpoint.steps(trainer.directory / "checkpoints") == [3]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
    ],
)
def test_full_memory_says_what_to_lower(make_trainer: Make, error: BaseException) -> None:
    trainer = make_trainer("batch.utterances=6")

    def full(*_: object) -> Losses:
        raise error

    trainer.learner.forward = full  # type: ignore[method-assign]
    with pytest.raises(CscError, match=r"batch.utterances=6, conditions=1, crops of 0.5 s: set batch.utterances=4, or"):
        trainer.run()


def test_other_faults_are_not_taken_for_full_memory(config: Callable[..., TrainConfig]) -> None:
    assert not is_full(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    message = str(explain(MemoryError(), config("batch.utterances=6"), torch.device("cpu")))
    assert "mixtures.crop_s=0.25" in message
