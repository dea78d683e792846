"""Multiply-accumulate operations of a network for a second of audio, counted while it runs.

Counted are the products of matrices, convolutions, recurrent layers and attention, to which nearly all of the
work goes; not element-wise functions, normalisations and Fourier transforms. One multiply-accumulate is two of
the floating-point operations (FLOP) that some papers count.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


class Macs(NamedTuple):
    """Multiply-accumulates for a recording of `seconds`: in all, and by the name of each module that was called."""

    seconds: float
    total: int
    modules: Mapping[str, int]

    @property
    def per_second(self) -> float:
        return self.total / self.seconds

    def of(self, module: nn.Module, name: str) -> int:
        """Of one module of the model by its name; a list of modules is never called, its members are."""
        if name in self.modules:
            return self.modules[name]
        return sum(self.of(child, f"{name}.{key}") for key, child in module.named_children())


def count_macs(model: nn.Module, sample_rate: int, seconds: float) -> Macs:
    """What the network does for a recording of `seconds`; attention makes longer ones dearer by the second.

    Args:
        model: its forward takes samples (B, T) and lengths (B,). Where it has `embed`, that is counted, too.
        sample_rate: Hz.
    """
    samples = max(1, round(seconds * sample_rate))
    try:
        # Without data nothing is computed, and recurrent layers fall apart into products that can be seen.
        return _count(copy.deepcopy(model).to("meta"), samples, sample_rate)
    except (RuntimeError, NotImplementedError):
        # Networks that look at values, such as the lengths, must really be run.
        return _count(model, samples, sample_rate)


def infer(model: nn.Module, mixture: Tensor, lengths: Tensor) -> Any:
    """All that the network does for extraction: mixture (B, T), lengths (B,)."""
    encoded = model(mixture, lengths)
    embed: Any = getattr(model, "embed", None)
    return encoded if embed is None else embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])


def _count(model: nn.Module, samples: int, sample_rate: int) -> Macs:
    tensors = [*model.parameters(), *model.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    # Noise, for silence may take another way through a network.
    mixture = torch.randn(1, samples, generator=torch.Generator().manual_seed(0)).to(device)
    training = model.training
    counter = FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION)
    with seen_through(), torch.no_grad(), counter:
        infer(model.eval(), mixture, torch.full((1,), samples, device=device))
    model.train(training)
    # A multiply-accumulate is counted as two there.
    counts = {name: sum(kinds.values()) // 2 for name, kinds in counter.get_flop_counts().items()}
    root = f"{type(model).__name__}."
    modules = {name.removeprefix(root): count for name, count in counts.items() if name.startswith(root)}
    return Macs(samples / sample_rate, counts.get("Global", 0), modules)


@contextmanager
def seen_through() -> Iterator[None]:
    """Switch off what takes a whole recurrent or attention layer at once, of which nothing can be seen."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other settings of the library that is switched off
            with torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


# Fused attention on a CPU, which torch's own table lacks: alike to the others.
CPU_ATTENTION: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
