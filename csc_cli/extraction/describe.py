"""What a network is: its settings, and its parameters and work by part."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from csc_cli.extraction.macs import Macs, count_macs
from csc_cli.nn.encoder import SeparativeEncoder
from csc_cli.nn.model import ModelConfig, SpeakerModel

MIB = 1 << 20
Members = list[tuple[str, nn.Module]]


def describe_network(model: SpeakerModel, seconds: float) -> dict[str, Any]:
    """Parameters and multiply-accumulates by part, and lengths, as plain values.

    Args:
        seconds: length of the recording on which the multiply-accumulates are counted.
    """
    macs = count_macs(model, model.config.sample_rate, seconds)
    return {
        "parameters": count_parameters(model),
        "macs_per_second": macs.per_second,
        "macs_per_second_by_part": {name: count / macs.seconds for name, count in macs_by_part(model, macs).items()},
        "macs_of_s": macs.seconds,
        "lengths": lengths(model.config),
    }


def parts_of(model: nn.Module) -> dict[str, Members]:
    """The modules of each part of a network, with their names; whatever has no part of its own is left out."""
    parts: dict[str, Members] = {}
    for name, child in model.named_children():
        if isinstance(child, SeparativeEncoder):
            parts |= _parts_of_encoder(name, child)
        else:
            parts[name] = [(name, child)]
    return parts


def _parts_of_encoder(name: str, encoder: SeparativeEncoder) -> dict[str, Members]:
    homes = {
        "filterbank": "filterbank",
        "bottleneck": "trunk",
        "trunk": "trunk",
        "separation": "separation head",
        "masks": "separation head",
    }
    parts: dict[str, Members] = {part: [] for part in (*homes.values(), "speaker head")}
    for key, child in encoder.named_children():
        # All that is left belongs to the speaker head, whatever its layers are called.
        parts[homes.get(key, "speaker head")].append((f"{name}.{key}", child))
    return parts


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Numbers of parameters by part; `total` last."""
    counts = {
        part: sum(p.numel() for _, member in members for p in member.parameters())
        for part, members in parts_of(model).items()
    }
    return _with_rest(counts, sum(p.numel() for p in model.parameters()), "other")


def macs_by_part(model: nn.Module, macs: Macs) -> dict[str, int]:
    """Multiply-accumulates of the counted recording by part; `total` last."""
    counts = {part: sum(macs.of(member, name) for name, member in members) for part, members in parts_of(model).items()}
    # A filterbank's analysis and synthesis are no call of the module itself.
    return _with_rest(counts, macs.total, "filterbank" if "filterbank" in counts else "other")


def _with_rest(counts: dict[str, int], total: int, home: str) -> dict[str, int]:
    """The counts with what they lack of `total`, where there is any, added to the part `home`."""
    rest = total - sum(counts.values())
    if rest:
        counts[home] = counts.get(home, 0) + rest
    return {**counts, "total": total}


def lengths(config: ModelConfig) -> dict[str, float]:
    """Windows, hops, segments and the step between segments, in seconds; an embedder has a window alone."""
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


def read_settings(path: Path) -> dict[str, Any]:
    """The complete config that a model was trained with. `load_model` has read it before."""
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def words(name: str, config: ModelConfig, facts: dict[str, Any]) -> Iterator[str]:
    """The facts in lines for people, with memory and training where they are among them."""
    yield f"{name}: streams {config.streams}, embeddings of {config.embedding} dimensions, {config.sample_rate} Hz"
    yield from _kind_in_words(config, facts["lengths"])
    yield f"  {'':16} {'parameters':>12}  MACs for a second of audio (in a recording of {facts['macs_of_s']:g} s)"
    for part, count in facts["parameters"].items():
        yield f"  {part:16} {count:>12,}  {count_in_words(facts['macs_per_second_by_part'].get(part, 0)):>9}"
    for what, memory in facts.get("memory", {}).items():
        own = (memory["peak_bytes"] - memory["loaded_bytes"]) / MIB
        yield (
            f"peak memory of {what}, {memory['of']}: {memory['peak_bytes'] / MIB:.0f} MiB on {memory['device']}, "
            f"{own:.0f} MiB of it for the work itself"
        )
    yield from _training_words(facts)
    settings = yaml.safe_dump(facts["settings"], sort_keys=False, default_flow_style=None)
    yield from ("settings", *(f"  {line}" for line in settings.splitlines()))


def count_in_words(count: float) -> str:
    """A large number with three digits.

    >>> [count_in_words(count) for count in (0, 950, 46_360_576, 999_900_000, 1_234_567_890)]
    ['0', '950', '46.4 M', '1 G', '1.23 G']
    """
    for unit, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= 0.9995 * unit:  # below it three digits would be 1000 of the next smaller one
            return f"{count / unit:.3g}{name}"
    return f"{count:.3g}"


def _kind_in_words(config: ModelConfig, length: dict[str, float]) -> Iterator[str]:
    """What the network hears, and in which pieces."""
    if config.encoder is not None:
        yield (
            f"  filterbank: {config.encoder.filterbank.kind}, window {1000 * length['window_s']:g} ms, "
            f"hop {1000 * length['hop_s']:g} ms"
        )
        yield (
            f"  segments: {1000 * length['segment_s']:g} ms each, every {1000 * length['segment_hop_s']:g} ms; the "
            "network hears the whole recording (windows of it where it is long)"
        )
    if config.embedder is not None:
        yield f"  embedder: {config.embedder.kind}, hears " + ("streams" if config.encoder else "the recording")


def _training_words(facts: dict[str, Any]) -> Iterator[str]:
    training = dict(facts["training"])
    if not training.get("step"):
        yield "training: none"
        return
    steps = f"{training.pop('step')} of {facts['settings'].get('optimiser', {}).get('steps', '?')} steps"
    minutes = training.pop("seconds", 0) / 60
    yield f"training: {steps}, {minutes:.1f} min; last figures"
    yield from (f"  {name:16} {value}" for name, value in training.items())
