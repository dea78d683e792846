"""Schedules of the losses' weights: what they are at a step, and that the step's loss follows them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.training.config import TrainConfig
from csc_cli.training.schedule import scheduled
from csc_cli.training.trainer import Trainer

Config = Callable[..., TrainConfig]
RAMP = "objective.contrastive_weight=[[0.25, 0], [0.5, 4], [1, 2]]"


def test_a_schedule_is_linear_between_its_points_and_constant_outside(config: Config) -> None:
    settings = config("optimiser.steps=16", RAMP, "objective.silent_weight=[[0.5, 0.25]]", "objective.batch_weight=3")
    weights = [scheduled(settings, step)[2] for step in range(16)]
    by_hand = [0, 0, 0, 0, 0, 1, 2, 3, 4, 3.75, 3.5, 3.25, 3, 2.75, 2.5, 2.25]
    assert [one.contrastive for one in weights] == pytest.approx(by_hand)
    assert {one.silent for one in weights} == {0.25} and {one.batch for one in weights} == {3}
    assert weights[0].segment == settings.objective.segment_weight


def test_the_loss_of_each_step_has_its_weights(make_trainer: Callable[..., Trainer]) -> None:
    """L = L_sep + lambda (L_inv + 0.2 L_segments + batch_weight L_batch), both weights from tables made by hand."""
    schedule = "objective.batch_weight=[[0, 2], [0.5, 0]]"
    trainer = make_trainer("optimiser.precision=float64", "tracking.log_every=1", RAMP, schedule)
    trainer.run()
    rows = [json.loads(line) for line in (trainer.directory / "train.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "loss" in row]
    contrastive, batch = [0, 0, 0, 2, 4, 3.5, 3, 2.5], [2, 1.5, 1, 0.5, 0, 0, 0, 0]
    for row, one, two in zip(rows, contrastive, batch, strict=True):
        assert (row["contrastive_weight"], row["batch_weight"]) == (one, two)
        parts = row["inventory"] + 0.2 * row["segment"] + two * row["batch"]
        assert row["loss"] == pytest.approx(row["separation"] + one * parts, abs=2e-4)


def test_a_constant_schedule_is_the_plain_number(make_trainer: Callable[..., Trainer]) -> None:
    plain = make_trainer("objective.contrastive_weight=3", name="plain")
    flat = make_trainer("objective.contrastive_weight=[[0, 3], [1, 3]]", name="flat")
    plain.run()
    flat.run()
    assert (plain.directory / "model.safetensors").read_bytes() == (flat.directory / "model.safetensors").read_bytes()
    assert "contrastive_weight" not in (plain.directory / "train.jsonl").read_text()


def test_schedules_come_back_from_the_resolved_settings(config: Config) -> None:
    settings = config(RAMP)
    assert settings.objective.contrastive_weight == ((0.25, 0.0), (0.5, 4.0), (1.0, 2.0))
    assert configs.loads(TrainConfig, configs.dumps(settings)) == settings


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[]", "a schedule is"),
        ("[[0.5, 1], [0.2, 3]]", "ascending shares"),
        ("[[0.5, 1], [0.5, 3]]", "ascending shares"),
        ("[[0, 1], [1.5, 3]]", r"in \[0, 1\]"),
        ("[[0, 1], [1, -3]]", "must not be negative"),
        ("[[0, 1, 2]]", "must have 2 values"),
        ("[0, 1]", "must be a list"),
        ("much", "must be a number"),
    ],
)
def test_what_is_no_schedule_is_refused(config: Config, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(f"objective.segment_weight={value}")
