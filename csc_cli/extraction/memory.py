"""Peak memory of work in a process of its own, where nothing that ran before can be mistaken for it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from csc_cli.extraction.network import run
from csc_cli.nn.model import ModelConfig, new_model
from csc_cli.parallel import in_fresh_process

STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Memory:
    """In bytes: of a process that has loaded all it needs, and the most that it had while it worked.

    On a GPU both are of the GPU's memory (as torch hands it out).
    """

    loaded: int
    peak: int
    device: str

    def facts(self, of: str) -> dict[str, Any]:
        """As plain values; `of` says of how much work."""
        return {"of": of, "loaded_bytes": self.loaded, "peak_bytes": self.peak, "device": self.device}


def inference_memory(config: ModelConfig, seconds: float, device: str = "cpu") -> Memory:
    """Of embedding (and separating) one recording of `seconds` with a network of these settings.

    Raises:
        CscError: the process was killed, for memory most likely.
    """
    return in_fresh_process(_infer, config, seconds, device)


def peak_while(work: Callable[[], Any], device: str) -> Memory:
    """The peak of this process, or of its GPU, until `work` is done; beside it what it had before."""
    before = peak_bytes(device)
    work()
    return Memory(before, peak_bytes(device), device)


def peak_bytes(device: str) -> int:
    """The most memory that this process has had so far; on a GPU, of the GPU's."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if STATUS.exists():
        # ru_maxrss would not do: a process inherits the peak of the one that began it.
        lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _infer(config: ModelConfig, seconds: float, device: str) -> Memory:
    model = new_model(config, 0).to(device).eval()
    # A short piece first: what a network loads or builds when it is first used is no part of a recording's.
    noise = np.random.default_rng(0).standard_normal(round(seconds * config.sample_rate)).astype(np.float32)
    short = noise[: config.sample_rate // 10]
    run(model, [short], len(short))
    return peak_while(lambda: run(model, [noise], len(noise)), device)
