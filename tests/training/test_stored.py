"""L_inv against a plain loop over the rows, its gradients, and when rows move."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch.nn import functional

from csc_cli.training.config import TrainConfig
from csc_cli.training.streams import mean_of_segments
from tests.training.losses import ROWS, forward, make_batch, make_learner, nats, unit


@pytest.mark.parametrize("visited", [3, 4, ROWS])
def test_stored_loss_is_a_loop_over_the_visited_rows(config: Callable[..., TrainConfig], visited: int) -> None:
    learner = make_learner(config("inventory.rows=attended"), visited)
    generator = torch.Generator().manual_seed(1)
    z = unit(torch.randn(4, 2, 8, generator=generator))
    segments = torch.randn(4, 2, 5, 8, generator=generator)
    mask = torch.rand(4, 5, generator=generator) < 0.7
    labels = make_batch().labels
    cost, each = learner.stored_costs(z, segments, labels, None)
    spread = mean_of_segments(each, mask, torch.tensor([[0, 1]]).expand(4, -1)).detach()
    rows = learner.inventory.unit()[:visited]
    alpha = float(learner.temperature().detach())
    for b, reference in itertools.product(range(4), range(2)):
        own = int(labels[b, reference])
        known = 0 <= own < visited
        for estimate in range(2):
            expected = nats(z[b, estimate], rows, own, alpha) if known else 0.0
            assert float(cost[b, estimate, reference].detach()) == pytest.approx(expected, abs=1e-4)
        losses = [nats(unit(segments[b, reference, s]), rows, own, alpha) for s in range(5) if mask[b, s] and known]
        assert float(spread[b, reference]) == pytest.approx(sum(losses) / max(1, int(mask[b].sum())), abs=1e-4)


def test_gradients_of_the_stored_losses_numerically(config: Callable[..., TrainConfig]) -> None:
    learner = make_learner(config("inventory.rows=attended"), 4).double()
    labels = make_batch().labels
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(4, 2, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    segments = torch.randn(4, 2, 2, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True], [True, False], [True, True], [False, True]])
    speakers = torch.tensor([[0, 1], [1, 0], [1, 0], [0, 1]])

    def losses(z: torch.Tensor, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored, each = learner.stored_costs(functional.normalize(z, dim=-1), segments, labels, None)
        return stored, mean_of_segments(each, mask, speakers)

    assert torch.autograd.gradcheck(losses, (z, segments))


def test_loss_of_attended_rows_uses_them_as_stored_before_the_step(config: Callable[..., TrainConfig]) -> None:
    learner, batch = make_learner(config("inventory.rows=attended")).eval(), make_batch()
    before = learner.inventory.unit().clone()
    first = forward(learner, batch).figures["inventory"]
    torch.testing.assert_close(learner.inventory.unit(), before)
    learner.update_inventory()
    assert not torch.allclose(learner.inventory.unit()[[0, 3, 5]], before[[0, 3, 5]])
    torch.testing.assert_close(learner.inventory.unit()[[1, 2, 4, 6]], before[[1, 2, 4, 6]])
    assert float(forward(learner, batch).figures["inventory"]) != pytest.approx(float(first), abs=1e-4)


def test_learned_rows_are_trained_by_the_stored_loss_alone(config: Callable[..., TrainConfig]) -> None:
    learner, batch = make_learner(config("objective.contrastive_weight=0")), make_batch()
    forward(learner, batch).total.backward()
    assert not learner.inventory.vectors.grad.any()
    learner = make_learner(config("objective.batch_weight=5"))
    forward(learner, batch).total.backward()
    assert learner.inventory.vectors.grad.any()
