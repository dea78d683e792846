"""What a model and its training cost, from what `csc info --json` says of it.

A backward pass is counted as two forward passes (gradients of the inputs and of the weights); frozen parts have none.
"""

from __future__ import annotations

from typing import Any

BACKWARD = 2
# Parts of `csc info` that a frozen part of the model stands for; what is not here counts as trained.
FROZEN = {
    "encoder": ("filterbank", "trunk", "separation head", "speaker head"),
    "encoder.trunk": ("trunk",),
    "embedder": ("embedder",),
}


def parameters(facts: dict[str, Any]) -> int:
    """All parameters of the model that is used, rows that only training needs left out."""
    return int(facts["parameters"]["total"])


def macs_per_second(facts: dict[str, Any]) -> float:
    """Multiply-accumulates of a forward pass for a second of audio."""
    return float(facts["macs_per_second"])


def macs_of_step(facts: dict[str, Any]) -> float:
    """Multiply-accumulates of an optimiser step: all mixtures of a batch, forward, and backward where it is trained."""
    macs = macs_per_second(facts)
    settings, by_part = facts["settings"], facts["macs_per_second_by_part"]
    frozen = {part for name in settings["optimiser"].get("frozen", ()) for part in FROZEN.get(name, ())}
    trained = macs - sum(by_part.get(part, 0) for part in frozen)
    seconds = settings["batch"]["utterances"] * settings["batch"]["conditions"] * settings["mixtures"]["crop_s"]
    return float(seconds * (macs + BACKWARD * trained))
