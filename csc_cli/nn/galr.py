"""GALR blocks: locally recurrent inside a chunk, globally attentive across chunks.

Lam, Wang, Su, Yu, "Effective low-cost time-domain audio separation using globally attentive
locally recurrent networks", SLT 2021 (arXiv 2101.05014), sec. 2.2. Ours: layer normalisation
over the features of a position alone, and padding that is masked at every step, so that an
utterance's result does not depend on what it is batched with.

Legend: B mixtures, S chunks, K frames a chunk, D features, Q mapped positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from csc_cli.errors import ConfigError
from csc_cli.nn.chunks import shift

FUSED = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH]
# Chunks up to which a CPU trains faster by the (S, S) matrices; beyond them their memory would outgrow the rest.
FEW_CHUNKS = 64


@dataclass(frozen=True)
class GalrConfig:
    features: int = 64  # D
    hidden: int = 64  # LSTM units a direction
    chunk: int = 20  # K, frames a chunk
    chunk_hop: int = 10  # K / 2 in the paper; K for chunks that do not overlap
    mapped: int = 8  # Q <= K: the attention runs at Q positions instead of K
    heads: int = 4
    feedforward: int = 128
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.mapped <= self.chunk:
            raise ConfigError(f"mapped={self.mapped}: must lie between 1 and chunk = {self.chunk}")
        if self.chunk_hop < 1 or self.chunk % self.chunk_hop:
            raise ConfigError(f"chunk={self.chunk}: must be a multiple of chunk_hop={self.chunk_hop}")
        if self.features % self.heads or self.features % 2:
            raise ConfigError(f"features={self.features}: must be even and a multiple of heads={self.heads}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout={self.dropout}: must lie in [0, 1)")


class LocallyRecurrent(nn.Module):
    """BiLSTM along the K frames of each chunk, projected, normalised, added."""

    def __init__(self, config: GalrConfig) -> None:
        super().__init__()
        self.lstm = nn.LSTM(config.features, config.hidden, batch_first=False, bidirectional=True)
        self.start = nn.Parameter(torch.zeros(2, 2, 1, config.hidden))  # learned h_0 and c_0, a direction each
        self.project = nn.Linear(2 * config.hidden, config.features)
        self.norm = nn.LayerNorm(config.features)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, K, D) -> (B, S, K, D)."""
        frames = x.flatten(0, 1).transpose(0, 1)  # (K, B S, D)
        start = self.start.expand(-1, -1, frames.shape[1], -1).to(x.dtype).contiguous()
        y, _ = self.lstm(frames, (start[0], start[1]))  # (K, B S, 2 hidden)
        y = self.norm(self.project(y)).transpose(0, 1).unflatten(0, x.shape[:2])
        return x + self.dropout(y)


class GloballyAttentive(nn.Module):
    """Self-attention along the S chunks, at Q positions in place of the K frames of a chunk."""

    def __init__(self, config: GalrConfig) -> None:
        super().__init__()
        d = config.features
        self.heads, self.mapped = config.heads, config.mapped
        self.down = nn.Parameter(torch.empty(config.mapped, config.chunk))
        self.up = nn.Parameter(torch.empty(config.chunk, config.mapped))
        nn.init.normal_(self.down, std=1 / math.sqrt(config.chunk))
        nn.init.normal_(self.up, std=1 / math.sqrt(config.mapped))
        self.norm_attention, self.norm_feedforward, self.norm = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.feedforward = nn.Sequential(nn.Linear(d, config.feedforward), nn.ReLU(), nn.Linear(config.feedforward, d))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, S, K, D), mask (B, S) true where a chunk holds a frame -> (B, S, K, D)."""
        y = torch.matmul(self.down.to(x.dtype), x).transpose(1, 2)  # (B, Q, S, D)
        y = y + positions(y.shape[2], y.shape[3], y.device).to(y.dtype)
        y = y + self.dropout(self.attend(self.norm_attention(y), mask))
        y = y + self.dropout(self.feedforward(self.norm_feedforward(y)))
        y = torch.matmul(self.up.to(y.dtype), y.transpose(1, 2))  # (B, S, K, D)
        return x + self.norm(y)

    def attend(self, y: Tensor, mask: Tensor) -> Tensor:
        """Multi-head attention along S: (B, Q, S, D) -> (B, Q, S, D)."""
        batch, _, chunks, d = y.shape
        qkv = self.qkv(y).reshape(batch * self.mapped, chunks, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B Q, heads, S, D / heads)
        keys = mask.repeat_interleave(self.mapped, 0)[:, None, None, :]  # (B Q, 1, 1, S)
        # Of few chunks the fused CPU kernel's backward pass takes longer than the whole block.
        plain = self.training and y.device.type == "cpu" and chunks <= FEW_CHUNKS
        with sdpa_kernel(SDPBackend.MATH if plain else FUSED):
            z = functional.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        return self.out(z.transpose(1, 2).reshape(batch, self.mapped, chunks, d))


class GalrBlock(nn.Module):
    """One locally recurrent and one globally attentive layer; padded frames come out as zeros.

    Where chunks do not overlap, every other block (odd `index`) sees them moved by half a chunk, so that
    no border stays a border (ours: it halves the work of the paper's overlap).
    """

    def __init__(self, config: GalrConfig, index: int = 0) -> None:
        super().__init__()
        self.offset = config.chunk // 2 if config.chunk_hop == config.chunk and index % 2 else 0
        self.local = LocallyRecurrent(config)
        self.across = GloballyAttentive(config)
        self.recompute = False  # activations are made again in the backward pass instead of kept

    def forward(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """(B, S, K, D), frame_mask (B, S, K, 1) true at real frames -> (B, S, K, D)."""
        if self.recompute and torch.is_grad_enabled():
            again: Tensor = checkpoint(self.moved, x, frame_mask, use_reentrant=False)
            return again
        return self.moved(x, frame_mask)

    def moved(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        """The chunks moved to where this block sees them, and back."""
        if self.offset:
            x, frame_mask = shift(x, -self.offset), shift(frame_mask, -self.offset)
            return shift(self.process(x, frame_mask), self.offset)
        return self.process(x, frame_mask)

    def process(self, x: Tensor, frame_mask: Tensor) -> Tensor:
        # The reversed LSTM meets padded frames first: they must be zeros, whatever came before.
        keep = frame_mask.to(x.dtype)
        x = self.local(x) * keep
        return self.across(x, frame_mask.any(2).squeeze(-1)) * keep


def positions(length: int, features: int, device: torch.device) -> Tensor:
    """Sinusoidal positions (length, features), Vaswani et al. 2017, sec. 3.5."""
    place = torch.arange(length, dtype=torch.float32, device=device)[:, None]
    rate = torch.exp(torch.arange(0, features, 2, device=device) * (-math.log(10000.0) / features))
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)
