"""AAM-softmax and margin-mixup against angles and sums in float64, gradients numerically."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.margin import Rows, aam_logits, aam_loss, margin_mixup_loss

SCALE = 7.0


def cosines(seed: int, anchors: int, rows: int) -> torch.Tensor:
    return 2 * torch.rand(anchors, rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def one_loss(cosine: torch.Tensor, own: int, margin: float, left_out: set[int] = frozenset()) -> float:
    """-log e^{s cos(theta + m)} / (that + the others), by angles."""
    theta = math.acos(float(cosine[own]))
    pushed = math.cos(theta + margin) if theta + margin <= math.pi else math.cos(theta) - margin * math.sin(margin)
    total = math.exp(SCALE * pushed)
    total += sum(math.exp(SCALE * float(c)) for n, c in enumerate(cosine) if n != own and n not in left_out)
    return -math.log(math.exp(SCALE * pushed) / total)


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_loss_is_that_of_the_angle_widened_by_the_margin(margin: float) -> None:
    cosine, target = cosines(0, 40, 9), torch.arange(40) % 9
    loss = aam_loss(cosine, target, margin, SCALE)
    for a in range(40):
        assert float(loss[a]) == pytest.approx(one_loss(cosine[a], a % 9, margin), abs=1e-9)


def test_margin_of_each_anchor_and_anchors_without_a_row() -> None:
    cosine, target = cosines(1, 5, 6), torch.tensor([2, -1, 0, 5, -1])
    margin = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    loss = aam_loss(cosine, target, margin, SCALE)
    for a in range(5):
        expected = 0 if target[a] < 0 else one_loss(cosine[a], int(target[a]), float(margin[a]))
        assert float(loss[a]) == pytest.approx(expected, abs=1e-9)
    torch.testing.assert_close(aam_logits(cosine, target, margin, SCALE)[1], SCALE * cosine[1])


@pytest.mark.parametrize("margin", [0.2, 0.5, 1.0])
def test_the_own_logit_falls_with_the_angle_all_the_way(margin: float) -> None:
    theta = torch.linspace(1e-3, math.pi - 1e-3, 2000, dtype=torch.float64)
    cosine = torch.stack([theta.cos(), torch.zeros_like(theta)], 1)
    own = aam_logits(cosine, torch.zeros(2000, dtype=torch.long), margin, 1.0)[:, 0]
    assert bool((own.diff() < 0).all())


def test_other_talkers_of_a_mixture_are_no_wrong_answers() -> None:
    cosine, target = cosines(2, 4, 6), torch.tensor([2, 0, 5, -1])
    others = torch.tensor([[3, -1], [0, 4], [-1, -1], [1, 2]])
    loss = aam_loss(cosine, target, 0.2, SCALE, others)
    left_out = [{3}, {4}, set(), set()]  # a row is never left out of its own normaliser
    for a in range(3):
        assert float(loss[a]) == pytest.approx(one_loss(cosine[a], int(target[a]), 0.2, left_out[a]), abs=1e-9)
    assert float(loss[3]) == 0
    gradient = torch.autograd.grad(aam_loss(cosine.requires_grad_(), target, 0.2, SCALE, others).sum(), cosine)[0]
    assert float(gradient[0, 3]) == 0 and not gradient[3].any() and bool(torch.isfinite(gradient).all())


def test_margin_mixup_shares_loss_and_margin_among_both_labels() -> None:
    cosine = cosines(3, 6, 8)
    first, second = torch.tensor([0, 1, 2, 3, 4, -1]), torch.tensor([5, 0, 7, -1, 4, 6])
    share = torch.tensor([0.5, 0.9, 0.2, 1.0, 0.6, 0.0], dtype=torch.float64)
    loss = margin_mixup_loss(cosine, first, second, share, 0.3, SCALE)
    for a in range(6):
        expected = 0.0
        for own, part in ((first, float(share[a])), (second, 1 - float(share[a]))):
            if own[a] >= 0:
                expected += part * one_loss(cosine[a], int(own[a]), part * 0.3, set())
        assert float(loss[a]) == pytest.approx(expected, abs=1e-9)
    torch.testing.assert_close(loss[3], aam_loss(cosine[3:4], first[3:4], 0.3, SCALE)[0])


def test_gradients_numerically() -> None:
    cosine, target = (0.9 * cosines(4, 5, 6)).requires_grad_(), torch.tensor([0, 1, -1, 3, 4])
    second, share = torch.tensor([2, -1, 3, 5, 4]), torch.rand(5, dtype=torch.float64)
    others = second[:, None]
    assert torch.autograd.gradcheck(lambda c: aam_loss(c, target, 0.2, SCALE, others), (cosine,))
    assert torch.autograd.gradcheck(lambda c: margin_mixup_loss(c, target, second, share, 0.2, SCALE), (cosine,))


@pytest.mark.parametrize("value", [1.0, -1.0])
def test_gradient_at_a_perfect_or_opposite_embedding_is_finite(value: float) -> None:
    cosine = torch.tensor([[value, 0.3]], requires_grad=True)
    aam_loss(cosine, torch.tensor([0]), 0.2, 30.0).sum().backward()
    assert bool(torch.isfinite(cosine.grad).all())


def test_rows_are_compared_by_angle() -> None:
    torch.manual_seed(0)
    rows = Rows(5, 3).double()
    z = torch.randn(2, 4, 3, dtype=torch.float64)
    found = rows.cosine(3 * z)
    assert found.shape == (2, 4, 5)
    for n, row in enumerate(rows.vectors):
        torch.testing.assert_close(found[..., n], functional.cosine_similarity(z, row, dim=-1))
    rows.cosine(z).sum().backward()
    assert bool(rows.vectors.grad.any(1).all())
