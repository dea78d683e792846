"""Every ablation that docs/method.md names is a setting: it loads and trains."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import ConfigError
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "method.md"
SETTING = re.compile(r"`([a-z_.]+=[a-z0-9_.]+)`")


def ablations() -> list[tuple[str, ...]]:
    """The settings of each row of the table, those of an alternative (`;`) apart."""
    section = PAGE.read_text(encoding="utf-8").split("## 5.")[1].split("## 6.")[0]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("| ")][1:]
    return [tuple(SETTING.findall(part)) for row in rows for part in row.split(";") if SETTING.search(part)]


def test_page_names_the_ablations() -> None:
    assert len(ablations()) > 15
    assert ("objective.own_stream=true",) in ablations()


@pytest.mark.parametrize("settings", ablations(), ids=" ".join)
def test_ablation_trains(make_trainer: Callable[..., Trainer], settings: tuple[str, ...]) -> None:
    tiny = ("model.encoder.galr.chunk=20", "model.encoder.galr.chunk_hop=20", "optimiser.steps=3")
    trainer = make_trainer(*tiny, *settings)
    figures = []
    update = trainer.update
    trainer.update = lambda batch: (figures.append(update(batch)), figures[-1])[1]  # type: ignore[method-assign]
    assert trainer.run().startswith("trained 3 of 3")
    assert all(math.isfinite(value) for step in figures for value in step.values())


def test_guide_is_refused_where_the_speaker_head_could_not_hear_it(config: Callable[..., TrainConfig]) -> None:
    with pytest.raises(ConfigError, match="guide"):
        config("model.encoder.speaker_input=trunk", "objective.guide_until=0.2")
    config("model.encoder.speaker_input=trunk", "objective.guide_until=0")
