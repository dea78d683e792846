"""The losses of a batch as a whole against plain float64 loops: permutations, means, what trains what."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch

from csc_cli.nn.encoder import Guide
from csc_cli.nn.si_snr import TAU
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import ObjectiveConfig, TrainConfig
from csc_cli.training.objective import Learner
from tests.training.losses import ROWS, THREE, forward, make_batch, make_crowd, make_learner, nats, snr, unit

Nats = Callable[[torch.Tensor, torch.Tensor, int, float], float]


def reference_figures(
    learner: Learner, batch: MixtureBatch, config: ObjectiveConfig, nats: Nats = nats
) -> dict[str, float]:
    """Losses of a batch from the network's outputs, by hand: all pairs, all permutations, means over streams."""
    learner.eval()
    with torch.no_grad():
        encoded = learner.model(batch.mixture, batch.lengths)
        z = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
    learner.train()
    stored = learner.inventory.vectors.detach()
    rows, alpha = unit(stored) if config.length_normalised else stored, float(learner.temperature().detach())
    streams = batch.sources.shape[1]
    separation = inventory = gain = 0.0
    mixed = known = 0
    for b in range(len(batch.mixture)):
        n = int(batch.lengths[b])
        x = batch.mixture[b, :n].double()
        s = batch.sources[b, :, :n].double()
        s_hat = encoded.separated[b, :, :n].double()
        active = [bool(one.any()) for one in s]
        best = None
        for order in itertools.permutations(range(streams)):
            nat, own = 0.0, []
            for reference, estimate in enumerate(order):
                if active[reference]:
                    own.append(separation_by_hand(s_hat[estimate], s[reference], config))
                    nat += nats(z[b, estimate], rows, int(batch.labels[b, reference]), alpha)
                else:
                    left = float(s_hat[estimate].square().sum() / x.square().sum())
                    own.append(config.silent_weight * 10 * math.log10(left + TAU))
            cost = sum(own) * (config.separation != "none") + config.contrastive_weight * nat
            if best is None or cost < best[0]:
                best = (cost, own, nat, order)
        _, own, nat, order = best
        separation, inventory, known = separation + sum(own), inventory + nat, known + sum(active)
        if sum(active) > 1:
            heard = [(e, r) for r, e in enumerate(order) if active[r]]
            gain += sum(snr(s_hat[e], s[r]) - snr(x, s[r]) for e, r in heard)
            mixed += len(heard)
    count = len(batch.mixture) * streams
    return {"separation": separation / count, "inventory": inventory / known, "si_snri": gain / mixed}


def separation_by_hand(estimate: torch.Tensor, reference: torch.Tensor, config: ObjectiveConfig) -> float:
    if config.separation == "scale_aware":
        return 10 * math.log10(float((reference - estimate).square().sum() / reference.square().sum()) + TAU)
    if config.si_snr_limit_db is not None:
        limit = 10 ** (-config.si_snr_limit_db / 10)
        return 10 * math.log10(10 ** (-snr(estimate, reference) / 10) + limit)
    return -snr(estimate, reference)


@pytest.mark.parametrize("separation", ["si_snr", "scale_aware", "none", "si_snr objective.si_snr_limit_db=5"])
def test_losses_of_a_batch_by_hand(config: Callable[..., TrainConfig], separation: str) -> None:
    separation, *further = separation.split()
    settings = config(f"objective.separation={separation}", "objective.contrastive_weight=2.5", *further)
    learner, batch = make_learner(settings), make_batch()
    expected = reference_figures(learner, batch, settings.objective)
    learner.eval()  # as the reference: standardised by the running statistics
    losses = forward(learner, batch)
    for key, value in expected.items():
        assert float(losses.figures[key]) == pytest.approx(value, abs=2e-3, rel=1e-3), key
    o, parts = settings.objective, {key: float(value) for key, value in losses.figures.items()}
    total = 2.5 * (parts["inventory"] + o.segment_weight * parts["segment"] + o.batch_weight * parts["batch"])
    total += parts["separation"] if separation != "none" else 0
    assert float(losses.total.detach()) == pytest.approx(total, rel=1e-4)
    assert parts["bound"] == pytest.approx(math.log(ROWS) - parts["inventory"], abs=1e-4)


@pytest.mark.parametrize("separation", ["si_snr", "scale_aware", "none"])
def test_losses_of_three_streams_and_three_to_no_talkers_by_hand(
    config: Callable[..., TrainConfig], separation: str
) -> None:
    settings = config(*THREE, f"objective.separation={separation}", "objective.contrastive_weight=2.5")
    learner, batch = make_learner(settings), make_crowd()
    expected = reference_figures(learner, batch, settings.objective)
    losses = forward(learner.eval(), batch)
    for key, value in expected.items():
        assert float(losses.figures[key]) == pytest.approx(value, abs=2e-3, rel=1e-3), key


def test_means_run_over_the_streams_that_a_loss_knows(
    config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of 1 nat at each stream that has one comes out as 1, whatever the others are."""
    learner, batch = make_learner(config("inventory.rows=attended"), visited=4), make_batch()
    known = batch.labels >= 0
    visited = known & (batch.labels < 4)
    fresh = (known.float(), torch.zeros(8, 8))
    monkeypatch.setattr("csc_cli.training.objective.fresh_loss", lambda *args: fresh)
    stored = visited.float()[:, None].expand(-1, 2, -1)
    each = stored[:, :, None]
    monkeypatch.setattr("csc_cli.training.objective.mean_of_segments", lambda *args: visited.float())
    monkeypatch.setattr(learner, "stored_costs", lambda *args: (stored, each))
    figures = forward(learner, batch).figures
    assert [float(figures[key]) for key in ("inventory", "segment", "batch")] == pytest.approx([1, 1, 1])
    assert float(figures["bound"]) == pytest.approx(math.log(4) - 1)


def test_order_of_the_references_changes_nothing(config: Callable[..., TrainConfig]) -> None:
    """Utterance-level PIT: which talker is written first is no information. (L_batch draws other subsets.)"""
    learner, batch = make_learner(config("objective.batch_weight=0")), make_batch(silent=False)
    flipped = batch._replace(sources=batch.sources.flip(1), labels=batch.labels.flip(1))
    one, two = forward(learner.eval(), batch), forward(learner, flipped)
    torch.testing.assert_close(one.total, two.total, atol=1e-5, rtol=1e-5)


def test_guided_embeddings_belong_to_their_references_without_a_search(config: Callable[..., TrainConfig]) -> None:
    learner, batch = make_learner(config()).eval(), make_batch(silent=False)
    losses = forward(learner, batch, guided=1.0)
    with torch.no_grad():
        encoded = learner.model(batch.mixture, batch.lengths, Guide(batch.sources, torch.ones(4, dtype=torch.bool)))
        z = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
    rows, alpha = learner.inventory.unit().detach(), float(learner.temperature().detach())
    expected = [nats(z[b, c], rows, int(batch.labels[b, c]), alpha) for b in range(4) for c in range(2)]
    assert float(losses.figures["inventory"]) == pytest.approx(sum(expected) / 8, abs=1e-4)


def test_both_tasks_train_the_trunk(config: Callable[..., TrainConfig]) -> None:
    trunks = {}
    for name, settings in {
        "separation": ["objective.contrastive_weight=0"],
        "contrastive": ["objective.separation=none"],
    }.items():
        learner = make_learner(config(*settings))
        forward(learner, make_batch()).total.backward()
        trunks[name] = [p.grad.abs().sum() for p in learner.model.encoder.trunk.parameters()]
    assert all(float(value) > 0 for trunk in trunks.values() for value in trunk)
