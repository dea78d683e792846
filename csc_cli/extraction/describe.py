"""What a model directory holds, in words or as JSON; the entry of `csc info`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from csc_cli.errors import DataError
from csc_cli.nn.model import SETTINGS, CascadeModel, CscModel, EmbedderModel, ModelConfig, SpeakerModel, load_model

HISTORY = "train.jsonl"


def describe_model(directory: str | Path, *, as_json: bool = False) -> str:
    """Settings, parameters by part, lengths, and the last figures of the training.

    Raises:
        DataError: as `load_model`; the history is damaged.
    """
    directory = Path(directory)
    model = load_model(directory)
    facts = {
        "settings": read_settings(directory / SETTINGS),
        "parameters": count_parameters(model),
        "lengths": lengths(model),
        "training": last_figures(directory / HISTORY),
    }
    return json.dumps(facts, indent=2) if as_json else "\n".join(_words(directory, facts, model))


def read_settings(path: Path) -> dict[str, Any]:
    """The complete config that the model was trained with. `load_model` has read it before."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def count_parameters(model: SpeakerModel) -> dict[str, int]:
    """Numbers of parameters by part; `total` last."""
    counts: dict[str, int] = {}
    total = _count([model])
    if isinstance(model, CscModel | CascadeModel):
        encoder = model.encoder
        counts["filterbank"] = _count([encoder.filterbank])
        counts["trunk"] = _count([encoder.bottleneck, encoder.trunk])
        counts["separation head"] = _count([encoder.separation, encoder.masks])
        # All that is left of the encoder belongs to the speaker head, whatever its layers are called.
        counts["speaker head"] = _count([encoder]) - sum(counts.values())
    if isinstance(model, CscModel):
        counts["readout"] = _count([model.readout])
    if isinstance(model, EmbedderModel | CascadeModel):
        counts["embedder"] = _count([model.embedder])
    return {**counts, "total": total}


def _count(parts: list[nn.Module]) -> int:
    return sum(p.numel() for part in parts for p in part.parameters())


def lengths(model: SpeakerModel) -> dict[str, float]:
    """Windows, hops, segments and the step between segments, in seconds; an embedder has a window alone."""
    config = model.config
    if config.encoder is None:
        return {"window_s": config.window / config.sample_rate}
    bank, galr = config.encoder.filterbank, config.encoder.galr
    # A segment holds `chunk` frames, each `hop` after the last, and the last one is a whole window long.
    segment = (galr.chunk - 1) * bank.hop + bank.window
    samples = {
        "window_s": bank.window,
        "hop_s": bank.hop,
        "segment_s": segment,
        "segment_hop_s": galr.chunk_hop * bank.hop,
    }
    return {name: value / config.sample_rate for name, value in samples.items()}


def last_figures(path: Path) -> dict[str, Any]:
    """The last value of each figure of train.jsonl; empty where it was not trained.

    Raises:
        DataError: `path:line`, a line that is no figures; a half-written last line is passed over.
    """
    if not path.is_file():
        return {}
    figures: dict[str, Any] = {}
    rows = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, row in enumerate(rows, 1):
        try:
            figures |= json.loads(row)
        except (ValueError, TypeError) as error:
            if number < len(rows):
                raise DataError(f"{path}:{number}: not a line of JSON figures; remove it") from error
    return figures


def _words(directory: Path, facts: dict[str, Any], model: SpeakerModel) -> list[str]:
    config, length, training = model.config, facts["lengths"], dict(facts["training"])
    lines = [
        f"{directory}: streams {config.streams}, embeddings of {config.embedding} dimensions, {config.sample_rate} Hz",
        *_kind(config, length),
        "parameters",
        *(f"  {name:16} {count:>12,}" for name, count in facts["parameters"].items()),
    ]
    if not training.get("step"):
        lines.append("training: none")
    else:
        steps = f"{training.pop('step')} of {facts['settings'].get('optimiser', {}).get('steps', '?')} steps"
        minutes = training.pop("seconds", 0) / 60
        lines += [f"training: {steps}, {minutes:.1f} min; last figures"]
        lines += [f"  {name:16} {value}" for name, value in training.items()]
    settings = yaml.safe_dump(facts["settings"], sort_keys=False, default_flow_style=None)
    return [*lines, "settings", *(f"  {line}" for line in settings.splitlines())]


def _kind(config: ModelConfig, length: dict[str, float]) -> list[str]:
    """What the network hears, and in which pieces."""
    lines = []
    if config.encoder is not None:
        lines = [
            f"  filterbank: {config.encoder.filterbank.kind}, window {1000 * length['window_s']:g} ms, "
            f"hop {1000 * length['hop_s']:g} ms",
            f"  segments: {1000 * length['segment_s']:g} ms each, every {1000 * length['segment_hop_s']:g} ms; the "
            "network hears the whole recording (windows of it where it is long)",
        ]
    if config.embedder is not None:
        lines.append(f"  embedder: {config.embedder.kind}, hears " + ("streams" if config.encoder else "the recording"))
    return lines
