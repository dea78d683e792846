"""How empty the empty stream is, on held-out mixtures of one talker."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from csc_cli.training.batches import held_out_batches
from csc_cli.training.trainer import Trainer


def test_level_is_the_median_over_held_out_mixtures_of_one_talker(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer("batch.held_out_mixtures=7")
    found = trainer.held_out()["held_out_silent_db"]
    levels = []
    for batch in held_out_batches(trainer.config, trainer.corpus, trainer.store, 1, talkers=1):
        with torch.no_grad():
            encoded = trainer.learner.model(batch.mixture, batch.lengths)
        energy = encoded.separated[0].double().square().sum(-1).numpy()
        talker = batch.sources[0, 0].double()
        talker = talker - talker.mean()
        cosines = [float(x @ talker / x.norm()) for x in (one - one.mean() for one in encoded.separated[0].double())]
        empty = 1 - int(np.argmax(np.square(cosines)))
        levels.append(10 * np.log10(energy[empty] / batch.mixture.double().square().sum().item()))
    assert len(levels) == 7 and found == pytest.approx(np.median(levels), abs=2e-3)


def test_network_that_gives_all_to_one_stream_reaches_the_floor(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer()
    with torch.no_grad():
        head = trainer.learner.model.encoder.masks[-1]
        head.weight.zero_()
        head.bias.copy_(torch.tensor([30.0, 0.0, 0.0]).repeat_interleave(len(head.bias) // 3))
    assert trainer.held_out()["held_out_silent_db"] < -60


def test_separation_that_is_not_trained_is_not_measured(make_trainer: Callable[..., Trainer]) -> None:
    assert "held_out_silent_db" not in make_trainer("objective.separation=none").held_out()
    assert "held_out_silent_db" not in make_trainer("batch.held_out=0").held_out()


@pytest.mark.parametrize(("streams", "shares", "utterances"), [(3, "[0.3]", 6), (4, "[0.2, 0.2]", 8)])
def test_training_with_none_to_all_talkers(
    make_trainer: Callable[..., Trainer], streams: int, shares: str, utterances: int
) -> None:
    settings = (f"model.encoder.streams={streams}", f"batch.more_talkers={shares}", "batch.no_talker=0.2")
    trainer = make_trainer(*settings, f"batch.utterances={utterances}", "objective.parted_latest=0")
    assert trainer.run().startswith("trained 8 of 8")
    rows = [json.loads(line) for line in (trainer.directory / "train.jsonl").read_text().splitlines()]
    assert any(row.get("parted") for row in rows) and any("held_out_silent_db" in row for row in rows)
    assert all(np.isfinite(value) for row in rows for value in row.values())
