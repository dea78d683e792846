"""Mirroring against numpy's, masked batch normalisation against torch's on the real frames alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.layers import MaskedBatchNorm, Tdnn, mirror


def padded(seed: int, counts: list[int], channels: int = 3, length: int | None = None) -> tuple[torch.Tensor, Frames]:
    length = max(counts) if length is None else length
    x = torch.randn(len(counts), channels, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mask = (torch.arange(length) < torch.tensor(counts)[:, None])[:, None]
    return x, Frames(torch.tensor(counts), None if bool(mask.all()) else mask)


@pytest.mark.parametrize("counts", [[9, 6, 4, 2, 1], [7, 7], [3, 3], [1]])
@pytest.mark.parametrize("reach", [1, 2, 4])
def test_each_recording_is_mirrored_at_its_own_ends(counts: list[int], reach: int) -> None:
    x, frames = padded(0, counts)
    found = mirror(x, frames, reach)
    for index, count in enumerate(counts):
        expected = np.pad(x[index, :, :count].numpy(), ((0, 0), (reach, reach)), mode="reflect")
        assert np.array_equal(found[index, :, : count + 2 * reach].numpy(), expected)


def test_a_layer_gives_each_recording_what_it_gets_alone() -> None:
    torch.manual_seed(1)
    layer = Tdnn(3, 5, 5, dilation=2).double().eval()
    counts = [11, 7, 3]
    x, frames = padded(2, counts)
    found = layer(x.masked_fill(~frames.mask, float("nan")), frames)
    for index, count in enumerate(counts):
        alone = layer(x[index : index + 1, :, :count], Frames(torch.tensor([count]), None))
        torch.testing.assert_close(found[index, :, :count], alone[0])


def references(x: torch.Tensor, counts: list[int]) -> tuple[nn.BatchNorm1d, list[torch.Tensor]]:
    """torch's layer after one step on all real frames side by side, and its output for each recording."""
    layer = nn.BatchNorm1d(x.shape[1]).double()
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(3))
    joined = torch.cat([part[:, :count] for part, count in zip(x, counts, strict=True)], 1)
    return layer, list(layer(joined.mT).mT.split(counts, 1))


@pytest.mark.parametrize("counts", [[9, 6, 1], [5, 5, 5]])
@pytest.mark.parametrize("shared", [False, True])
def test_normalisation_is_over_real_frames(counts: list[int], shared: bool) -> None:
    x, frames = padded(4, counts)
    x = (x + 30).requires_grad_()
    reference, expected = references(x, counts)
    layer = MaskedBatchNorm(3).double()
    layer.load_state_dict({**layer.state_dict(), "weight": reference.weight.detach()})
    layer.total = (lambda sums: sums) if shared else None
    found = layer(x, frames.mask)
    weight = torch.randn_like(found)
    parts = list(zip(found, expected, weight, counts, strict=True))
    for own, other, _, count in parts:
        torch.testing.assert_close(own[:, :count], other)
    mine = torch.autograd.grad(sum((own * w)[:, :n].sum() for own, _, w, n in parts), x, retain_graph=True)[0]
    theirs = torch.autograd.grad(sum((other * w[:, :n]).sum() for _, other, w, n in parts), x)[0]
    torch.testing.assert_close(mine, theirs)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(layer.state_dict()[name], value)


def test_two_processes_share_their_statistics() -> None:
    counts = [9, 6, 4, 8]
    x, frames = padded(5, counts)
    _, expected = references(x, counts)
    heard: list[torch.Tensor] = []
    layer = MaskedBatchNorm(3).double()
    layer.load_state_dict({**layer.state_dict(), "weight": references(x, counts)[0].weight.detach()})
    layer.total = lambda sums: heard.append(sums) or sums
    for half in (slice(0, 2), slice(2, 4)):
        layer(x[half], frames.mask[half])
        layer.reset_running_stats()
    layer.total = lambda sums: heard[0] + heard[1]
    for index, part in enumerate((slice(0, 2), slice(2, 4))):
        layer.reset_running_stats()
        found = layer(x[part], frames.mask[part])
        for place in range(2):
            count = counts[2 * index + place]
            torch.testing.assert_close(found[place, :, :count], expected[2 * index + place])


def test_one_frame_of_one_recording_can_be_trained_on() -> None:
    x = torch.randn(1, 4, 1, requires_grad=True)
    found = MaskedBatchNorm(4)(x)
    found.sum().backward()
    assert float(found.detach().abs().max()) < 1e-4 and bool(torch.isfinite(x.grad).all())
