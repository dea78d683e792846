"""What an ablation's setting changes, by hand in float64, and that it changes nothing else.

All mixtures are guided, so that the streams come in the order of the references and no permutation is searched.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.nn.encoder import Guide
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import load_model, new_model, save_model
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import ObjectiveConfig, TrainConfig
from csc_cli.training.fresh import fresh_loss
from csc_cli.training.objective import Learner
from csc_cli.training.schedule import scheduled
from tests.training.losses import Spy, unit

ROWS = 9
Config = Callable[..., TrainConfig]


def make_learner(config: TrainConfig) -> Learner:
    torch.manual_seed(0)
    learner = Learner(new_model(config.model, 1), Inventory(config.inventory, ROWS, 8), config).eval()
    with torch.no_grad():
        learner.inventory.vectors *= torch.linspace(0.3, 2, ROWS)[:, None]  # lengths must not matter, or must
    return learner


@pytest.fixture
def batch() -> MixtureBatch:
    """Four mixtures of two talkers, the last of one."""
    generator = torch.Generator().manual_seed(0)
    sources = 0.05 * torch.randn(4, 2, 4000, generator=generator)
    sources[3, 1] = 0
    labels = torch.tensor([[0, 3], [3, 5], [5, 0], [6, -1]])
    noise = 0.01 * torch.randn(4, 4000, generator=generator)
    return MixtureBatch(sources.sum(1) + noise, sources, torch.full((4,), 4000), labels, ("a", "b", "c", "d"))


def figures(learner: Learner, batch: MixtureBatch, margin: float = 1.0) -> dict[str, float]:
    losses = learner(batch, torch.Generator().manual_seed(3), contextlib.nullcontext(), 1.0, margin)
    return {"total": float(losses.total.detach()), **{key: float(value) for key, value in losses.figures.items()}}


def streams(learner: Learner, batch: MixtureBatch) -> Iterable[tuple[int, torch.Tensor, torch.Tensor]]:
    """Own row, z (E,) and the segments (S, E) of each active stream, float64."""
    with torch.no_grad():
        encoded = learner.model(batch.mixture, batch.lengths, Guide(batch.sources, torch.ones(4, dtype=torch.bool)))
        z = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None]).double()
    for b, row in enumerate(batch.labels.tolist()):
        for c, own in enumerate(row):
            if own >= 0:
                yield own, z[b, c], encoded.segments[b, c, encoded.segment_mask[b]].double()


def nats(vector: torch.Tensor, rows: torch.Tensor, own: int, others: Iterable[int], alpha: float) -> float:
    """-log of f(z, g_own) over its sum with the others'."""
    t = {n: -alpha * float((vector - rows[n]).square().sum()) for n in {own, *others}}
    return math.log(sum(math.exp(value - t[own]) for value in t.values()))


@pytest.mark.parametrize("count", [1, 4, ROWS - 1])
def test_negatives_take_the_place_of_the_other_rows(
    config: Config, batch: MixtureBatch, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    whole = make_learner(config())
    learner = make_learner(config(f"objective.negatives={count}"))
    drawn: list[int] = []
    draw = learner.draw_negatives
    monkeypatch.setattr(
        learner, "draw_negatives", lambda choice: (drawn.extend((rows := draw(choice)).tolist()), rows)[1]
    )
    found, plain = figures(learner, batch), figures(whole, batch)
    rows, alpha = unit(learner.inventory.vectors.detach().double()), float(learner.temperature().detach())
    expected, spread = [], []
    for own, z, segments in streams(learner, batch):
        others = [n for n in drawn if n != own][:count]
        expected.append(nats(z, rows, own, others, alpha))
        spread.append(sum(nats(unit(one), rows, own, others, alpha) for one in segments) / len(segments))
    assert len(drawn) == count + 1 or count == ROWS - 1
    assert found["inventory"] == pytest.approx(sum(expected) / 7, abs=1e-4)
    assert found["segment"] == pytest.approx(sum(spread) / 7, abs=1e-4)
    assert found["bound"] == pytest.approx(math.log(count + 1) - found["inventory"], abs=1e-4)
    for key in ("separation", "batch", "si_snri"):
        assert found[key] == pytest.approx(plain[key], abs=1e-6), key
    if count == ROWS - 1:
        assert found["inventory"] == pytest.approx(plain["inventory"], abs=1e-5)


def test_negatives_are_not_used_where_a_bound_is_measured(config: Config, batch: MixtureBatch) -> None:
    one, two = (make_learner(config(*over)) for over in ((), ("objective.negatives=2",)))
    with torch.no_grad():
        torch.testing.assert_close(*(x.measure(batch, contextlib.nullcontext()) for x in (one, two)))


def test_negatives_are_the_same_on_every_rank_and_others_at_every_step(config: Config) -> None:
    learner = make_learner(config("objective.negatives=3"))

    def drawn(seed: int) -> list[int]:
        choice = torch.Generator().manual_seed(seed)
        found = learner.draw_negatives(choice)
        assert found is not None and torch.equal(choice.get_state(), torch.Generator().manual_seed(seed).get_state())
        return found.tolist()

    assert drawn(5) == drawn(5) and len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_distance_of_vectors_as_long_as_they_are(config: Config, batch: MixtureBatch) -> None:
    plain, learner = make_learner(config()), make_learner(config("objective.length_normalised=false"))
    found = figures(learner, batch)
    rows, alpha = learner.inventory.vectors.detach().double(), float(learner.temperature().detach())
    expected, spread = [], []
    for own, z, segments in streams(learner, batch):
        assert float(z.norm()) != pytest.approx(1, abs=1e-2)
        expected.append(nats(z, rows, own, range(ROWS), alpha))
        spread.append(sum(nats(one, rows, own, range(ROWS), alpha) for one in segments) / len(segments))
    assert found["inventory"] == pytest.approx(sum(expected) / 7, rel=1e-4)
    assert found["segment"] == pytest.approx(sum(spread) / 7, rel=1e-4)
    assert found["separation"] == pytest.approx(figures(plain, batch)["separation"], abs=1e-6)


def test_distance_of_fresh_vectors_as_long_as_they_are() -> None:
    labels = torch.tensor([[0, 3], [3, 5], [5, 0]])
    torch.manual_seed(2)
    spy = Spy(6, 2).double()
    spy.unit_length = False
    queries, segments = torch.randn(3, 2, 6).double(), torch.randn(3, 2, 4, 6).double()
    mask, alpha = torch.ones(3, 4, dtype=torch.bool), torch.tensor(0.7, dtype=torch.float64)
    config = ObjectiveConfig(length_normalised=False)
    loss, _ = fresh_loss(spy, queries, segments, mask, labels, alpha, torch.Generator().manual_seed(0), config)
    z = spy(queries, segments, mask[:, None]).vectors.flatten(0, 1).detach()
    for anchor, own in enumerate([0, 1, 1, 2, 2, 0]):  # of the speakers 0, 3, 5
        expected = nats(z[anchor], spy.seen.vectors[anchor].detach(), own, range(3), 0.7)
        assert float(loss.flatten()[anchor].detach()) == pytest.approx(expected, abs=1e-9)


def test_attended_rows_as_long_as_they_are() -> None:
    from csc_cli.nn.inventory import InventoryConfig

    inventory = Inventory(InventoryConfig(rows="attended", momentum=0.75), 4, 3)
    inventory.unit_length = False
    g = torch.tensor([[3.0, 0, 0], [1.0, 2, 0], [0, 0, 8]])
    inventory.update(torch.tensor([2, 2, 1]), g)
    torch.testing.assert_close(inventory.vectors[1:3].detach(), torch.stack([g[2], (g[0] + g[1]) / 2]))
    inventory.update(torch.tensor([1]), g[:1])
    torch.testing.assert_close(inventory.vectors[1].detach(), 0.75 * g[2] + 0.25 * g[0])


def test_what_is_extracted_has_unit_length_all_the_same(config: Config, batch: MixtureBatch, tmp_path: Path) -> None:
    settings = config("objective.length_normalised=false")
    learner = make_learner(settings)
    save_model(learner.model, tmp_path, configs.dumps(settings))
    model = load_model(tmp_path)
    with torch.no_grad():
        encoded = model(batch.mixture, batch.lengths)
        z = model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
        raw = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
    torch.testing.assert_close(z, unit(raw), atol=1e-5, rtol=1e-5)


def aam(cosines: torch.Tensor, own: int, margin: float, scale: float) -> float:
    """-log softmax of s cos(theta), with cos(theta + m) for the own row."""
    logits = [scale * float(cosine) for cosine in cosines]
    logits[own] = scale * math.cos(math.acos(float(cosines[own])) + margin)
    return math.log(sum(math.exp(value - logits[own]) for value in logits))


@pytest.mark.parametrize("separation", ["si_snr", "none"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_aam_softmax_is_all_that_is_left_of_the_speaker_losses(
    config: Config, batch: MixtureBatch, separation: str, share: float
) -> None:
    over = ("objective.speaker_loss=aam", "objective.aam_margin=0.3", "objective.aam_scale=20")
    over = (*over, "objective.contrastive_weight=2.5", f"objective.separation={separation}")
    learner = make_learner(config(*over))
    found = figures(learner, batch, share)
    rows = unit(learner.inventory.vectors.detach().double())
    expected = [aam(rows @ z, own, share * 0.3, 20) for own, z, _ in streams(learner, batch)]
    assert found["inventory"] == pytest.approx(sum(expected) / 7, abs=1e-4)
    assert found["segment"] == found["batch"] == 0
    plain = figures(make_learner(config(f"objective.separation={separation}")), batch)
    assert found["separation"] == pytest.approx(plain["separation"], abs=1e-6), "the network is the same"
    rest = found["separation"] if separation == "si_snr" else 0
    assert found["total"] == pytest.approx(2.5 * found["inventory"] + rest, rel=1e-5)
    if share == 0:  # without a margin: L_inv with alpha = scale / 2
        same = figures(make_learner(config("objective.alpha=10", "objective.learn_alpha=false")), batch)
        assert found["inventory"] == pytest.approx(same["inventory"], abs=1e-4)


def test_aam_softmax_trains_rows_and_readout_and_its_permutation_is_the_cheapest(
    config: Config, batch: MixtureBatch
) -> None:
    learner = make_learner(config("objective.speaker_loss=aam", "objective.separation=none"))
    losses = learner(batch, torch.Generator().manual_seed(3), contextlib.nullcontext(), 0.0)
    losses.total.backward()
    assert learner.temperature.a.grad is None and not learner.temperature.a.requires_grad
    assert learner.inventory.vectors.grad.any()
    assert all(p.grad.any() for p in learner.model.readout.parameters())
    with torch.no_grad():
        encoded = learner.model(batch.mixture, batch.lengths)
        z = learner.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None]).double()
    rows = unit(learner.inventory.vectors.detach().double())
    total = 0.0
    for b, (one, two) in enumerate(batch.labels.tolist()):
        cost = [[aam(rows @ z[b, c], own, 0.2, 30) if own >= 0 else 0 for own in (one, two)] for c in range(2)]
        total += min(cost[0][0] + cost[1][1], cost[1][0] + cost[0][1])
    assert float(losses.figures["inventory"]) == pytest.approx(total / 7, abs=1e-3)


def test_aam_softmax_is_measured_without_its_margin(config: Config, batch: MixtureBatch) -> None:
    learner = make_learner(config("objective.speaker_loss=aam", "objective.aam_scale=24"))
    alone = make_learner(config("objective.alpha=12"))
    with torch.no_grad():
        found, expected = (x.measure(batch, contextlib.nullcontext()) for x in (learner, alone))
    torch.testing.assert_close(found, expected)


def test_margin_grows_to_its_full_size(config: Config) -> None:
    settings = config("objective.aam_margin_warmup=0.5", "objective.guide_until=0.2", "optimiser.steps=100")
    found = [scheduled(settings, step) for step in (0, 10, 25, 50, 99)]
    assert [margin for _, margin, _ in found] == pytest.approx([0, 0.2, 0.5, 1, 1])
    assert [guided for guided, _, _ in found] == pytest.approx([1, 0.5, 0, 0, 0])


@pytest.mark.parametrize("chosen", [None, 4])
def test_regulariser_adds_its_weight_of_the_spread_and_without_weight_nothing(
    config: Config, batch: MixtureBatch, chosen: int | None
) -> None:
    rows = () if chosen is None else (f"objective.regulariser_rows={chosen}",)
    plain = figures(make_learner(config(*rows)), batch)
    learner = make_learner(config("objective.regulariser_weight=0.7", *rows))
    found = figures(learner, batch)
    vectors = unit(learner.inventory.vectors.detach().double())
    apart = torch.cdist(vectors, vectors) + 9 * torch.eye(ROWS, dtype=torch.float64)
    logs = apart.amin(1).log().tolist()
    if chosen is None:
        assert found["total"] - plain["total"] == pytest.approx(-0.7 * sum(logs) / ROWS, abs=1e-4)
    else:  # one of the means over four of them
        from itertools import combinations

        means = [-0.7 * sum(part) / 4 for part in combinations(logs, 4)]
        assert min(abs(found["total"] - plain["total"] - mean) for mean in means) < 1e-4
    for key in plain.keys() - {"total"}:
        assert found[key] == pytest.approx(plain[key], abs=1e-6), key


@pytest.mark.parametrize(
    "settings",
    [
        ("objective.speaker_loss=aam", "inventory.rows=attended"),
        ("objective.speaker_loss=aam", "objective.negatives=3"),
        ("objective.speaker_loss=aam", "objective.length_normalised=false"),
        ("objective.speaker_loss=aam", "objective.aam_scale=1"),
        ("objective.aam_margin=2",),
        ("objective.negatives=0",),
        ("objective.regulariser_rows=0",),
        ("objective.negatives=-1",),
        ("objective.si_snr_limit_db=0",),
        ("inventory.block=0",),
    ],
)
def test_settings_that_do_not_go_together_are_refused(config: Config, settings: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=settings[-1].split(".")[1].split("=")[0]):
        config(*settings)
