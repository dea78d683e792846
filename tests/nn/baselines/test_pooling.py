"""Each pooling against its formulas, written out frame by frame in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from csc_cli.nn.baselines.features import Frames
from csc_cli.nn.baselines.pooling import Attentive, Statistics
from csc_cli.nn.baselines.recursive import Recursive, counting_loss, found

D, COUNTS = 3, [8, 5, 2]


@pytest.fixture
def batch() -> tuple[torch.Tensor, Frames]:
    x = torch.randn(3, D, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = (torch.arange(8) < torch.tensor(COUNTS)[:, None])[:, None]
    return x, Frames(torch.tensor(COUNTS), mask)


def randomised(module: nn.Module) -> nn.Module:
    """Weights and running statistics far from where they start."""
    generator = torch.Generator().manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.dtype == torch.float64:
                drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
                value.copy_(drawn + 0.5 if "var" in name else 2 * drawn - 1)
    return module


def moments(frames: list[torch.Tensor], weights: list[torch.Tensor]) -> torch.Tensor:
    mean = sum(a * h for a, h in zip(weights, frames, strict=True))
    square = sum(a * h * h for a, h in zip(weights, frames, strict=True))
    return torch.cat([mean, (square - mean * mean).clamp(min=0).sqrt()])


def in_context(frames: list[torch.Tensor]) -> list[torch.Tensor]:
    """e_t = h_t, mu, sigma (arXiv 2408.17142, eq. 1 to 3)."""
    plain = [torch.full((D,), 1 / len(frames), dtype=torch.float64)] * len(frames)
    return [torch.cat([h, moments(frames, plain)]) for h in frames]


def softmax(scores: list[torch.Tensor]) -> list[torch.Tensor]:
    total = sum(score.exp() for score in scores)
    return [score.exp() / total for score in scores]


def test_statistics(batch: tuple[torch.Tensor, Frames]) -> None:
    x, frames = batch
    pooled = Statistics()(x.masked_fill(~frames.mask, 7.0), frames)
    for index, count in enumerate(COUNTS):
        own = x[index, :, :count]
        torch.testing.assert_close(pooled[index, 0], torch.cat([own.mean(1), own.std(1)]))


@pytest.mark.parametrize("embeddings", [1, 2])
def test_attentive(batch: tuple[torch.Tensor, Frames], embeddings: int) -> None:
    x, frames = batch
    layer = randomised(Attentive(D, embeddings))
    pooled = layer(x.masked_fill(~frames.mask, 7.0), frames)
    norm = layer.norm
    for index, count in enumerate(COUNTS):
        own = list(x[index, :, :count].mT)
        scores = []
        for e in in_context(own):
            hidden = (layer.hidden.weight[..., 0] @ e + layer.hidden.bias).relu()
            hidden = (hidden - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
            scores.append(layer.out.weight[..., 0] @ hidden.tanh() + layer.out.bias)
        for q in range(embeddings):
            weights = softmax([score[q * D : (q + 1) * D] for score in scores])
            torch.testing.assert_close(pooled[index, q], moments(own, weights), atol=1e-6, rtol=1e-6)
    if embeddings == 2:
        assert float((pooled[:, 0] - pooled[:, 1]).detach().abs().max()) > 0.1


@pytest.mark.parametrize("trained_frames", [300, 4])
def test_recursive(batch: tuple[torch.Tensor, Frames], trained_frames: int) -> None:
    x, frames = batch
    layer = randomised(Recursive(D, 3))
    result = layer(x.masked_fill(~frames.mask, 7.0), frames)
    w1, b1, w2, b2 = layer.hidden.weight[..., 0], layer.hidden.bias, layer.out.weight[..., 0], layer.out.bias
    wc = layer.coverage.weight[..., 0] * trained_frames  # what eq. 10 needs to do the same on that many frames
    for index, count in enumerate(COUNTS):
        own = list(x[index, :, :count].mT)
        context = in_context(own)
        covered = [torch.zeros(D, dtype=torch.float64)] * count
        for n in range(3):
            scores = [  # eq. 21
                w2 @ (w1 @ e + b1 + wc @ c * (count / trained_frames)).relu() + b2
                for e, c in zip(context, covered, strict=True)
            ]
            weights = softmax(scores)  # eq. 9
            torch.testing.assert_close(result.pooled[index, n], moments(own, weights), atol=1e-6, rtol=1e-6)
            logit = sum(layer.exists.weight[0] @ score for score in scores) / count + layer.exists.bias  # eq. 14
            torch.testing.assert_close(result.existence[index, n], logit[0])
            covered = [c + a for c, a in zip(covered, weights, strict=True)]
    assert float((result.pooled[:, 0] - result.pooled[:, 1]).detach().abs().max()) > 0.01


def test_counting_loss_drives_present_talkers_to_one_and_the_next_to_zero() -> None:
    existence = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    talkers = torch.tensor([1, 2, 3, 1])
    loss = counting_loss(existence, talkers)
    p = existence.sigmoid().tolist()
    for b, n in enumerate(talkers.tolist()):
        terms = [-math.log(p[b][k - 1]) for k in range(2, n + 1)]
        terms += [-math.log(1 - p[b][n])] if n < 3 else []
        assert float(loss[b]) == pytest.approx(sum(terms) / len(terms))
    assert not counting_loss(existence[:, :1], talkers).any()
    assert torch.autograd.gradcheck(lambda x: counting_loss(x, talkers), (existence.requires_grad_(),))


def test_talkers_are_found_up_to_the_first_that_is_missing() -> None:
    logits = torch.tensor([[-3.0, -1.0, 5.0], [0.2, 0.0, -0.1], [-1.0, 2.0, 2.0]])
    assert found(logits).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert found(logits, 0.9).long().sum(1).tolist() == [1, 1, 1]
