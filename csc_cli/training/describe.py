"""What a model is, or what a config would make: the entry of `csc info`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csc_cli import config as configs
from csc_cli.errors import ConfigError
from csc_cli.extraction.describe import describe_network, read_settings, words
from csc_cli.extraction.memory import inference_memory
from csc_cli.history import HISTORY, read_history
from csc_cli.nn.model import SETTINGS, SpeakerModel, load_model, new_model, pick_device
from csc_cli.training.config import TrainConfig
from csc_cli.training.footprint import training_memory


def describe(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    seconds: float = 10.0,
    memory: bool = True,
    training_step: bool = False,
    device: str = "auto",
    as_json: bool = False,
) -> str:
    """Settings, parameters and work by part, lengths, peak memory, and the last figures of a training.

    Args:
        path: a model directory, or a config file of `csc train` of which nothing is trained yet.
        overrides: settings of a config file, `part.key=value`.
        seconds: length of the recording on which work and memory are measured.
        memory: whether the memory of inference is measured, in a process of its own.
        training_step: whether a training step's is, too, which takes as long and as much as such a step.
        device: where memory is measured.

    Raises:
        CscError: no such model or config, or a process was killed, for memory most likely.
    """
    place = str(pick_device(device))
    model, facts = _open_model(path, overrides) if path.is_dir() else _open_config(path, overrides)
    facts |= describe_network(model, seconds)
    if memory or training_step:
        facts["memory"] = {}
    if memory:
        measured = inference_memory(model.config, seconds, place)
        facts["memory"]["inference"] = measured.facts(f"a recording of {seconds:g} s")
    if training_step:
        config = configs.load(TrainConfig, path / SETTINGS if path.is_dir() else path, overrides)
        of = f"{config.batch.mixtures} mixtures of {config.mixtures.crop_s:g} s"
        facts["memory"]["a training step"] = training_memory(config, place).facts(of)
    return json.dumps(facts, indent=2) if as_json else "\n".join(words(str(path), model.config, facts))


def _open_model(directory: Path, overrides: Sequence[str]) -> tuple[SpeakerModel, dict[str, Any]]:
    if overrides:
        raise ConfigError(f"{directory}: is trained; --set is for config files, of which nothing is trained yet")
    model = load_model(directory)
    return model, {"settings": read_settings(directory / SETTINGS), "training": _last_figures(directory / HISTORY)}


def _last_figures(path: Path) -> dict[str, Any]:
    """The last value of each figure of train.jsonl; empty where it was not trained."""
    figures: dict[str, Any] = {}
    for row in read_history(path):
        figures |= row
    return figures


def _open_config(path: Path, overrides: Sequence[str]) -> tuple[SpeakerModel, dict[str, Any]]:
    config = configs.load(TrainConfig, path, overrides)
    return new_model(config.model, config.seed), {"settings": configs.to_dict(config), "training": {}}
