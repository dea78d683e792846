"""The search for the permutation against trying all of them by hand."""

from __future__ import annotations

import itertools

import pytest
import torch

from csc_cli.nn.pit import assign, best_permutation


@pytest.mark.parametrize("streams", [1, 2, 3, 4])
def test_best_permutation_is_the_cheapest_of_all(streams: int) -> None:
    cost = torch.randn(50, streams, streams, generator=torch.Generator().manual_seed(streams), dtype=torch.float64)
    found = best_permutation(cost)
    for b in range(50):
        totals = {
            order: sum(float(cost[b, estimate, reference]) for reference, estimate in enumerate(order))
            for order in itertools.permutations(range(streams))
        }
        assert tuple(found[b].tolist()) == min(totals, key=totals.__getitem__)


def test_permuted_streams_come_back_in_the_order_of_the_references() -> None:
    generator = torch.Generator().manual_seed(0)
    references = torch.randn(20, 3, 5, 7, generator=generator)
    orders = torch.stack([torch.randperm(3, generator=generator) for _ in range(20)])
    estimates = torch.stack([reference[order] for reference, order in zip(references, orders, strict=True)])
    cost = (estimates[:, :, None] - references[:, None]).square().sum((3, 4))
    assert torch.equal(assign(estimates, best_permutation(cost)), references)


def test_no_gradient_through_the_choice_and_the_right_one_through_the_streams() -> None:
    values = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    cost = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]], requires_grad=True)
    picked = assign(values, best_permutation(cost))
    picked[:, 0].sum().backward()
    assert cost.grad is None
    assert values.grad[:, :, 0].tolist() == [[0, 1], [1, 0]]
