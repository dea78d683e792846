"""The contrastive loss, its bound, and the regulariser against float64 loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.contrastive import (
    InverseTemperature,
    contrastive_loss,
    entropy,
    log_density_ratio,
)
from csc_cli.nn.regularise import nearest_neighbour_spread


def unit(seed: int, *shape: int) -> torch.Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return functional.normalize(x, dim=-1)


def test_density_ratio_is_of_the_squared_euclidean_distance() -> None:
    z, rows, alpha = unit(0, 5, 7), unit(1, 9, 7), torch.tensor(3.7, dtype=torch.float64)
    found = log_density_ratio(z, rows, alpha)
    for a in range(5):
        for n in range(9):
            distance = sum((float(z[a, e]) - float(rows[n, e])) ** 2 for e in range(7))
            assert float(found[a, n]) == pytest.approx(-3.7 * distance, abs=1e-12)


def test_loss_is_a_sum_over_the_whole_inventory() -> None:
    z, rows = unit(2, 6, 4), unit(3, 11, 4)
    logits = log_density_ratio(z, rows, torch.tensor(10.0, dtype=torch.float64))
    target = torch.tensor([0, 10, 3, -1, 5, 5])
    valid = torch.ones(11, dtype=torch.bool)
    valid[[1, 7]] = False
    found = contrastive_loss(logits, target, valid)
    for a in range(6):
        f = [math.exp(-10 * float((z[a] - rows[n]).square().sum())) for n in range(11)]
        total = sum(f[n] for n in range(11) if n not in (1, 7))
        expected = -math.log(f[int(target[a])] / total) if target[a] >= 0 else 0.0
        assert float(found[a]) == pytest.approx(expected, abs=1e-9)


def test_gradients_numerically() -> None:
    z, rows = unit(4, 3, 4).requires_grad_(), unit(5, 6, 4).requires_grad_()
    alpha = torch.tensor(2.0, dtype=torch.float64)
    target, valid = torch.tensor([2, -1, 5]), torch.tensor([True, False, True, True, True, True])

    def loss(z: torch.Tensor, rows: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(log_density_ratio(z, rows, alpha), target, valid)

    assert torch.autograd.gradcheck(loss, (z, rows, alpha.requires_grad_()))
    assert torch.autograd.gradcheck(nearest_neighbour_spread, (unit(6, 5, 3).requires_grad_(),))


def test_masked_anchor_whose_own_row_is_out_gives_no_nan() -> None:
    logits = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    valid = torch.tensor([False, True, True, True])
    loss = contrastive_loss(logits, torch.tensor([-1, 2]), valid)
    loss.sum().backward()
    assert float(loss[0].detach()) == 0 and torch.isfinite(loss).all() and torch.isfinite(logits.grad).all()
    assert not logits.grad[0].any() and not logits.grad[:, 0].any()


@pytest.mark.parametrize("counts", [[1, 1, 1, 1], [5, 0, 3], [7]])
def test_entropy_is_the_ceiling(counts: list[int]) -> None:
    expected = -sum(n / sum(counts) * math.log(n / sum(counts)) for n in counts if n)
    assert entropy(torch.tensor(counts)) == pytest.approx(expected)


def test_bound_of_a_known_channel_lies_under_its_true_information() -> None:
    """K of 4 values, z one of 4 rows, wrong with probability 0.3: I(z; K) is known in closed form."""
    generator = torch.Generator().manual_seed(1)
    rows, wrong = torch.eye(4, dtype=torch.float64), 0.3
    labels = torch.randint(4, (20000,), generator=generator)
    shift = (torch.rand(20000, generator=generator) < wrong) * torch.randint(1, 4, (20000,), generator=generator)
    z = rows[(labels + shift) % 4]
    truth = math.log(4) + (1 - wrong) * math.log(1 - wrong) + wrong * math.log(wrong / 3)
    bounds = {}
    for alpha in (0.5, 1.0, math.log(7) / 2, 2.0, 4.0):  # at log(7) / 2 the rows tell 0.7 : 0.1, the truth
        logits = log_density_ratio(z, rows, torch.tensor(alpha, dtype=torch.float64))
        bounds[alpha] = math.log(4) - float(contrastive_loss(logits, labels).mean())
    assert max(bounds.values()) <= truth + 0.02
    assert bounds[math.log(7) / 2] == pytest.approx(truth, abs=0.02)


def test_regulariser_is_minus_the_mean_log_distance_to_the_nearest() -> None:
    rows = unit(7, 8, 5)
    nearest = [min(float((rows[i] - rows[j]).norm()) for j in range(8) if j != i) for i in range(8)]
    assert float(nearest_neighbour_spread(rows)) == pytest.approx(-sum(map(math.log, nearest)) / 8, abs=1e-9)
    rows = torch.nn.Parameter(unit(8, 6, 3))
    before = float(nearest_neighbour_spread(rows).detach())
    nearest_neighbour_spread(rows).backward()
    assert float(nearest_neighbour_spread(functional.normalize(rows - 1e-3 * rows.grad, dim=-1))) < before
    equal = torch.ones(3, 2, requires_grad=True)
    nearest_neighbour_spread(functional.normalize(equal, dim=-1)).backward()
    assert torch.isfinite(equal.grad).all()


@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("chosen", [None, [3, 0, 11]])
def test_regulariser_in_blocks_is_that_of_all_distances(unit_length: bool, chosen: list[int] | None) -> None:
    rows = torch.randn(13, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64).requires_grad_()
    index = None if chosen is None else torch.tensor(chosen)
    stored = functional.normalize(rows, dim=-1) if unit_length else rows
    apart = torch.cdist(stored, stored) + 1e3 * torch.eye(13, dtype=torch.float64)
    expected = -apart.amin(1)[slice(None) if chosen is None else chosen].log().mean()
    for block in (1, 4, 13, 100):
        found = nearest_neighbour_spread(rows, index, unit_length, block)
        torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
        one, two = (torch.autograd.grad(x, rows, retain_graph=True)[0] for x in (found, expected))
        torch.testing.assert_close(one, two, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("start", "wanted"), [(1.0, +1), (100.0, -1)])
def test_alpha_at_a_limit_can_leave_it_again(start: float, wanted: int) -> None:
    temperature = InverseTemperature(start)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=0.05)
    for direction in (-wanted, wanted, wanted, wanted):  # first further out, where nothing may move
        (-direction * temperature().log()).backward()
        optimiser.step()
        optimiser.zero_grad()
        assert 1 <= float(temperature().detach()) <= 100.001
    found = float(temperature().detach())
    assert found > 1.05 if wanted > 0 else found < 95


def test_alpha_can_be_held() -> None:
    temperature = InverseTemperature(7.0, learned=False)
    assert float(temperature()) == pytest.approx(7) and not any(p.requires_grad for p in temperature.parameters())
