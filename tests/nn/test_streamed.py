"""L_inv in blocks against the dense form: values, gradients, and what is never kept."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from csc_cli.nn.streamed import inventory_loss

Case = tuple[torch.Tensor, ...]
ANCHORS, ROWS = 9, 37


def draw(unit: bool, dtype: torch.dtype = torch.float64, rows: int = ROWS, dimensions: int = 6) -> Case:
    """Vectors, rows of different lengths, alpha, three candidates each (some twice), weights of the results."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    vectors = functional.normalize(normal(ANCHORS, dimensions), dim=-1) if unit else normal(ANCHORS, dimensions)
    stored = normal(rows, dimensions) * (0.2 + torch.rand(rows, 1, generator=generator))
    candidates = torch.randint(rows, (ANCHORS, 3), generator=generator)
    candidates[0] = 5
    parts = vectors, stored, torch.tensor(2.3, dtype=torch.float64), normal(ANCHORS, 3)
    vectors, stored, alpha, weights = (part.to(dtype) for part in parts)
    return vectors.requires_grad_(), stored.requires_grad_(), alpha.requires_grad_(), candidates, weights


def dense(vectors: torch.Tensor, rows: torch.Tensor, alpha: torch.Tensor, candidates: torch.Tensor, valid, unit: bool):
    """The definition, all distances at once."""
    rows = rows / rows.norm(dim=1, keepdim=True) if unit else rows
    logits = -alpha * (vectors[:, None] - rows).square().sum(-1)
    counted = logits if valid is None else logits.masked_fill(~valid, float("-inf"))
    return counted.logsumexp(1, keepdim=True) - logits.gather(1, candidates)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("block", [1, 8, ROWS - 1, ROWS, 1000])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_values_and_gradients_are_those_of_the_dense_form(
    unit: bool, masked: bool, block: int, dtype: torch.dtype, near: float
) -> None:
    *inputs, candidates, weights = draw(unit, dtype)
    valid = torch.arange(ROWS) % 4 > 0 if masked else None
    found = inventory_loss(*inputs, candidates, valid, unit, block)
    *wide, _, wide_weights = draw(unit)
    expected = dense(*wide, candidates, valid, unit)
    torch.testing.assert_close(found.double(), expected, atol=near, rtol=near)
    gradients = torch.autograd.grad((found * weights).sum(), inputs)
    for name, one, two in zip(
        ("vectors", "rows", "alpha"), gradients, torch.autograd.grad((expected * wide_weights).sum(), wide), strict=True
    ):
        scale = float(two.abs().max())
        torch.testing.assert_close(one.double(), two, atol=near * max(1, scale), rtol=near, msg=name)


@pytest.mark.parametrize("unit", [True, False])
def test_gradients_numerically(unit: bool) -> None:
    *inputs, candidates, _ = draw(unit)
    valid = torch.arange(ROWS) % 3 > 0
    assert torch.autograd.gradcheck(lambda *x: inventory_loss(*x, candidates, valid, unit, 10), inputs)


def test_rows_left_out_get_no_gradient_and_fixed_rows_none() -> None:
    vectors, rows, alpha, candidates, weights = draw(True)
    valid = torch.arange(ROWS) != 3
    candidates[candidates == 3] = 4
    loss = (inventory_loss(vectors, rows, alpha, candidates, valid, True, 8) * weights).sum()
    gradient = torch.autograd.grad(loss, rows)[0]
    assert not gradient[3].any() and gradient[2].any()
    loss = inventory_loss(vectors, rows.detach(), alpha, candidates, valid, True, 8).sum()
    loss.backward()
    assert rows.grad is None and vectors.grad.any() and alpha.grad != 0


class Largest(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_no_tensor_of_anchors_by_rows_is_made_forward_or_backward() -> None:
    rows, dimensions, block = 4000, 6, 100
    *inputs, candidates, _ = draw(True, rows=rows, dimensions=dimensions)
    with Largest() as blocked:
        inventory_loss(*inputs, candidates, None, True, block).sum().backward()
    assert blocked.elements == rows * dimensions, "the gradient of the rows is the largest"
    with Largest() as whole:
        dense(*inputs, candidates, None, True).sum().backward()
    assert whole.elements >= ANCHORS * rows, "the measure sees what the dense form makes"


def test_far_rows_and_sharp_temperatures_stay_finite() -> None:
    vectors, rows, _, candidates, _ = draw(False, torch.float32)
    alpha = torch.tensor(100.0, requires_grad=True)
    loss = inventory_loss(1e2 * vectors, 1e2 * rows, alpha, candidates, None, False, 8)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and (loss >= 0).all()
    assert torch.isfinite(rows.grad).all() and torch.isfinite(alpha.grad)
