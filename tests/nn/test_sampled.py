"""k sampled negatives: which are drawn, and the loss against a float64 loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.sampled import draw_negatives, sampled_loss
from csc_cli.nn.streamed import inventory_loss


def draw(unit: bool) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    rows = torch.randn(11, 4, generator=generator, dtype=torch.float64)
    vectors = functional.normalize(vectors, dim=-1) if unit else vectors
    candidates = torch.tensor([[0, 3], [3, 5], [10, 10], [7, 2], [4, 9]])
    return vectors.requires_grad_(), rows.requires_grad_(), torch.tensor(1.7).double().requires_grad_(), candidates


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("count", [1, 3, 10])
def test_loss_is_a_loop_over_the_own_row_and_k_others(unit: bool, count: int) -> None:
    vectors, rows, alpha, candidates = draw(unit)
    drawn = draw_negatives(torch.ones(11, dtype=torch.bool), count, torch.Generator().manual_seed(1))
    found = sampled_loss(vectors, rows, alpha, candidates, drawn, count, unit)
    for a in range(5):
        for k in range(2):
            own = int(candidates[a, k])
            others = [n for n in drawn.tolist() if n != own][:count]
            assert len(others) == count
            f = {}
            for n in {own, *others}:
                row = rows[n] / rows[n].norm() if unit else rows[n]
                f[n] = math.exp(-1.7 * float((vectors[a] - row).detach().square().sum()))
            assert float(found[a, k].detach()) == pytest.approx(-math.log(f[own] / sum(f.values())), abs=1e-6)


@pytest.mark.parametrize("count", [10, 11, 500])
def test_as_many_negatives_as_there_are_is_the_whole_inventory(count: int) -> None:
    vectors, rows, alpha, candidates = draw(True)
    valid = torch.ones(11, dtype=torch.bool)
    drawn = draw_negatives(valid, count, torch.Generator().manual_seed(2))
    one = sampled_loss(vectors, rows, alpha, candidates, drawn, count)
    two = inventory_loss(vectors, rows, alpha, candidates)
    torch.testing.assert_close(one, two)
    inputs = (vectors, rows, alpha)
    torch.testing.assert_close(torch.autograd.grad(one.sum(), inputs), torch.autograd.grad(two.sum(), inputs))


def test_gradients_numerically() -> None:
    vectors, rows, alpha, candidates = draw(False)
    drawn = torch.tensor([3, 1, 8, 10])
    assert torch.autograd.gradcheck(lambda *x: sampled_loss(*x, candidates, drawn, 3, False), (vectors, rows, alpha))
    gradient = torch.autograd.grad(sampled_loss(vectors[:1], rows, alpha, candidates[:1], drawn, 3).sum(), rows)[0]
    assert {n for n in range(11) if gradient[n].any()} == {0, 3, 1, 8, 10}, "no other row is touched"


def test_negatives_are_visited_rows_drawn_alike_often_and_by_the_generator_alone() -> None:
    valid = torch.arange(10) != 4
    counts = torch.zeros(10)
    for seed in range(600):
        drawn = draw_negatives(valid, 2, torch.Generator().manual_seed(seed))
        assert len(set(drawn.tolist())) == 3
        assert torch.equal(drawn, draw_negatives(valid, 2, torch.Generator().manual_seed(seed)))
        counts[drawn] += 1
    assert counts[4] == 0
    assert counts[valid].min() > 150 and counts[valid].max() < 250  # 200 are expected
