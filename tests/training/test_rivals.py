"""Rivals in the same training: their losses against a plain restatement, and each kind of network put to use."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch
from click.testing import Result

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import load_model
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.rivals import Heard, RivalLearner
from csc_cli.training.schedule import scheduled
from csc_cli.training.trainer import Trainer

ALONE = """\
model:
  sample_rate: 8000
  encoder: null
  embedder: {{kind: {kind}, channels: 16, embedding: 12, mels: 16{more}}}
mixtures: {{crop_s: 0.5}}
batch: {{utterances: 6, conditions: {conditions}, held_out: 0.34, held_out_mixtures: 4, one_talker: {alone}}}
inventory: {{label: {label}}}
rival: {{loss: {loss}}}
optimiser: {{steps: 4, warmup: 2, precision: float32}}
tracking: {{log_every: 2, held_out_every: 2, checkpoint_every: 2}}
"""
DEFAULTS = {
    "kind": "xvector",
    "more": "",
    "alone": "0.4",
    "loss": "aam_softmax",
    "label": "speaker",
    "conditions": "1",
}
KINDS = {
    "xvector": {},
    "ecapa": {"kind": "ecapa"},
    "clean": {"alone": "1.0"},
    "mixup": {"loss": "margin_mixup"},
    "pit": {"more": ", embeddings: 2"},
    "recursive": {"kind": "ecapa", "more": ", embeddings: 2, pooling: recursive"},
    "simclr": {"loss": "nt_xent", "label": "utterance", "alone": "1.0", "conditions": "2"},
    "ge2e": {"loss": "ge2e", "label": "utterance", "alone": "1.0", "conditions": "2"},
}
AUTOCAST = torch.autocast("cpu", enabled=False)


def settings(name: str, *overrides: str) -> TrainConfig:
    text = ALONE.format(**(DEFAULTS | KINDS[name]))
    return configs.loads(TrainConfig, text, "rival.yaml", overrides)


@pytest.fixture
def data(make_data_dir: Callable[..., Path]) -> DataDir:
    return DataDir.load(make_data_dir("voices", speakers=6, utterances=3))


@pytest.mark.parametrize("name", KINDS)
def test_every_rival_trains_and_every_parameter_is_reached(name: str, data: DataDir, tmp_path: Path) -> None:
    trainer = Trainer(settings(name), data, tmp_path / "exp", torch.device("cpu"))
    reached: set[str] = set()
    for step in range(2):
        trainer.learner.train()
        losses = trainer.learner(trainer.batches[step], torch.Generator(), AUTOCAST, 1.0)
        losses.total.backward()
        if name == "recursive":  # arXiv 2408.17142, eq. 15
            parts = losses.figures
            torch.testing.assert_close(losses.total.detach(), parts["speaker"] + 0.1 * parts["existence"])
        reached |= {key for key, p in trainer.learner.named_parameters() if p.grad is not None and p.grad.any()}
    expected = {key for key, _ in trainer.learner.named_parameters()}
    if name in ("simclr", "ge2e"):
        expected -= {"rows.vectors"}  # there are none
    # GE2E's bias falls out of its softmax.
    assert reached - {"similarity.bias"} == expected - {"similarity.bias"}
    trainer.run()
    model = load_model(tmp_path / "exp")
    with torch.no_grad():
        encoded = model(torch.randn(2, 4000), torch.tensor([4000, 3000]))
    assert encoded.query.shape == (2, model.config.streams, 12)


def learner(name: str, rows: int = 5) -> RivalLearner:
    torch.manual_seed(0)
    from csc_cli.nn.model import build

    config = settings(name)
    model = build(config.model)
    return RivalLearner(model, rows, config).double()  # type: ignore[arg-type]


def batch(labels: list[list[int]], energies: list[list[float]] | None = None) -> MixtureBatch:
    sources = torch.zeros(len(labels), 2, 8, dtype=torch.float64)
    for place, row in enumerate(labels):
        for slot, label in enumerate(row):
            sources[place, slot] = 0 if label < 0 else (energies[place][slot] if energies else 1.0)
    lengths = torch.full((len(labels),), 8)
    return MixtureBatch(sources.sum(1), sources, lengths, torch.tensor(labels), ("",) * len(labels))


def by_hand(z: np.ndarray, rows: np.ndarray, own: int, other: int, margin: float, scale: float) -> float:
    """-log softmax with cos(theta + m) for the own row, the other talker's row left out."""
    cosines = rows @ z / np.linalg.norm(rows, axis=1) / np.linalg.norm(z)
    logits = [scale * math.cos(math.acos(c) + margin) if n == own else scale * c for n, c in enumerate(cosines)]
    kept = [math.exp(value - logits[own]) for n, value in enumerate(logits) if n != other]
    return math.log(sum(kept))


def test_both_talkers_are_targets_and_neither_is_held_against_the_other() -> None:
    rival, labels = learner("xvector"), [[0, 3], [2, -1], [4, 1]]
    z = torch.randn(3, 1, 12, dtype=torch.float64)
    value, count = rival.figures(Heard(z, None, None), batch(labels), torch.tensor(labels), 0.2)["speaker"]
    rows = rival.rows.vectors.detach().numpy()
    expected = [
        by_hand(z[i, 0].numpy(), rows, own, other, 0.2, 30.0)
        for i, pair in enumerate(labels)
        for own, other in (pair, pair[::-1])
        if own >= 0
    ]
    assert int(count) == 5
    np.testing.assert_allclose(value.sum().item(), sum(expected), rtol=1e-9)


def test_permutation_is_the_cheaper_one_each_embedding_is_held_against_both_talkers() -> None:
    rival, labels = learner("pit"), [[0, 3], [2, -1]]
    z = torch.randn(2, 2, 12, dtype=torch.float64)
    value, _ = rival.figures(Heard(z, None, None), batch(labels), torch.tensor(labels), 0.2)["speaker"]
    swapped, _ = rival.figures(Heard(z.flip(1), None, None), batch(labels), torch.tensor(labels), 0.2)["speaker"]
    torch.testing.assert_close(value, swapped)
    rows, vectors = rival.rows.vectors.detach().numpy(), z.numpy()

    def cost(item: int, embedding: int, own: int) -> float:
        return by_hand(vectors[item, embedding], rows, own, -1, 0.2, 30.0)

    straight = cost(0, 0, 0) + cost(0, 1, 3)
    crossed = cost(0, 1, 0) + cost(0, 0, 3)
    np.testing.assert_allclose(value[0].sum().item(), min(straight, crossed), rtol=1e-9)
    # Where there is one talker, both embeddings are the talker's.
    np.testing.assert_allclose(value[1].sum().item(), (cost(1, 0, 2) + cost(1, 1, 2)) / 2, rtol=1e-9)


@pytest.mark.parametrize("name", ["pit", "recursive"])
def test_two_embeddings_midway_between_the_talkers_are_worse_than_one_for_each(name: str) -> None:
    rival, labels = learner(name), [[0, 3]]
    rows = rival.rows.vectors.detach()
    apart = rows[None, [0, 3]]
    midway = torch.nn.functional.normalize(apart, dim=-1).mean(1, keepdim=True).expand(-1, 2, -1)
    existence = torch.zeros(1, 2, dtype=torch.float64) if name == "recursive" else None
    costs = [
        float(
            rival.figures(Heard(z, existence, None), batch(labels), torch.tensor(labels), 0.0)["speaker"][0]
            .detach()
            .sum()
        )
        for z in (apart, midway)
    ]
    assert costs[0] + 2 * math.log(1.9) < costs[1]  # midway each is one of two at best


def test_recursive_embeddings_beyond_the_talkers_are_asked_nothing_but_that_they_are_none() -> None:
    rival, labels = learner("recursive"), [[2, -1]]
    z = torch.randn(1, 2, 12, dtype=torch.float64)
    existence = torch.tensor([[3.0, -1.0]], dtype=torch.float64)
    figures = rival.figures(Heard(z, existence, None), batch(labels), torch.tensor(labels), 0.0)
    rows = rival.rows.vectors.detach().numpy()
    np.testing.assert_allclose(
        figures["speaker"][0].sum().item(), by_hand(z[0, 0].numpy(), rows, 2, -1, 0.0, 30.0), rtol=1e-9
    )
    # The first talker is taken for granted: only the second's absence is asked for.
    np.testing.assert_allclose(figures["existence"][0].sum().item(), math.log1p(math.exp(-1.0)), rtol=1e-9)


def test_margin_mixup_shares_by_amplitude() -> None:
    rival, labels = learner("mixup"), [[0, 3]]
    z = torch.randn(1, 1, 12, dtype=torch.float64)
    value, count = rival.figures(Heard(z, None, None), batch(labels, [[3.0, 1.0]]), torch.tensor(labels), 0.2)[
        "speaker"
    ]
    rows = rival.rows.vectors.detach().numpy()
    expected = 0.75 * by_hand(z[0, 0].numpy(), rows, 0, -1, 0.15, 30.0)
    expected += 0.25 * by_hand(z[0, 0].numpy(), rows, 3, -1, 0.05, 30.0)
    assert int(count) == 1
    np.testing.assert_allclose(value.sum().item(), expected, rtol=1e-9)


def test_margin_grows_to_its_full_size() -> None:
    config = settings("xvector", "optimiser.steps=100", "rival.margin_warmup=0.5")
    assert [scheduled(config, step) for step in (0, 25, 50, 99)] == [(0.0,), (0.5,), (1.0,), (1.0,)]


def test_embedders_are_extracted_from_and_separate_nothing(
    csc: Callable[..., Result], make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_data_dir("voices", speakers=6, utterances=3)
    conf = tmp_path / "rival.yaml"
    for name, streams in (("ecapa", 1), ("pit", 2)):
        conf.write_text(configs.dumps(settings(name)))
        csc("train", conf, data, tmp_path / name)
        csc("extract", "--streams", "all", tmp_path / name, data, tmp_path / f"{name}_x")
        vectors = dict(kaldiio.load_scp(str(tmp_path / f"{name}_x" / "xvector.scp")))
        assert len(vectors) == 18 * streams
        assert all(abs(np.linalg.norm(vector) - 1) < 1e-5 for vector in vectors.values())
        assert "embedder" in csc("info", tmp_path / name).stdout
    result = csc("separate", tmp_path / "ecapa", data, tmp_path / "s", status=1)
    assert "an embedder alone, which separates nothing" in result.stderr


def test_cascade_embeds_what_the_frozen_separator_gives(
    csc: Callable[..., Result], make_data_dir: Callable[..., Path], make_trainer: Callable[..., Trainer], tmp_path: Path
) -> None:
    make_trainer("optimiser.steps=2", "objective.contrastive_weight=0", name="separator").run()
    embedder = settings("ecapa")
    Trainer(embedder, DataDir.load(tmp_path / "data"), tmp_path / "embedder", torch.device("cpu")).run()
    both = configs.to_dict(make_trainer().config)
    both["model"]["embedder"] = configs.to_dict(embedder)["model"]["embedder"]
    conf = tmp_path / "both.yaml"
    import yaml

    conf.write_text(yaml.safe_dump(both))
    command = ("train", conf, tmp_path / "data", tmp_path / "cascade", "--set", "optimiser.steps=2")
    assert "add encoder here" in csc(*command, status=1).stderr
    inits = ("--init", tmp_path / "separator", "--init", tmp_path / "embedder", "--set", "optimiser.frozen=[encoder]")
    csc(*command, *inits)
    before, after = load_model(tmp_path / "separator").state_dict(), load_model(tmp_path / "cascade").state_dict()
    shared = [name for name in after if name.startswith("encoder.")]
    assert shared and all(torch.equal(after[name], before[name]) for name in shared)
    tuned, given = "embedder.heads.0.out.weight", load_model(tmp_path / "embedder").state_dict()
    assert not torch.equal(after[tuned], given[tuned])
    csc("extract", "--streams", "all", tmp_path / "cascade", tmp_path / "data", tmp_path / "x")
    csc("separate", tmp_path / "cascade", tmp_path / "data", tmp_path / "s")


def test_a_cascade_has_one_embedding_a_stream() -> None:
    with pytest.raises(ConfigError, match=r"embedder.embeddings=2: must be 1 behind an encoder"):
        settings("pit", "model.encoder={galr: {features: 8, heads: 2}, embedding: 8}")
