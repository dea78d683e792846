"""Small networks learn to name both talkers of a mixture, and recursive pooling to count them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.baselines.embedder import Embedder, EmbedderConfig
from csc_cli.nn.baselines.recursive import counting_loss, found
from csc_cli.nn.margin import Rows, aam_loss
from csc_cli.nn.pit import best_permutation

TALKERS, RATE, SAMPLES = 6, 8000, 4000


def voices(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(B,) labels -> (B, T): each talker has three tones of its own, in bursts at random times; -1 is silent."""
    time = torch.arange(SAMPLES) / RATE
    base = 200 + 130 * labels.clamp(min=0)[:, None, None] + torch.tensor([0.0, 937.0, 1873.0])[None, :, None]
    phase = 6.28 * torch.rand(len(labels), 3, 1, generator=generator)
    tones = torch.sin(6.2832 * base * time + phase).sum(1)
    bursts = (torch.rand(len(labels), 1, 20, generator=generator) < 0.7).float()
    return tones * functional.interpolate(bursts, SAMPLES)[:, 0] * (labels >= 0)[:, None]


def mixtures(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples (B, T) and labels (B, 2), the second -1 in every third."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(TALKERS, (count,), generator=generator)
    second = (first + torch.randint(1, TALKERS, (count,), generator=generator)) % TALKERS
    second[::3] = -1
    samples = voices(first, generator) + voices(second, generator)
    return samples + 0.01 * torch.randn(samples.shape, generator=generator), torch.stack([first, second], 1)


def costs(rows: Rows, vectors: torch.Tensor, labels: torch.Tensor, margin: float) -> torch.Tensor:
    """AAM-softmax of each embedding for each talker: (B, 2, E), (B, 2) -> (B, 2, 2)."""
    cosine = rows.cosine(vectors).repeat_interleave(2, 1).flatten(0, 1)  # embedding q for talkers 1, 2
    return aam_loss(cosine, labels.repeat(1, 2).flatten(), margin, 30.0).view(-1, 2, 2)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "pooling"), [("ecapa", "recursive"), ("xvector", "recursive"), ("ecapa", "attentive")]
)
def test_both_talkers_are_named(kind: str, pooling: str) -> None:
    torch.manual_seed(0)
    network = Embedder(EmbedderConfig(kind, 32, 32, 2, pooling, mels=40), RATE)
    rows = Rows(TALKERS, 32)
    optimiser = torch.optim.Adam([*network.parameters(), *rows.parameters()], 2e-3)
    for step in range(100):
        samples, labels = mixtures(step, 24)
        embedded = network.embed(samples, torch.full((24,), SAMPLES), (labels >= 0).sum(1))
        cost = costs(rows, embedded.vectors, labels, 0.2)
        # A recording of one talker is the first embedding's.
        order = torch.where(labels[:, 1:] < 0, torch.arange(2), best_permutation(cost))
        loss = cost.gather(1, order[:, None])[:, 0].sum() / (labels >= 0).sum()
        if embedded.existence is not None:
            loss = loss + counting_loss(embedded.existence, (labels >= 0).sum(1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    samples, labels = mixtures(10_000, 90)
    with torch.no_grad():
        embedded = network.eval().embed(samples, torch.full((90,), SAMPLES))
        named = rows.cosine(embedded.vectors).argmax(-1)
    alone = labels[:, 1] < 0
    assert float((named[alone, 0] == labels[alone, 0]).float().mean()) > 0.9
    both = named.sort(1).values == labels.sort(1).values
    assert float(both[~alone].all(1).float().mean()) > 0.8  # by chance 1 in 15
    if embedded.existence is not None:
        assert float((found(embedded.existence).sum(1) == (labels >= 0).sum(1)).float().mean()) > 0.9
