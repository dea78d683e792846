"""The rivals' network: filterbank, frame layers, pooling, and one linear map an embedding.

Legend: B recordings, T samples, Q embeddings of one recording, E dimensions, D features, L frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from csc_cli.errors import ConfigError
from csc_cli.nn.baselines.ecapa import SCALE, EcapaTrunk
from csc_cli.nn.baselines.features import LogMel
from csc_cli.nn.baselines.layers import MaskedBatchNorm, share_statistics
from csc_cli.nn.baselines.pooling import Attentive, Statistics
from csc_cli.nn.baselines.recursive import Recursive
from csc_cli.nn.baselines.xvector import XVectorTrunk

WIDTHS = {"xvector": 360, "ecapa": 240}  # about 1.85 M parameters each
POOLINGS = {"xvector": "statistics", "ecapa": "attentive"}


@dataclass(frozen=True)
class EmbedderConfig:
    kind: Literal["xvector", "ecapa"] = "ecapa"
    channels: int | None = None  # width of the frame layers; null: 360 (xvector), 240 (ecapa), 1.85 M parameters each
    embedding: int = 192  # E
    embeddings: int = 1  # Q, embeddings of one recording
    pooling: Literal["statistics", "attentive", "recursive"] | None = None  # null: the kind's own, the first two
    mels: int = 64
    mean_removed: bool = True  # take each bin's mean over the recording from its log energies

    def __post_init__(self) -> None:
        if min(self.embedding, self.embeddings, self.width) < 1:
            raise ConfigError("channels, embedding and embeddings must be at least 1")
        if self.kind == "ecapa" and self.width % SCALE:
            raise ConfigError(f"channels={self.width}: must be a multiple of {SCALE} for ecapa")
        if self.pooled_by == "recursive" and self.embeddings < 2:
            raise ConfigError(f"embeddings={self.embeddings}: recursive pooling is for several, take 2")
        if self.mels < 4:
            raise ConfigError(f"mels={self.mels}: must be at least 4")

    @property
    def width(self) -> int:
        """Channels of the frame layers."""
        return WIDTHS[self.kind] if self.channels is None else self.channels

    @property
    def pooled_by(self) -> str:
        """The pooling that is used."""
        return POOLINGS[self.kind] if self.pooling is None else self.pooling


class Embedded(NamedTuple):
    vectors: Tensor  # (B, Q, E), any length
    existence: Tensor | None  # (B, Q) logits that there is a talker for each; None but for recursive pooling


class Embedder(nn.Module):
    """Waveform -> Q embeddings; the gradient reaches the samples."""

    def __init__(self, config: EmbedderConfig, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.features = LogMel(sample_rate, config.mels, config.mean_removed)
        trunk = EcapaTrunk if config.kind == "ecapa" else XVectorTrunk
        self.trunk: EcapaTrunk | XVectorTrunk = trunk(config.mels, config.width)
        self.pooling = make_pooling(config, self.trunk.features)
        # Attentions that are told apart by what came before share their map (arXiv 2408.17142, eq. 11).
        heads = 1 if config.pooled_by == "recursive" else config.embeddings
        self.heads = nn.ModuleList(
            Head(2 * self.trunk.features, config.embedding, config.kind == "ecapa") for _ in range(heads)
        )

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """samples (B, T), lengths (B,) real samples; the rest is ignored -> (B, Q, E), not normalised."""
        return self.embed(samples, lengths).vectors

    def embed(self, samples: Tensor, lengths: Tensor, talkers: Tensor | None = None) -> Embedded:
        """As `forward`, with the existence logits.

        `talkers` (B,) keeps embeddings beyond their number out of the batch's statistics, in training.
        """
        features, frames = self.features(samples, lengths)
        pooled = self.pooling(self.trunk(features, frames), frames)
        pooled, existence = pooled if isinstance(pooled, tuple) else (pooled, None)
        pooled = pooled.expand(-1, self.config.embeddings, -1)  # plain statistics are the same for all heads
        parts = pooled.chunk(len(self.heads), 1)
        real = None
        if talkers is not None and existence is not None:
            real = torch.arange(pooled.shape[1], device=samples.device) < talkers[:, None]
        vectors = [head(part, real) for head, part in zip(self.heads, parts, strict=True)]
        return Embedded(torch.cat(vectors, 1), existence)

    def share_statistics(self, total: Callable[[Tensor], Tensor] | None) -> None:
        """Let batch normalisation sum its statistics by `total`: over all processes, with gradient."""
        share_statistics(self, total)


class Head(nn.Module):
    """Statistics -> embedding: batch normalisation (ECAPA-TDNN) and a linear map."""

    def __init__(self, statistics: int, embedding: int, normalised: bool) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(statistics) if normalised else None
        self.out = nn.Linear(statistics, embedding)

    def forward(self, pooled: Tensor, real: Tensor | None = None) -> Tensor:
        """pooled (B, Q, 2 D); real (B, Q), false at those that stay out of the statistics -> (B, Q, E)."""
        if self.norm is not None:
            mask = None if real is None else real[:, None]
            pooled = self.norm(pooled.mT, mask).mT
        return self.out(pooled)


def make_pooling(config: EmbedderConfig, features: int) -> Statistics | Attentive | Recursive:
    """The pooling that the settings name."""
    if config.pooled_by == "recursive":
        return Recursive(features, config.embeddings)
    return Attentive(features, config.embeddings) if config.pooled_by == "attentive" else Statistics()
