"""Four mixtures can be learned by heart: separated, and told apart by their rows."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from csc_cli import config as configs
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.si_snr import pairwise_si_snr
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Learner
from csc_cli.training.trainer import Trainer

CONF = """\
model:
  sample_rate: 8000
  encoder:
    galr: {features: 32, hidden: 32, chunk: 20, chunk_hop: 20, mapped: 8, heads: 4, feedforward: 64}
    trunk_blocks: 2
    embedding: 16
mixtures: {crop_s: 1.0, noise: {probability: 0}}
batch: {utterances: 4, conditions: 1, held_out: 0}
objective: {guide_until: 0, contrastive_weight: 1, parted_latest: 0.5}
optimiser: {precision: float32}
"""
# A real mask on an STFT keeps the mixture's phase, which limits how well it can do; the long window does best.
FILTERBANKS = {
    "learned": ("{kind: learned, window: 32, hop: 16, filters: 64}", 180),
    "stft": ("{kind: stft, window: 512, hop: 128}", 400),
}


def learn(trainer: Trainer, steps: int, learning_rate: float = 5e-3) -> Learner:
    """The same batch at every step, for other subsets of keys each time."""
    learner = trainer.learner.train()
    optimiser = torch.optim.Adam(learner.parameters(), lr=learning_rate)
    batch = trainer.batches[0]
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate * min(1, (step + 1) / 20) * (1 - step / steps)
        losses = learner(batch, torch.Generator().manual_seed(step), contextlib.nullcontext(), 0.0)
        optimiser.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
        optimiser.step()
        learner.update_inventory()
    return learner


@pytest.fixture
def make(make_data_dir: Callable[..., Path], tmp_path: Path) -> Callable[..., Trainer]:
    def build(*overrides: str) -> Trainer:
        data = DataDir.load(make_data_dir("data", speakers=4, utterances=3, seconds=1.2))
        return Trainer(configs.loads(TrainConfig, CONF, "conf", overrides), data, tmp_path, torch.device("cpu"))

    return build


@pytest.mark.long
@pytest.mark.parametrize("kind", ["learned", "stft"])
def test_four_mixtures_are_separated_beyond_15_db(make: Callable[..., Trainer], kind: str) -> None:
    filterbank, steps = FILTERBANKS[kind]
    trainer = make(f"model.encoder.filterbank={filterbank}")
    learner = learn(trainer, steps)
    losses = learner(trainer.batches[0], torch.Generator().manual_seed(0), contextlib.nullcontext(), 0.0)
    figures = {key: float(value) for key, value in losses.figures.items()}
    assert figures["si_snri"] > 15
    assert figures["inventory"] < 0.1 and figures["batch"] < 0.1
    ceiling = math.log(len(trainer.corpus.rows))
    assert ceiling - 0.1 < figures["bound"] <= ceiling + 1e-5
    learner.eval()  # by the running statistics of the standardisation, as in extraction
    gain, streams, loss, rows = learner.measure(trainer.batches[0], contextlib.nullcontext()).tolist()
    assert gain / streams > 15 and loss / rows < 0.2


@pytest.mark.parametrize("settings", [("inventory.rows=attended",), ("objective.separation=none",)])
def test_rows_are_learned_by_heart_without_separation_and_when_attended(
    make: Callable[..., Trainer], settings: tuple[str, ...]
) -> None:
    trainer = make("model.encoder.filterbank={kind: stft, window: 256, hop: 128}", *settings)
    learner = learn(trainer, 100)
    losses = learner(trainer.batches[0], torch.Generator().manual_seed(0), contextlib.nullcontext(), 0.0)
    figures = {key: float(value) for key, value in losses.figures.items()}
    assert figures["inventory"] < 0.2 and figures["batch"] < 0.2


@pytest.mark.long
def test_mixtures_of_one_to_three_talkers_are_separated_by_three_streams(
    make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    data = DataDir.load(make_data_dir("data", speakers=4, utterances=3, seconds=1.2))
    settings = ("model.encoder.streams=3", "model.encoder.filterbank={kind: stft, window: 512, hop: 128}")
    settings = (*settings, "batch={utterances: 6, conditions: 1, held_out: 0, one_talker: 0.3, more_talkers: [0.4]}")
    settings = (*settings, "objective.silent_weight=0.5")
    trainer = Trainer(configs.loads(TrainConfig, CONF, "conf", settings), data, tmp_path, torch.device("cpu"))
    trainer.batches.parted = True
    batch = trainer.batches[0]
    talkers = (batch.labels >= 0).sum(1)
    assert {1, 2, 3} == set(talkers.tolist()), "the seed must give mixtures of all kinds"
    learner = learn(trainer, 400).eval()
    with torch.no_grad():
        gain, streams, loss, rows = learner.measure(batch, contextlib.nullcontext()).tolist()
        silent = learner.measure_silent(batch, contextlib.nullcontext())[talkers < 3]
    assert gain / streams > 10 and loss / rows < 0.3
    assert float(silent.median()) < -20


@pytest.mark.long
def test_the_talker_of_a_mixture_with_one_is_left_whole_and_the_other_stream_falls_silent(
    make: Callable[..., Trainer],
) -> None:
    """Silent sources: their term must win a silent stream, and take nothing from the talker."""
    trainer = make("model.encoder.filterbank={kind: stft, window: 512, hop: 128}", "batch.one_talker=0.6")
    trainer.batches.parted = True
    batch = trainer.batches[0]
    alone = ~(batch.sources[:, 1].square().sum(1) > 0)
    assert 0 < int(alone.sum()) < 4, "the seed must give mixtures of both kinds"
    learner = learn(trainer, 400)
    with torch.no_grad():
        encoded = learner.eval().model(batch.mixture, batch.lengths)
    energy_db = 10 * encoded.separated.square().sum(-1).log10()[alone]
    assert (energy_db.amax(1) - energy_db.amin(1) > 10).all()
    real = torch.ones(batch.mixture.shape, dtype=torch.bool)
    snr = pairwise_si_snr(encoded.separated, batch.sources, real)[alone, :, 0]
    assert (snr.gather(1, energy_db.argmax(1, keepdim=True)) > 15).all()
