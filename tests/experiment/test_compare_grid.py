"""The recipe's own grid: each of its systems is a training that can be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from csc_cli import config as configs
from csc_cli.experiment.grid import load_grid
from csc_cli.training.config import TrainConfig

RECIPE = Path(__file__).resolve().parents[2] / "egs" / "speechocean762"
GRID = load_grid(RECIPE / "conf" / "compare.yaml")


@pytest.mark.parametrize("system", [system for system in GRID.systems if system.config], ids=lambda system: system.name)
def test_settings_of_each_system_fit_together(system) -> None:  # type: ignore[no-untyped-def]
    config = configs.load(TrainConfig, RECIPE / system.config, system.set)
    assert config.model.separates or not system.separates
    assert config.mixtures == configs.load(TrainConfig, RECIPE / GRID.systems[0].config).mixtures, "one and the same"
    assert (config.inventory.label == "utterance") == (system.group == "no labels"), "who knows the labels"


def test_every_group_that_is_compared_has_a_rival() -> None:
    for group in ("labels", "no labels"):
        assert any(system.rival for system in GRID.systems if system.group == group)
        assert any(not system.rival for system in GRID.systems if system.group == group)


def test_test_sets_are_marked_as_such() -> None:
    assert {trials.use for trials in GRID.trials if "test" in trials.folder} == {"test"}
    assert GRID.choices and GRID.test_log
