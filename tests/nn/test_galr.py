"""A GALR block against a plain restatement, frame by frame and head by head."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from csc_cli.errors import ConfigError
from csc_cli.nn.galr import GalrBlock, GalrConfig, positions

CONFIG = GalrConfig(features=4, hidden=3, chunk=6, chunk_hop=6, mapped=2, heads=2, feedforward=5)


def make(index: int = 0, **changes: int) -> GalrBlock:
    torch.manual_seed(index + 1)
    block = GalrBlock(GalrConfig(**{**CONFIG.__dict__, **changes}), index).double().eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return block


def lstm(block: GalrBlock, frames: list[torch.Tensor], direction: int) -> list[torch.Tensor]:
    """One direction of the LSTM (Hochreiter & Schmidhuber; torch's order of gates: i, f, g, o)."""
    layer, suffix = block.local.lstm, "_reverse" if direction else ""
    w, r = getattr(layer, f"weight_ih_l0{suffix}"), getattr(layer, f"weight_hh_l0{suffix}")
    bias = getattr(layer, f"bias_ih_l0{suffix}") + getattr(layer, f"bias_hh_l0{suffix}")
    h, c = block.local.start[0, direction, 0], block.local.start[1, direction, 0]
    out = {}
    order = range(len(frames)) if not direction else reversed(range(len(frames)))
    for k in order:
        i, f, g, o = (w @ frames[k] + r @ h + bias).chunk(4)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        out[k] = h
    return [out[k] for k in range(len(frames))]


def norm(layer: torch.nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


def restated(block: GalrBlock, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """One mixture: x (S, K, D), mask (S, K) -> (S, K, D)."""
    chunks, size, d = x.shape
    local = torch.zeros_like(x)
    for s in range(chunks):
        forward, backward = (lstm(block, list(x[s]), direction) for direction in (0, 1))
        for k in range(size):
            y = block.local.project(torch.cat([forward[k], backward[k]]))
            local[s, k] = (x[s, k] + norm(block.local.norm, y)) * mask[s, k]
    across = block.across
    mapped = torch.zeros(across.mapped, chunks, d, dtype=x.dtype)
    for q in range(across.mapped):
        for s in range(chunks):
            mapped[q, s] = sum(across.down[q, k] * local[s, k] for k in range(size))
            for i in range(d // 2):
                angle = s / 10000 ** (2 * i / d)
                mapped[q, s, i] += math.sin(angle)
                mapped[q, s, d // 2 + i] += math.cos(angle)
    width = d // across.heads
    for q in range(across.mapped):
        queries, keys, values = ([], [], [])
        for s in range(chunks):
            a, b, c = across.qkv(norm(across.norm_attention, mapped[q, s])).chunk(3)
            queries.append(a), keys.append(b), values.append(c)
        attended = []
        for s in range(chunks):
            heads = []
            for h in range(across.heads):
                part = slice(h * width, (h + 1) * width)
                others = [t for t in range(chunks) if mask[t].any()]
                weights = [math.exp(float(queries[s][part] @ keys[t][part]) / math.sqrt(width)) for t in others]
                heads.append(sum(w * values[t][part] for w, t in zip(weights, others, strict=True)) / sum(weights))
            attended.append(mapped[q, s] + across.out(torch.cat(heads)))
        for s in range(chunks):
            y = attended[s]
            mapped[q, s] = y + across.feedforward(norm(across.norm_feedforward, y))
    result = torch.zeros_like(x)
    for s in range(chunks):
        for k in range(size):
            y = sum(across.up[k, q] * mapped[q, s] for q in range(across.mapped))
            result[s, k] = (local[s, k] + norm(across.norm, y)) * mask[s, k]
    return result


def draw(chunks: int = 4, real: tuple[int, ...] = (21, 9)) -> tuple[torch.Tensor, torch.Tensor]:
    """x (B, S, K, D) with zeros where there is no frame, and the mask (B, S, K, 1); frame 3 is the first."""
    x = torch.randn(len(real), chunks, 6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    place = torch.arange(chunks * 6).reshape(chunks, 6)
    mask = torch.stack([(place >= 3) & (place < 3 + count) for count in real])[..., None]
    return x * mask, mask


@pytest.mark.parametrize("training", [False, True])
def test_block_is_its_restatement(training: bool) -> None:
    block = make().train(training)
    x, mask = draw()
    with torch.no_grad():
        found = block(x, mask)
        for b in range(len(x)):
            torch.testing.assert_close(found[b], restated(block, x[b], mask[b, ..., 0]), atol=1e-6, rtol=0)


def test_odd_blocks_see_the_frames_in_chunks_moved_by_half() -> None:
    block = make(1)
    x, mask = draw()
    with torch.no_grad():
        found = block(x, mask)
        for b in range(len(x)):
            moved, kept = (y[b].flatten(0, 1).roll(-3, 0).unflatten(0, (4, 6)) for y in (x, mask))
            expected = restated(block, moved, kept[..., 0]).flatten(0, 1).roll(3, 0).unflatten(0, (4, 6))
            torch.testing.assert_close(found[b], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("hop", [3, 6])
def test_padding_neither_leaks_in_nor_comes_out(index: int, hop: int) -> None:
    block = make(index, chunk_hop=hop)
    x, mask = draw(6, (12, 30))
    with torch.no_grad():
        together, alone = block(x, mask), block(x[:1, :3], mask[:1, :3])
        torch.testing.assert_close(together[:1, :3], alone, atol=1e-6, rtol=0)
    assert not together[~mask.expand_as(together)].any()


def test_gradients_numerically() -> None:
    block = make().train()
    x, mask = draw(2, (7,))
    assert torch.autograd.gradcheck(lambda x: block(x * mask, mask), (x.requires_grad_(),), atol=1e-4, eps=1e-4)


def test_all_parameters_take_part() -> None:
    block = make()
    x, mask = draw()
    (block(x, mask) * torch.randn_like(x)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in block.parameters())


def test_positions_are_distinct_and_bounded() -> None:
    table = positions(50, 8, torch.device("cpu"))
    assert float(torch.pdist(table).min()) > 0.1 and float(table.abs().max()) <= 1


def test_dropout_acts_in_training_alone() -> None:
    block = make(dropout=0.5)
    x, mask = draw()
    assert torch.equal(block(x, mask), block(x, mask))
    assert not torch.equal(block.train()(x, mask), block(x, mask))


@pytest.mark.parametrize(
    "wrong", [{"mapped": 7}, {"mapped": 0}, {"chunk_hop": 4}, {"features": 3}, {"heads": 3}, {"dropout": 1.0}]
)
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError):
        GalrConfig(**{**CONFIG.__dict__, **wrong})


def test_layer_norm_of_the_restatement_is_torchs() -> None:
    layer = torch.nn.LayerNorm(4).double()
    x = torch.randn(4, dtype=torch.float64)
    torch.testing.assert_close(norm(layer, x), functional.layer_norm(x, (4,)))
