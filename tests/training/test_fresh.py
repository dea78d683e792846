"""L_batch against a plain loop over the fresh global vectors, and its gradients numerically."""

from __future__ import annotations

import math

import pytest
import torch

from csc_cli.training.config import ObjectiveConfig
from csc_cli.training.fresh import fresh_loss
from tests.training.losses import Spy

LABELS = torch.tensor([[0, 3], [3, 5], [5, 0], [6, -1]])  # 6 speaks in one mixture alone: no g^{-m} of its own


def draw_fresh(labels: torch.Tensor, **settings: bool) -> tuple[Spy, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    spy = Spy(6, 2).double()
    queries, segments = torch.randn(*labels.shape, 6).double(), torch.randn(*labels.shape, 3, 6).double()
    mask = torch.tensor([[True, True, True], [True, False, True], [True, True, False], [False, True, True]])
    return spy, queries.requires_grad_(), segments.requires_grad_(), mask


def test_batch_loss_is_a_loop_over_the_fresh_vectors() -> None:
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha, choice = torch.tensor(3.0, dtype=torch.float64), torch.Generator().manual_seed(0)
    loss, own = fresh_loss(spy, queries, segments, mask, LABELS, alpha, choice, ObjectiveConfig())
    names = [0, 3, 5, 6]
    for anchor in range(8):
        label = int(LABELS.flatten()[anchor])
        place = names.index(label) if label >= 0 else -1
        have = [j for j in range(4) if spy.groups[anchor, j].any()]
        if place not in have:
            assert float(loss.flatten()[anchor]) == 0
            assert not own[anchor].any()
            continue
        m = anchor // 2
        z = spy(queries[m, anchor % 2], segments[m, anchor % 2], mask[m]).vectors
        f = {j: math.exp(-3 * float((z - spy.seen.vectors[anchor, j]).detach().square().sum())) for j in have}
        assert float(loss.flatten()[anchor]) == pytest.approx(-math.log(f[place] / sum(f.values())), abs=1e-6)
        torch.testing.assert_close(own[anchor], spy.seen.vectors[anchor, place])
    assert sum(float(value) > 0 for value in loss.flatten()) == 6


def test_batch_loss_reaches_both_sides() -> None:
    """Gradient to the anchor's own segments (through z) and to other mixtures' (through g)."""
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha = torch.tensor(3.0, dtype=torch.float64)
    args = (mask, LABELS, alpha, torch.Generator().manual_seed(0), ObjectiveConfig())
    loss, _ = fresh_loss(spy, queries, segments, *args)
    gradient = torch.autograd.grad(loss[0, 0], segments)[0]
    assert gradient[0, 0].any() and gradient[1:3].any()
    assert not gradient[0, 1].any(), "the other talker of the own mixture is no key"


def test_gradients_of_the_batch_loss_numerically() -> None:
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)

    def loss(queries: torch.Tensor, segments: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        choice = torch.Generator().manual_seed(0)
        return fresh_loss(spy, queries, segments, mask, LABELS, alpha, choice, ObjectiveConfig())[0]

    assert torch.autograd.gradcheck(loss, (queries, segments, alpha))
