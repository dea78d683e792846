"""What to do when memory is full, in numbers."""

from __future__ import annotations

import re

import torch

from csc_cli.errors import CscError
from csc_cli.training.config import TrainConfig

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
CPU = re.compile(r"can't allocate memory|not enough memory|bad_alloc")


def is_full(error: BaseException) -> bool:
    """Whether the error says that memory is full."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(CPU.search(str(error)))


def explain(error: BaseException, config: TrainConfig, device: torch.device) -> CscError:
    """What to lower, and to what: memory grows with the mixtures of a step and their length."""
    batch, crop = config.batch, config.mixtures.crop_s or 0.0
    share = fitting_share(str(error), device)
    step = 2 if config.inventory.label == "speaker" else 1
    fewer = max(2 * batch.conditions + 1, int(batch.utterances * share))
    fewer += fewer % step
    return CscError(
        f"memory of {device} is full at batch.utterances={batch.utterances}, conditions={batch.conditions}, "
        f"crops of {crop:g} s: set batch.utterances={fewer}, or mixtures.crop_s={crop * share:.2g}; "
        "optimiser.activation_checkpointing=true keeps less of a step, batch.accumulate makes up for fewer utterances "
        "in all but L_batch, more processes (torchrun) share a batch without changing it"
    )


def fitting_share(message: str, device: torch.device) -> float:
    """How much of the batch would fit, a tenth left free; a half where nobody says how much was asked for."""
    asked = re.search(r"Tried to allocate ([\d.]+) (KiB|MiB|GiB)", message)
    if device.type != "cuda" or not asked:
        return 0.5
    need = torch.cuda.max_memory_allocated(device) + float(asked[1]) * UNITS[asked[2]]
    have = torch.cuda.get_device_properties(device).total_memory
    return min(0.9, 0.9 * have / need)
