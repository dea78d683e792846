"""The readout against a plain restatement, and what may not pass through it."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.attention import CrossAttention, masked_softmax


def make(uniform: bool = False) -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(6, 2, uniform).double()


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return functional.linear(x, layer.weight, layer.bias)


def restated(readout: CrossAttention, query: torch.Tensor, keys: list[torch.Tensor]) -> torch.Tensor:
    """e(q; A) for one query (E,) and a list of segments, head by head."""
    width = len(query) // readout.heads
    heads = []
    for head in range(readout.heads):
        part = slice(head * width, (head + 1) * width)
        if readout.uniform:
            scores = [0.0] * len(keys)
        else:
            q = linear(readout.query, query)[part].detach()
            scores = [float((q @ linear(readout.key, key)[part]).detach()) / math.sqrt(width) for key in keys]
        weights = [math.exp(score) for score in scores]  # plain: no peak is taken away
        values = [linear(readout.value, key)[part] for key in keys]
        heads.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
    out = linear(readout.out, torch.cat(heads))
    return out / out.norm()


@pytest.mark.parametrize("uniform", [False, True])
def test_embedding_is_the_formula(uniform: bool) -> None:
    readout, query, segments = make(uniform), randn(1, 3, 6), randn(2, 3, 5, 6)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]).bool()
    found = readout(query, segments, mask)
    for b in range(3):
        expected = restated(readout, query[b], [segments[b, s] for s in range(5) if mask[b, s]])
        torch.testing.assert_close(found.vectors[b], expected, atol=1e-6, rtol=0)
    assert not found.weights[~mask[:, None].expand_as(found.weights)].any()
    torch.testing.assert_close(found.weights.sum(-1), torch.ones_like(found.weights[..., 0]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("uniform", [False, True])
def test_global_vectors_are_the_formula_for_each_anchor_and_group(uniform: bool) -> None:
    readout, query, segments = make(uniform), randn(3, 4, 6), randn(4, 7, 6)
    groups = torch.rand(4, 3, 7, generator=torch.Generator().manual_seed(5)) < 0.5
    groups[0, 1] = False
    found = readout.across(query, segments, groups)
    for a in range(4):
        for j in range(3):
            keys = [segments[p] for p in range(7) if groups[a, j, p]]
            expected = restated(readout, query[a], keys) if keys else torch.zeros(6, dtype=torch.float64)
            torch.testing.assert_close(found.vectors[a, j], expected, atol=1e-6, rtol=0)


def test_nothing_of_the_query_passes_where_there_is_nothing_to_choose() -> None:
    readout, segments, mask = make(), randn(6, 1, 3, 6), torch.tensor([[False, True, False]])
    query = randn(7, 1, 6).requires_grad_()
    vectors = readout(query, segments, mask).vectors
    torch.testing.assert_close(vectors, readout(randn(8, 1, 6), segments, mask).vectors)
    vectors.sum().backward()
    assert query.grad.abs().max() < 1e-12


def test_masked_segments_have_neither_value_nor_gradient() -> None:
    readout, query = make(), randn(9, 2, 6)
    segments = randn(10, 2, 4, 6).requires_grad_()
    mask = torch.tensor([[True, True, False, False], [True, False, True, True]])
    vectors = readout(query, segments, mask).vectors
    with torch.no_grad():
        other = readout(query, segments + 1e6 * ~mask[..., None], mask).vectors
    torch.testing.assert_close(vectors, other)
    (vectors * randn(11, 2, 6)).sum().backward()
    assert not segments.grad[~mask].any() and segments.grad[mask].any()


@pytest.mark.parametrize("uniform", [False, True])
def test_gradients_numerically(uniform: bool) -> None:
    readout, query, segments = make(uniform), randn(12, 2, 6).requires_grad_(), randn(13, 5, 6).requires_grad_()
    groups = torch.tensor([[[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]], [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]]).bool()
    assert torch.autograd.gradcheck(lambda q, s: readout.across(q, s, groups).vectors, (query, segments))


def test_softmax_of_huge_scores_and_of_none_is_finite() -> None:
    scores = torch.tensor([[1e4, -1e4, 3.0], [5.0, 5.0, 5.0]], requires_grad=True)
    weights = masked_softmax(scores, torch.tensor([[True, True, True], [False, False, False]]))
    weights.square().sum().backward()
    assert weights.tolist() == [[1, 0, 0], [0, 0, 0]] and torch.isfinite(scores.grad).all()
