"""What a model and its training cost, from what `csc info --json` says of it.

A backward pass is counted as two forward passes (gradients of the inputs and of the weights); parts that are
frozen have none.
"""

from __future__ import annotations

from typing import Any

BACKWARD = 2


def parameters(facts: dict[str, Any]) -> int:
    """All parameters of the model that is used, rows that only training needs left out."""
    return int(facts["parameters"]["total"])


def macs_per_second(facts: dict[str, Any]) -> float | None:
    """Multiply-accumulates of a forward pass for a second of audio; None where `csc info` does not count them."""
    found = facts.get("macs_per_second")
    return None if found is None else float(found)


def macs_of_step(facts: dict[str, Any]) -> float | None:
    """Multiply-accumulates of an optimiser step: all mixtures of a batch, forward and backward."""
    macs = macs_per_second(facts)
    if macs is None:
        return None
    settings = facts["settings"]
    mixtures = settings["batch"]["utterances"] * settings["batch"]["conditions"]
    return (1 + BACKWARD) * macs * mixtures * settings["mixtures"]["crop_s"]
