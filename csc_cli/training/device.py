"""What the machine gives a training: the precision of its products, memory against time, compiled steps."""

from __future__ import annotations

import ctypes

import torch

from csc_cli.nn.galr import GalrBlock
from csc_cli.nn.model import EmbedderModel, SpeakerModel

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype that a step computes in: `auto` is bfloat16 where the hardware multiplies it faster."""
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """bfloat16 by autocast, beside weights in float32; other precisions are those of the weights."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16)


def recompute_activations(model: SpeakerModel) -> None:
    """Have the GALR blocks keep their inputs alone for the backward pass (Chen et al. 2016, arXiv 1604.06174)."""
    for module in model.modules():
        if isinstance(module, GalrBlock):
            module.recompute = True


def compile_model(model: SpeakerModel, backend: str) -> None:
    """torch.compile of what a step calls, in place: names of tensors stay."""
    if isinstance(model, EmbedderModel):
        model.embedder.embed = torch.compile(model.embedder.embed, backend=backend)  # type: ignore[method-assign]
    else:
        model.compile(backend=backend)


def is_uncompiled(error: BaseException) -> bool:
    """Whether the error is torch.compile's own: no C++ compiler, for instance."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def keep_memory() -> None:
    """Have glibc keep freed memory: giving large tensors back and faulting them in again costs a fifth of a step.

    Nothing happens where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    most = 2**31 - 1
    mallopt(-3, most)  # M_MMAP_THRESHOLD: no mapping of its own for each large tensor
    mallopt(-1, most)  # M_TRIM_THRESHOLD: nothing is given back
