"""Standardised segments: in training by the batch, afterwards by what training saw."""

from __future__ import annotations

import torch

from csc_cli.nn.standardise import Standardise


def test_standardised_segments_have_no_mean_and_unit_deviation_in_training() -> None:
    layer = Standardise(5).train()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, 9, 5, generator=generator) * 3 + 7
    mask = torch.rand(6, 1, 9, 1, generator=generator) < 0.6
    y = layer(x, mask)[mask.expand(6, 2, 9, 1).squeeze(-1)]
    torch.testing.assert_close(y.mean(0), torch.zeros(5), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std(0, correction=0), torch.ones(5), atol=1e-3, rtol=0)
    again = layer(x + 1e3 * ~mask, mask)[mask.expand(6, 2, 9, 1).squeeze(-1)]
    torch.testing.assert_close(again, y, atol=1e-4, rtol=0)


def test_standardise_in_evaluation_uses_the_statistics_of_training_and_leaves_them_alone() -> None:
    layer = Standardise(3).train()
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(1, 1, 200, 1, dtype=torch.bool)
    for _ in range(400):
        layer(torch.randn(4, 2, 200, 3, generator=generator) * torch.tensor([1.0, 2.0, 5.0]) - 4, mask)
    layer.eval()
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    x = torch.randn(1, 2, 200, 3, generator=generator)
    torch.testing.assert_close(layer(x, mask), (x + 4) / torch.tensor([1.0, 2.0, 5.0]), atol=0.15, rtol=0.05)
    assert all(torch.equal(state[name], value) for name, value in layer.state_dict().items())


def test_standardise_gradient_numerically() -> None:
    layer = Standardise(2).double().train()
    mask = torch.tensor([1, 1, 0, 1]).bool().reshape(1, 1, 4, 1).expand(2, 1, 4, 1)
    x = torch.randn(2, 2, 4, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x, mask) * mask, (x,))
