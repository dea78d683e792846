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
    block: int = 8192  # rows that L_inv and the regulariser look at at a time: memory against speed

    def __post_init__(self) -> None:
        if self.block < 1:
            raise ConfigError(f"block={self.block}: must be at least 1")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum={self.momentum}: must lie in [0, 1)")


class Inventory(nn.Module):
    """N vectors that every embedding is held against; their directions alone count unless `unit_length` is false."""

    visited: Tensor

    def __init__(self, config: InventoryConfig, rows: int, dimensions: int) -> None:
        super().__init__()
        self.unit_length = True
        self.config = config
        learned = config.rows == "learned"
        self.vectors = nn.Parameter(torch.randn(rows, dimensions) / dimensions**0.5, requires_grad=learned)
        self.register_buffer("visited", torch.full((rows,), learned))

    def unit(self) -> Tensor:
        """(N, E) rows of unit length: a copy, which a large inventory's losses do without."""
        return functional.normalize(self.vectors, dim=-1)

    def scaled(self, vectors: Tensor) -> Tensor:
        """(..., E) of unit length, or as they are."""
        return functional.normalize(vectors, dim=-1) if self.unit_length else vectors

    def taking_part(self) -> Tensor | None:
        """(N,) true at rows that the normaliser counts; None where that is all of them.

        Until something is visited all rows stay in, so that the logarithm has a sum to take.
        """
        if self.config.rows == "learned" or not self.visited.any():
            return None
        return self.visited

    @torch.no_grad()
    def update(self, labels: Tensor, vectors: Tensor) -> None:
        """Move attended rows towards detached vectors: labels (A,), vectors (A, E).

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
        count = index.bincount()[:, None]
        fresh = self.scaled(total.index_add_(0, index, vectors[known].detach()) / count)
        momentum = torch.where(self.visited[rows], self.config.momentum, 0.0)[:, None].to(fresh.dtype)
        mixed = momentum * self.scaled(self.vectors[rows]).to(fresh.dtype) + (1 - momentum) * fresh
        self.vectors[rows] = self.scaled(mixed).to(self.vectors.dtype)
        self.visited[rows] = True
