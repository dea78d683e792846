"""The losses of a batch against plain float64 loops, and their gradients numerically."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.attention import CrossAttention, Readout
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import load_model, new_model
from csc_cli.nn.si_snr import TAU
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import ObjectiveConfig, TrainConfig
from csc_cli.training.fresh import fresh_loss
from csc_cli.training.objective import Learner, Losses
from csc_cli.training.streams import mean_of_segments
from csc_cli.training.trainer import Trainer

ROWS = 7


THREE = ("model.encoder.streams=3", "batch.utterances=6", "batch.more_talkers=[0.2]", "batch.no_talker=0.1")


def make_learner(config: TrainConfig, visited: int = ROWS) -> Learner:
    torch.manual_seed(0)
    learner = Learner(new_model(config.model, 1), Inventory(config.inventory, ROWS, 8), config)
    if config.inventory.rows == "attended":
        learner.inventory.visited[:visited] = True
    return learner


def make_batch(silent: bool = True, seed: int = 0) -> MixtureBatch:
    """Four mixtures of two talkers; the last has one talker alone, two have noise, one is shorter."""
    generator = torch.Generator().manual_seed(seed)
    sources = 0.05 * torch.randn(4, 2, 4000, generator=generator)
    lengths = torch.tensor([4000, 4000, 3000, 4000])
    sources[2, :, 3000:] = 0
    labels = torch.tensor([[0, 3], [3, 5], [5, 0], [6, 0]])
    if silent:
        sources[3, 1] = 0
        labels[3, 1] = -1
    noise = 0.01 * torch.randn(4, 4000, generator=generator)
    noise[1:3] = 0
    return MixtureBatch(sources.sum(1) + noise, sources, lengths, labels, ("a", "b", "c", "d"))


def make_crowd(seed: int = 0) -> MixtureBatch:
    """Mixtures of three, two, one and no talkers, the last of noise alone; talkers stand in any of three places."""
    batch = make_batch(silent=False, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    sources = 0.05 * torch.randn(4, 3, 4000, generator=generator)
    sources[2, :, 3000:] = 0
    labels = torch.tensor([[0, 3, 5], [3, -1, 0], [-1, -1, 5], [-1, -1, -1]])
    sources[labels < 0] = 0
    noise = 0.01 * torch.randn(4, 4000, generator=generator)
    noise[2, 3000:] = 0
    return batch._replace(mixture=sources.sum(1) + noise, sources=sources, labels=labels)


def forward(learner: Learner, batch: MixtureBatch, guided: float = 0.0) -> Losses:
    return learner(batch, torch.Generator().manual_seed(3), contextlib.nullcontext(), guided)


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def nats(z: torch.Tensor, rows: torch.Tensor, own: int, alpha: float) -> float:
    """-log of f(z, g_k) over the sum of all, one row at a time."""
    f = [math.exp(-alpha * float((z.double() - row.double()).square().sum())) for row in rows]
    return -math.log(f[own] / sum(f))


@pytest.mark.parametrize("visited", [3, 4, ROWS])
def test_stored_loss_is_a_loop_over_the_visited_rows(config: Callable[..., TrainConfig], visited: int) -> None:
    learner = make_learner(config("inventory.rows=attended"), visited)
    generator = torch.Generator().manual_seed(1)
    z = unit(torch.randn(4, 2, 8, generator=generator))
    segments = torch.randn(4, 2, 5, 8, generator=generator)
    mask = torch.rand(4, 5, generator=generator) < 0.7
    labels = make_batch().labels
    cost, each = learner.stored_costs(z, segments, labels, None)
    spread = mean_of_segments(each, mask, torch.tensor([[0, 1]]).expand(4, -1)).detach()
    rows = learner.inventory.unit()[:visited]
    alpha = float(learner.temperature().detach())
    for b, reference in itertools.product(range(4), range(2)):
        own = int(labels[b, reference])
        known = 0 <= own < visited
        for estimate in range(2):
            expected = nats(z[b, estimate], rows, own, alpha) if known else 0.0
            assert float(cost[b, estimate, reference].detach()) == pytest.approx(expected, abs=1e-4)
        losses = [nats(unit(segments[b, reference, s]), rows, own, alpha) for s in range(5) if mask[b, s] and known]
        assert float(spread[b, reference]) == pytest.approx(sum(losses) / max(1, int(mask[b].sum())), abs=1e-4)


class Spy(CrossAttention):
    def across(self, query: torch.Tensor, segments: torch.Tensor, groups: torch.Tensor) -> Readout:
        self.groups, self.seen = groups, super().across(query, segments, groups)
        return self.seen


def draw_fresh(labels: torch.Tensor, **settings: bool) -> tuple[Spy, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    spy = Spy(6, 2).double()
    queries, segments = torch.randn(*labels.shape, 6).double(), torch.randn(*labels.shape, 3, 6).double()
    mask = torch.tensor([[True, True, True], [True, False, True], [True, True, False], [False, True, True]])
    return spy, queries.requires_grad_(), segments.requires_grad_(), mask


LABELS = torch.tensor([[0, 3], [3, 5], [5, 0], [6, -1]])  # 6 speaks in one mixture alone: no g^{-m} of its own


def test_batch_loss_is_a_loop_over_the_fresh_vectors() -> None:
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha, choice = torch.tensor(3.0, dtype=torch.float64), torch.Generator().manual_seed(0)
    loss, own = fresh_loss(spy, queries, segments, mask, LABELS, alpha, choice, ObjectiveConfig())
    names = [0, 3, 5, 6]
    for anchor in range(8):
        label = int(LABELS.flatten()[anchor])
        place = names.index(label) if label >= 0 else -1
        have = [j for j in range(4) if spy.groups[anchor, j].any()]
        if place not in have:
            assert float(loss.flatten()[anchor]) == 0
            assert not own[anchor].any()
            continue
        m = anchor // 2
        z = spy(queries[m, anchor % 2], segments[m, anchor % 2], mask[m]).vectors
        f = {j: math.exp(-3 * float((z - spy.seen.vectors[anchor, j]).detach().square().sum())) for j in have}
        assert float(loss.flatten()[anchor]) == pytest.approx(-math.log(f[place] / sum(f.values())), abs=1e-6)
        torch.testing.assert_close(own[anchor], spy.seen.vectors[anchor, place])
    assert sum(float(value) > 0 for value in loss.flatten()) == 6


def test_batch_loss_reaches_both_sides() -> None:
    """Gradient to the anchor's own segments (through z) and to other mixtures' (through g)."""
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha = torch.tensor(3.0, dtype=torch.float64)
    args = (mask, LABELS, alpha, torch.Generator().manual_seed(0), ObjectiveConfig())
    loss, _ = fresh_loss(spy, queries, segments, *args)
    gradient = torch.autograd.grad(loss[0, 0], segments)[0]
    assert gradient[0, 0].any() and gradient[1:3].any()
    assert not gradient[0, 1].any(), "the other talker of the own mixture is no key"


def test_gradients_of_the_batch_loss_numerically() -> None:
    spy, queries, segments, mask = draw_fresh(LABELS)
    alpha = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)

    def loss(queries: torch.Tensor, segments: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        choice = torch.Generator().manual_seed(0)
        return fresh_loss(spy, queries, segments, mask, LABELS, alpha, choice, ObjectiveConfig())[0]

    assert torch.autograd.gradcheck(loss, (queries, segments, alpha))


def test_gradients_of_the_stored_losses_numerically(config: Callable[..., TrainConfig]) -> None:
    learner = make_learner(config("inventory.rows=attended"), 4).double()
    labels = make_batch().labels
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(4, 2, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    segments = torch.randn(4, 2, 2, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True], [True, False], [True, True], [False, True]])
    speakers = torch.tensor([[0, 1], [1, 0], [1, 0], [0, 1]])

    def losses(z: torch.Tensor, segments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        stored, each = learner.stored_costs(functional.normalize(z, dim=-1), segments, labels, None)
        return stored, mean_of_segments(each, mask, speakers)

    assert torch.autograd.gradcheck(losses, (z, segments))


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


def snr(estimate: torch.Tensor, reference: torch.Tensor) -> float:
    a, b = estimate - estimate.mean(), reference - reference.mean()
    target = (a @ b) / (b @ b) * b
    return 10 * math.log10(float(target.square().sum() / (a - target).square().sum()))


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
    from csc_cli.nn.encoder import Guide

    with torch.no_grad():
        encoded = learner.model(batch.mixture, batch.lengths, Guide(batch.sources, torch.ones(4, dtype=torch.bool)))
        z = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
    rows, alpha = learner.inventory.unit().detach(), float(learner.temperature().detach())
    expected = [nats(z[b, c], rows, int(batch.labels[b, c]), alpha) for b in range(4) for c in range(2)]
    assert float(losses.figures["inventory"]) == pytest.approx(sum(expected) / 8, abs=1e-4)


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


def test_loss_of_attended_rows_uses_them_as_stored_before_the_step(config: Callable[..., TrainConfig]) -> None:
    learner, batch = make_learner(config("inventory.rows=attended")).eval(), make_batch()
    before = learner.inventory.unit().clone()
    first = forward(learner, batch).figures["inventory"]
    torch.testing.assert_close(learner.inventory.unit(), before)
    learner.update_inventory()
    assert not torch.allclose(learner.inventory.unit()[[0, 3, 5]], before[[0, 3, 5]])
    torch.testing.assert_close(learner.inventory.unit()[[1, 2, 4, 6]], before[[1, 2, 4, 6]])
    assert float(forward(learner, batch).figures["inventory"]) != pytest.approx(float(first), abs=1e-4)


def test_learned_rows_are_trained_by_the_stored_loss_alone(config: Callable[..., TrainConfig]) -> None:
    learner, batch = make_learner(config("objective.contrastive_weight=0")), make_batch()
    forward(learner, batch).total.backward()
    assert not learner.inventory.vectors.grad.any()
    learner = make_learner(config("objective.batch_weight=5"))
    forward(learner, batch).total.backward()
    assert learner.inventory.vectors.grad.any()


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


CONFS = sorted((Path(__file__).resolve().parents[2] / "conf/train").glob("*.yaml"))
# Batches as small as they can be, of 1 s.
SMALL = ("mixtures.crop_s=1.0", "batch.utterances=6", "batch.conditions=2", "batch.held_out=0")
# Those for a GPU are as deep as they are wide: less audio, and one block where there are several alike.
LESS = ("mixtures.crop_s=0.3", "batch.conditions=1")
SHALLOW = tuple(f"model.encoder.{part}_blocks=1" for part in ("trunk", "separation", "speaker"))
SMALLER = {"csc-base": LESS, "csc-large": (*LESS, *SHALLOW)}


@pytest.mark.parametrize("conf", CONFS, ids=lambda conf: conf.stem)
def test_every_config_trains_all_its_parameters_and_is_saved_and_reloaded(
    make_data_dir: Callable[..., Path], tmp_path: Path, conf: Path
) -> None:
    from csc_cli import config as configs
    from csc_cli.kaldi.datadir import DataDir

    data = DataDir.load(make_data_dir("many", speakers=6, utterances=2, seconds=1.2))
    small = [*SMALL, *SMALLER.get(conf.stem, ()), "optimiser.steps=2", "optimiser.precision=float32"]
    settings = configs.load(TrainConfig, conf, small)
    trainer = Trainer(settings, data, tmp_path / conf.stem, torch.device("cpu"))
    seen: set[str] = set()
    step = trainer.optimiser.step

    def look() -> None:
        named = trainer.learner.named_parameters()
        seen.update(name for name, p in named if p.grad is not None and p.grad.any())
        step()

    trainer.optimiser.step = look  # type: ignore[method-assign]
    trainer.run()
    trained = {name for name, p in trainer.learner.named_parameters() if p.requires_grad and p.numel()}
    if settings.model.embedder is None and not settings.objective.contrastive_weight:
        # A separator alone has no use for the rest.
        heads = ("model.encoder.speaker", "model.readout", "inventory", "temperature")
        trained = {name for name in trained if not name.startswith(heads)}
        assert any(name.startswith("model.encoder.trunk") for name in trained)
    # A constant beside all logits of GE2E's softmax: it has no gradient but rounding errors.
    assert seen - {"similarity.bias"} == trained - {"similarity.bias"}
    reloaded = load_model(trainer.directory).state_dict()
    assert all(torch.equal(tensor, reloaded[name]) for name, tensor in trainer.learner.model.state_dict().items())
    again = Trainer(settings, data, trainer.directory, torch.device("cpu"))
    assert again.run().startswith("trained 0 of 2 steps")
    rows = trainer.learner.state_dict()
    assert all(torch.equal(tensor, rows[name]) for name, tensor in again.learner.state_dict().items())


def test_there_are_configs() -> None:
    assert {"csc-mini", "csc-base", "csc-speechocean762"} <= {conf.stem for conf in CONFS}
