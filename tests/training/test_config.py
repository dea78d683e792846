"""Strict settings of a training, and what changes over its steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.training.config import OptimiserConfig, TrainConfig
from csc_cli.training.device import choose_precision
from csc_cli.training.schedule import guided_share, learning_rate
from csc_cli.training.trainer import Trainer

Config = Callable[..., TrainConfig]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.steps=3", "unknown key 'optimizer'; did you mean 'optimiser'"),
        ("objective.contrastive_wieght=3", "did you mean 'contrastive_weight'"),
        ("model.encoder.galr.featurs=3", "unknown key 'model.encoder.galr.featurs'; did you mean 'features'"),
        ("mixtures.sirdb=[1, 2]", "did you mean 'sir_db'"),
        ("optimiser.steps=many", "whole number"),
        ("optimiser.learning_rate=-1", "learning_rate"),
        ("optimiser.steps=-1", "steps"),
        ("objective.alpha=200", "alpha"),
        ("objective.separation=sisnr", "si_snr"),
        ("objective.batch_weight=-1", "negative"),
        ("objective.silent_weight=-0.1", "negative"),
        ("objective.regulariser_weight=-0.1", "negative"),
        ("inventory.rows=stored", "learned"),
        ("inventory.momentum=1", "momentum"),
        ("batch.held_out=1", "held_out"),
        ("objective.guide_until=1.1", "guide_until"),
        ("objective.parted_latest=-1", "parted_latest"),
        ("batch.one_talker=1.5", "one_talker"),
        ("batch.conditions=2", "conditions"),
        ("mixtures.sample_rate=16000", "must be the same"),
        ("mixtures.crop_s=null", "crop_s"),
        ("mixtures.speeds=[1.0, 1.0]", "twice"),
        ("model.encoder.streams=1", "streams"),
        ("model.readout_heads=3", "readout_heads"),
        ("tracking.log_every=0", "log_every"),
    ],
)
def test_wrong_setting_is_refused(config: Config, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(override)


def test_missing_key_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:2: missing key 'model\.sample_rate'"):
        configs.loads(TrainConfig, "model:\n  encoder: {}\n", "x.yaml")
    with pytest.raises(ConfigError, match=r"missing key 'model'"):
        configs.loads(TrainConfig, "seed: 1\n", "x.yaml")


def test_resolved_settings_are_complete_and_come_back_equal(config: Config) -> None:
    settings = config("objective.alpha=7.5", "mixtures.speeds=[0.9, 1.0]")
    text = configs.dumps(settings)
    assert configs.loads(TrainConfig, text) == settings
    assert "regulariser_weight" in text and "own_stream" in text


def test_every_config_of_the_repository_loads() -> None:
    confs = sorted((Path(__file__).resolve().parents[2] / "conf/train").glob("*.yaml"))
    assert confs
    for conf in confs:
        assert configs.load(TrainConfig, conf).optimiser.steps > 0


def test_learning_rate_warms_up_and_falls_to_its_share() -> None:
    settings = OptimiserConfig(steps=50, warmup=10, learning_rate=2.0, final_rate=0.1)
    rates = [learning_rate(settings, step) for step in range(50)]
    for step, rate in enumerate(rates):
        if step < 10:
            expected = 2.0 * (step + 1) / 10
        else:
            expected = 2.0 * (0.1 + 0.9 * (1 + math.cos(math.pi * (step - 10) / 40)) / 2)
        assert rate == pytest.approx(expected)
    assert max(rates) == 2.0 and rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < learning_rate(OptimiserConfig(steps=3, warmup=5), 2) <= 1e-3


def test_guide_leaves_linearly(config: Config) -> None:
    settings = config("optimiser.steps=100", "objective.guide_until=0.4")
    shares = [guided_share(settings, step) for step in (0, 10, 20, 40, 41, 99)]
    assert shares == pytest.approx([1, 0.75, 0.5, 0, 0, 0])
    assert guided_share(config("objective.guide_until=0"), 0) == 0


def test_ceiling_is_the_entropy_of_the_rows_that_take_part(make_trainer: Callable[..., Trainer]) -> None:
    assert make_trainer().ceiling() == pytest.approx(math.log(6))
    assert make_trainer("mixtures.speeds=[1.0, 1.1]").ceiling() == pytest.approx(math.log(12))
    attended = make_trainer("inventory.rows=attended")
    assert attended.ceiling() == 0
    attended.learner.inventory.visited[:4] = True
    assert attended.ceiling() == pytest.approx(math.log(4))
    assert attended.ceiling([3, 4]) == 0 and attended.ceiling([1, 2, 5]) == pytest.approx(math.log(2))


def test_precision_is_what_was_asked_for() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == torch.float32
    assert choose_precision("bfloat16", cpu) == torch.bfloat16
    assert choose_precision("auto", cpu) in (torch.float32, torch.bfloat16)
