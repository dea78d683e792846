"""Gradient accumulation: what a step of several batches is, in terms of steps of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from csc_cli.errors import ConfigError
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Learner
from csc_cli.training.trainer import Trainer

Make = Callable[..., Trainer]
EXACT = ("optimiser.precision=float64", "objective.regulariser_weight=0.3", "objective.guide_until=0.5")


def gradients(trainer: Trainer, run: Callable[[], object]) -> dict[str, Tensor]:
    """What `run` hands to the optimiser, before clipping; nothing is updated."""
    found: dict[str, Tensor] = {}
    clip = torch.nn.utils.clip_grad_norm_

    def look(parameters: object, norm: float) -> Tensor:
        named = trainer.learner.named_parameters()
        found.update({name: p.grad.clone() for name, p in named if p.grad is not None})
        return clip(parameters, norm)

    torch.nn.utils.clip_grad_norm_ = look
    try:
        run()
    finally:
        torch.nn.utils.clip_grad_norm_ = clip
    return found


def test_gradient_is_the_mean_of_its_batches(make_trainer: Make) -> None:
    """By autograd on each batch of its own, at the same weights."""
    trainer, alone = make_trainer("batch.accumulate=3", *EXACT), make_trainer(*EXACT, name="alone")
    expected: dict[str, Tensor] = {}
    losses = []
    for index in range(3, 6):  # of step 1
        alone.learner.train()
        part = alone.stepper.losses(alone.batches[index], index, 1)
        alone.learner.zero_grad()
        part.total.backward()
        losses.append(part.total.item())
        for name, p in alone.learner.named_parameters():
            if p.grad is not None:
                expected[name] = expected.get(name, 0) + p.grad / 3
    trainer.step = 1
    figures: dict[str, float] = {}
    found = gradients(trainer, lambda: figures.update(trainer.update(trainer.parts(1))))
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-12, msg=name)
    assert figures["loss"] == pytest.approx(sum(losses) / 3, rel=1e-12)


def together(batches: list[MixtureBatch]) -> MixtureBatch:
    tensors = [torch.cat(parts) for parts in zip(*(batch[:4] for batch in batches), strict=True)]
    return MixtureBatch(*tensors, tuple(name for batch in batches for name in batch.ids))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_all_but_the_batch_loss_and_the_batch_statistics_is_as_in_one_large_batch(
    make_trainer: Make, weight: float
) -> None:
    """L_inv and the separation decompose over mixtures, L_batch does not: with it the gradient is another one."""
    settings = (*EXACT, "objective.guide_until=0", f"objective.batch_weight={weight}")
    settings = (*settings, "optimiser.frozen=[encoder.standardise]", "optimiser.clip=1e9")
    two = make_trainer("batch.accumulate=2", *settings)
    large = make_trainer(*settings, name="large")
    parts = two.parts(0)
    found = gradients(two, lambda: two.update(parts))
    expected = gradients(large, lambda: large.update([together(parts)]))
    same = all(torch.allclose(found[name], expected[name], rtol=1e-9, atol=1e-10) for name in expected)
    assert same == (weight == 0)


def test_attended_rows_follow_all_batches_of_a_step_at_once(make_trainer: Make) -> None:
    trainer = make_trainer("batch.accumulate=2", "inventory.rows=attended")
    parts = trainer.parts(0)
    kept: list[tuple[Tensor, Tensor]] = []
    assert isinstance(trainer.learner, Learner)
    update = trainer.learner.inventory.update
    trainer.learner.inventory.update = lambda *one: (kept.append(one), update(*one))[1]  # type: ignore[method-assign]
    trainer.update(parts)
    assert len(kept) == 1 and len(kept[0][0]) == sum(part.labels.numel() for part in parts)
    seen = {int(label) for part in parts for label in part.labels.flatten() if label >= 0}
    assert {int(row) for row in trainer.learner.inventory.visited.nonzero()} == seen
    assert trainer.learner.pending == []


def test_a_step_takes_the_next_batches_and_workers_change_nothing(make_trainer: Make) -> None:
    seen: list[tuple[str, ...]] = []
    ends = []
    for name, workers in (("here", 0), ("beside", 2)):
        trainer = make_trainer("batch.accumulate=2", "optimiser.steps=4", name=name)
        trainer.workers = workers
        update = trainer.update

        def watch(parts: list[MixtureBatch], update: Callable = update) -> dict[str, float]:
            seen.extend(tuple(part.ids) for part in parts)
            return update(parts)

        trainer.update = watch  # type: ignore[method-assign]
        trainer.run()
        ends.append(trainer.learner.state_dict())
    assert len(seen) == 16 and seen[:8] == seen[8:]
    trainer.batches.parted = False  # as it was until step 3
    assert [trainer.batches[index].ids for index in range(6)] == seen[:6]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_step_with_a_bad_part_is_passed_over_as_a_whole(make_trainer: Make, capsys: pytest.CaptureFixture) -> None:
    trainer = make_trainer("batch.accumulate=2", "inventory.rows=attended")
    before = {name: tensor.clone() for name, tensor in trainer.learner.state_dict().items()}
    good, bad = trainer.parts(0)
    assert trainer.update([good, bad._replace(mixture=bad.mixture * float("nan"))]) == {}
    assert "passed over (1 of 3)" in capsys.readouterr().err
    for name, tensor in trainer.learner.state_dict().items():
        assert torch.equal(before[name], tensor), name
    assert trainer.learner.pending == []


def test_no_batch_at_all_is_refused(config: Callable[..., TrainConfig], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accumulate=0"):
        config("batch.accumulate=0")
