"""Rows of the inventory: learned ones stay, attended ones follow, unvisited ones take no part."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from csc_cli.errors import ConfigError
from csc_cli.nn.inventory import Inventory, InventoryConfig


def unit(seed: int, *shape: int) -> torch.Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def attended(momentum: float) -> Inventory:
    torch.manual_seed(0)
    return Inventory(InventoryConfig(rows="attended", momentum=momentum), 5, 4)


def test_first_visit_takes_the_vector_and_later_ones_follow_with_momentum() -> None:
    inventory, g = attended(0.75), unit(1, 3, 4)
    before = inventory.unit().clone()
    inventory.update(torch.tensor([3, -1]), g[:2])
    assert inventory.visited.tolist() == [False, False, False, True, False]
    torch.testing.assert_close(inventory.unit()[3], g[0])
    torch.testing.assert_close(inventory.unit()[[0, 1, 2, 4]], before[[0, 1, 2, 4]])
    inventory.update(torch.tensor([3]), g[2:])
    torch.testing.assert_close(inventory.unit()[3], functional.normalize(0.75 * g[0] + 0.25 * g[2], dim=0))


def test_without_momentum_the_row_is_replaced() -> None:
    inventory, g = attended(0.0), unit(2, 2, 4)
    inventory.update(torch.tensor([1]), g[:1])
    inventory.update(torch.tensor([1]), g[1:])
    torch.testing.assert_close(inventory.unit()[1], g[1])


def test_several_vectors_of_a_row_are_averaged_whatever_their_order() -> None:
    g = unit(3, 4, 4)
    results = []
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        inventory = attended(0.5)
        inventory.update(torch.tensor([2, 0, 2, 2])[order], g[order])
        results.append(inventory.unit())
    torch.testing.assert_close(results[0][2], functional.normalize(g[0] + g[2] + g[3], dim=0))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("visited_before", [False, True])
def test_a_stream_without_a_global_vector_moves_no_row(visited_before: bool) -> None:
    """A speaker heard in one mixture alone has no g (zeros): its row must not become it."""
    inventory, g = attended(0.0), unit(4, 1, 4)
    if visited_before:
        inventory.update(torch.tensor([1]), g)
    inventory.update(torch.tensor([1, 2]), torch.stack([torch.zeros(4), g[0]]))
    assert inventory.visited.tolist() == [False, visited_before, True, False, False]
    assert inventory.unit().norm(dim=1).tolist() == pytest.approx([1.0] * 5)
    if visited_before:
        torch.testing.assert_close(inventory.unit()[1], g[0])


def test_update_carries_no_gradient_and_attended_rows_ask_for_none() -> None:
    inventory, g = attended(0.5), unit(5, 1, 4).requires_grad_()
    inventory.update(torch.tensor([0]), g)
    assert not inventory.vectors.requires_grad and not inventory.unit().requires_grad


def test_learned_rows_are_moved_by_gradient_alone() -> None:
    torch.manual_seed(0)
    inventory = Inventory(InventoryConfig(), 5, 4)
    before = inventory.vectors.detach().clone()
    inventory.update(torch.tensor([0]), unit(6, 1, 4))
    assert torch.equal(inventory.vectors, before) and inventory.visited.all() and inventory.vectors.requires_grad


@pytest.mark.parametrize("momentum", [1.0, -0.1])
def test_impossible_momentum_is_refused(momentum: float) -> None:
    with pytest.raises(ConfigError, match="momentum"):
        InventoryConfig(momentum=momentum)
