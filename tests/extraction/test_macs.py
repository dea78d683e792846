"""Multiply-accumulates against numbers computed by hand, without data (meta tensors) and with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.extraction import macs
from csc_cli.extraction.describe import count_parameters, macs_by_part, parts_of
from csc_cli.extraction.macs import count_macs
from csc_cli.nn.model import ModelConfig, new_model

RATE, SECONDS = 800, 0.5
T = 400  # samples
D, L = 8, T // 8  # features, frames


class Framed(nn.Module):
    """Hands a layer the samples as frames (1, L, D), or in another shape; may look at a value."""

    def __init__(self, layer: nn.Module | Callable[[Tensor], object], shape: tuple[int, ...], looks: bool) -> None:
        super().__init__()
        self.layer, self.shape, self.looks = layer, shape, looks

    def forward(self, samples: Tensor, lengths: Tensor) -> object:
        if self.looks and bool(lengths.sum() == 0):
            raise AssertionError
        return self.layer(samples.view(self.shape))


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x, x, x, need_weights=False)[0]


def attend(x: Tensor) -> Tensor:
    heads = x.view(1, L, 2, D // 2).transpose(1, 2)
    return functional.scaled_dot_product_attention(heads, heads, heads)


FRAMES, WAVE = (1, L, D), (1, 1, T)
CASES = {
    "linear": (nn.Linear(D, 5), FRAMES, L * D * 5),
    "linear without bias": (nn.Linear(D, 5, bias=False), FRAMES, L * D * 5),
    "product with a parameter": (lambda x: x @ torch.ones(D, 3, device=x.device), FRAMES, L * D * 3),
    "batched product": (lambda x: x @ x.mT, FRAMES, L * L * D),
    "convolution": (nn.Conv1d(1, 4, 10, stride=5), WAVE, ((T - 10) // 5 + 1) * 4 * 10),
    "dilated": (nn.Conv1d(1, 4, 3, dilation=4), WAVE, (T - 8) * 4 * 3),
    "groups": (nn.Conv1d(8, 16, 3, padding=1, groups=4), (1, 8, L), L * 16 * (8 // 4) * 3),
    # Each input sample meets all taps of all output channels.
    "transposed": (nn.ConvTranspose1d(8, 2, 6, stride=3), (1, 8, L), L * 8 * 2 * 6),
    "image": (nn.Conv2d(1, 3, 3, padding=1), (1, 1, L, D), L * D * 3 * 9),
    "LSTM": (nn.LSTM(D, 6, batch_first=True), FRAMES, L * 4 * 6 * (D + 6)),
    "BiLSTM of two layers": (
        nn.LSTM(D, 6, num_layers=2, bidirectional=True, batch_first=True),
        FRAMES,
        L * 2 * (4 * 6 * (D + 6) + 4 * 6 * (12 + 6)),
    ),
    "GRU": (nn.GRU(D, 6, batch_first=True), FRAMES, L * 3 * 6 * (D + 6)),
    "attention": (attend, FRAMES, 2 * L * L * D),
    "attention layer": (SelfAttention(D, 2, batch_first=True), FRAMES, L * 4 * D * D + 2 * L * L * D),
    "transformer layer": (
        nn.TransformerEncoderLayer(D, 2, 20, batch_first=True),
        FRAMES,
        L * 4 * D * D + 2 * L * L * D + 2 * L * D * 20,
    ),
    "neither norm nor Fourier": (lambda x: functional.layer_norm(torch.fft.rfft(x).abs(), (D // 2 + 1,)), FRAMES, 0),
}


@pytest.mark.parametrize("looks", [False, True], ids=["without data", "with data"])
@pytest.mark.parametrize(("layer", "shape", "expected"), CASES.values(), ids=CASES)
def test_layers_by_hand(layer, shape, expected, looks):
    found = count_macs(Framed(layer, shape, looks), RATE, SECONDS)
    assert (found.total, found.seconds, found.per_second) == (expected, 0.5, 2 * expected)


def test_a_model_is_left_as_it_was():
    model = Framed(nn.Sequential(nn.Linear(D, D), nn.Dropout(0.5)), FRAMES, True)
    weights = model.layer[0].weight.clone()
    fast = torch.backends.mha.get_fastpath_enabled()
    count_macs(model.train(), RATE, SECONDS)
    assert model.training and model.layer[1].training and torch.equal(model.layer[0].weight, weights)
    assert torch.backends.mkldnn.enabled and torch.backends.mha.get_fastpath_enabled() == fast


def test_counts_belong_to_modules():
    model = Framed(
        nn.ModuleDict({"a": nn.Linear(D, 2), "b": nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 1)])}), FRAMES, False
    )
    layers = model.layer
    model.forward = lambda samples, lengths: layers["b"][1](layers["b"][0](layers["a"](samples.view(FRAMES))))
    found = count_macs(model, RATE, SECONDS)
    assert found.of(layers["a"], "layer.a") == L * D * 2
    assert found.of(layers["b"], "layer.b") == L * (2 * 3 + 3)
    assert found.of(layers, "layer") == found.total


@pytest.fixture(params=["stft", "learned"])
def small(request):
    """A small network, with its settings."""
    from csc_cli.nn.encoder import EncoderConfig
    from csc_cli.nn.filterbank import FilterbankConfig
    from csc_cli.nn.galr import GalrConfig

    galr = GalrConfig(features=8, hidden=6, chunk=10, chunk_hop=5, mapped=4, heads=2, feedforward=12)
    bank = FilterbankConfig(request.param, window=16, hop=8, filters=11)
    config = ModelConfig(8000, EncoderConfig(2, bank, galr, 2, 1, 1, embedding=16), readout_heads=2)
    return config, new_model(config, 0)


def test_the_network_by_hand(small):
    config, model = small
    samples = 800
    frames = samples // 8 + 1
    chunks = (frames + 5 + 4) // 5  # K = 10, hop 5, five zeros in front
    d, k, q, h, f, c, e = 8, 10, 4, 6, 12, 2, 16
    bins = 9 if config.encoder.filterbank.kind == "stft" else 11
    local = chunks * k * (2 * 4 * h * (d + h) + 2 * h * d)
    maps = 2 * chunks * q * k * d
    attention = chunks * q * (4 * d * d + 2 * d * f) + q * 2 * chunks * chunks * d
    block = local + maps + attention
    masks = frames * d * 3 * bins
    into = c * frames * (bins + d) * d
    out = c * chunks * d * e
    # The readout: query and result once, keys and values of each segment, scores and their sum.
    readout = c * (2 * e * e + chunks * 2 * e * e + 2 * chunks * e)
    filterbank = 0 if bins == 9 else frames * 16 * bins + 3 * frames * bins * 16
    expected = {
        "filterbank": filterbank,
        "trunk": frames * bins * d + 2 * block,
        "separation head": block + masks,
        "speaker head": into + c * block + out,
        "readout": readout,
    }
    found = count_macs(model, 8000, 0.1)
    assert macs_by_part(model, found) == {**expected, "total": sum(expected.values())}
    assert macs._count(model, samples, 8000).total == found.total, "with data as without"


def test_parts_hold_each_parameter_once(small):
    _, model = small
    counts = count_parameters(model)
    assert counts.pop("total") == sum(counts.values()) == sum(p.numel() for p in model.parameters())
    modules = [
        id(module) for members in parts_of(model).values() for _, member in members for module in member.modules()
    ]
    assert len(modules) == len(set(modules))
    other = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    other.scale = nn.Parameter(torch.ones(5))
    assert count_parameters(other) == {"0": 8, "1": 3, "other": 5, "total": 16}


def test_longer_recordings_cost_more_a_second_where_attention_grows():
    model = Framed(attend, FRAMES, False)
    model.forward = lambda samples, lengths: samples.view(1, -1, D) @ samples.view(1, -1, D).mT
    one, two = (count_macs(model, RATE, seconds).per_second for seconds in (1.0, 2.0))
    assert two == 2 * one
