"""The inventory of global speaker vectors: one row a speaker, or one a utterance.

Rows are learned (parameters, gradient from L_inv) or attended (replaced, with momentum, by
detached global vectors). Attended rows that were never visited take no part.

Legend: N rows, E dimensions, A anchors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.errors import ConfigError


@dataclass(frozen=True)
class InventoryConfig:
    label: Literal["speaker", "utterance"] = "speaker"  # utterance: self-supervised, no utt2spk is used
    rows: Literal["learned", "attended"] = "learned"
    momentum: float = 0.5  # of attended rows: new = momentum * old + (1 - momentum) * g

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum={self.momentum}: must lie in [0, 1)")


class Inventory(nn.Module):
    """N unit vectors that every embedding is held against."""

    visited: Tensor

    def __init__(self, config: InventoryConfig, rows: int, dimensions: int) -> None:
        super().__init__()
        self.config = config
        learned = config.rows == "learned"
        self.vectors = nn.Parameter(torch.randn(rows, dimensions) / dimensions**0.5, requires_grad=learned)
        self.register_buffer("visited", torch.full((rows,), learned))

    def unit(self) -> Tensor:
        """(N, E) rows of unit length."""
        return functional.normalize(self.vectors, dim=-1)

    @torch.no_grad()
    def update(self, labels: Tensor, vectors: Tensor) -> None:
        """Move attended rows towards detached unit vectors: labels (A,), vectors (A, E).

        Several vectors of one label are averaged first. Labels of -1 are passed over, and so are vectors of
        zeros (a stream without a global vector). Learned rows stay.
        """
        if self.config.rows == "learned":
            return
        known = (labels >= 0) & vectors.any(-1)
        rows, index = labels[known].unique(return_inverse=True)
        if not len(rows):
            return
        total = torch.zeros(len(rows), vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
        fresh = functional.normalize(total.index_add_(0, index, vectors[known].detach()), dim=-1)
        momentum = torch.where(self.visited[rows], self.config.momentum, 0.0)[:, None].to(fresh.dtype)
        mixed = momentum * self.unit()[rows].to(fresh.dtype) + (1 - momentum) * fresh
        self.vectors[rows] = functional.normalize(mixed, dim=-1).to(self.vectors.dtype)
        self.visited[rows] = True
