"""Streams without a talker: no contrastive loss, no NaN, and how empty they are."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import pytest
import torch

from csc_cli.training.config import TrainConfig
from tests.training.losses import THREE, forward, make_batch, make_crowd, make_learner, snr


@pytest.mark.parametrize("guided", [0.0, 1.0])
def test_silent_streams_have_no_contrastive_loss(config: Callable[..., TrainConfig], guided: float) -> None:
    """Where nobody speaks the segments of a stream change nothing; where one speaks they do."""
    learner, batch = make_learner(config(*THREE, "objective.separation=none")).eval(), make_crowd()
    kept: list[torch.Tensor] = []
    embed = learner.model.encoder.embed

    def watch(*args: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        segments, query = embed(*args)
        segments.retain_grad()
        kept.append(segments)
        return segments, query

    learner.model.encoder.embed = watch  # type: ignore[method-assign]
    forward(learner, batch, guided).total.backward()
    touched = [int(kept[0].grad[b].any(-1).any(-1).sum()) for b in range(4)]
    assert touched == [3, 2, 1, 0]


@pytest.mark.parametrize("separation", ["si_snr", "none"])
def test_batch_of_noise_alone_trains_without_nan(config: Callable[..., TrainConfig], separation: str) -> None:
    learner, batch = make_learner(config(*THREE, f"objective.separation={separation}")), make_crowd()
    alone = batch._replace(sources=0 * batch.sources, labels=torch.full_like(batch.labels, -1))
    losses = forward(learner, alone)
    losses.total.backward()
    learner.update_inventory()
    assert all(torch.isfinite(value).all() for value in losses.figures.values())
    assert all(torch.isfinite(p.grad).all() for p in learner.parameters() if p.grad is not None)
    assert float(losses.figures["inventory"]) == float(losses.figures["batch"]) == 0


@pytest.mark.parametrize("streams", [2, 3])
def test_level_of_the_empty_streams_by_hand(config: Callable[..., TrainConfig], streams: int) -> None:
    learner = make_learner(config(*(THREE if streams == 3 else ()))).eval()
    batch = make_crowd() if streams == 3 else make_batch()
    batch = batch._replace(**{key: getattr(batch, key)[2:] for key in ("mixture", "sources", "lengths", "labels")})
    if streams == 2:
        batch.sources[0, 0], batch.labels[0, 0] = 0, -1
    with torch.no_grad():
        found = learner.measure_silent(batch, contextlib.nullcontext())
        encoded = learner.model(batch.mixture, batch.lengths)
    for b in range(2):
        n = int(batch.lengths[b])
        talkers = [s for s in batch.sources[b] if s.any()]
        streams_of = [encoded.separated[b, c, :n] for c in range(streams)]
        if talkers:
            heard = max(range(streams), key=lambda c: snr(streams_of[c].double(), talkers[0][:n].double()))
            streams_of.pop(heard)
        energy = sum(float(one.double().square().sum()) for one in streams_of)
        expected = 10 * math.log10(energy / float(batch.mixture[b, :n].double().square().sum()))
        assert float(found[b]) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("rows", ["learned", "attended"])
@pytest.mark.parametrize("separation", ["si_snr", "scale_aware", "none"])
@pytest.mark.parametrize("guided", [0.0, 1.0])
@pytest.mark.parametrize("further", [(), ("objective.negatives=2",), ("objective.length_normalised=false",)])
def test_no_nan_from_silence_or_rows_not_yet_visited(
    config: Callable[..., TrainConfig], rows: str, separation: str, guided: float, further: tuple[str, ...]
) -> None:
    settings = config(f"inventory.rows={rows}", f"objective.separation={separation}", *further)
    learner, batch = make_learner(settings, visited=0).train(), make_batch()
    batch.mixture[0], batch.sources[0], batch.labels[0] = 0, 0, -1
    for _ in range(3):  # none visited, then some, then more
        losses = forward(learner, batch, guided)
        losses.total.backward()
        learner.update_inventory()
        assert torch.isfinite(losses.total)
        assert all(torch.isfinite(value).all() for value in losses.figures.values())
        assert all(torch.isfinite(p.grad).all() for p in learner.parameters() if p.grad is not None)
    if rows == "attended":
        visited = learner.inventory.visited.nonzero().flatten().tolist()
        assert visited == [5], "0, 3 and 6 are heard in one mixture alone and have no global vector"
