"""How the rivals learn: a margin softmax over speakers, or positives and negatives among the batch.

The recordings, their talkers and their rows are those that CSC is trained on. Where a recording has one
embedding, each of its talkers is a target, and no talker of a recording is held against another one of it.
Several embeddings are assigned to the talkers with the least loss (permutation-invariant training over the
AAM-softmax loss, ours after Kolbaek et al. 2017); those of a cascade as its streams are. Each of them is held
against the other talkers too: otherwise all could lie midway between the talkers' rows at no cost.

Legend: B recordings, Q embeddings of each, C sources of each, E dimensions, N rows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from csc_cli.nn.baselines.recursive import COUNTING_WEIGHT, counting_loss
from csc_cli.nn.margin import Rows, aam_loss, margin_mixup_loss
from csc_cli.nn.model import CascadeModel, EmbedderModel
from csc_cli.nn.pairs import Ge2e, nt_xent_loss
from csc_cli.nn.pit import best_permutation
from csc_cli.nn.precision import at_least_float32
from csc_cli.nn.si_snr import pairwise_si_snr
from csc_cli.training import distributed
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.objective import Losses
from csc_cli.training.streams import heard_cost, mixed, pick, snr_gain


class Heard(NamedTuple):
    """What the network makes of a batch."""

    vectors: Tensor  # (B, Q, E)
    existence: Tensor | None  # (B, Q) logits that there is a talker for an embedding
    separated: Tensor | None  # (B, Q, T) samples of a cascade's streams


class RivalLearner(nn.Module):
    """A network with an embedder, and the rows that its embeddings are told apart by."""

    def __init__(self, model: EmbedderModel | CascadeModel, rows: int, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.config = model, config.rival
        self.count = rows
        self.rows = Rows(0 if self.among_pairs else rows, config.model.embedding)
        self.similarity = Ge2e() if self.config.loss == "ge2e" else None
        if distributed.world() > 1:  # one process has a faster way of its own
            model.embedder.share_statistics(distributed.total_with_gradient)

    @property
    def among_pairs(self) -> bool:
        """Whether embeddings are held against each other, not against rows."""
        return self.config.loss in ("ge2e", "nt_xent")

    def forward(
        self, batch: MixtureBatch, choice: torch.Generator, autocast: torch.autocast, margin: float = 1.0
    ) -> Losses:
        """Losses of this rank's part; `margin` is the share of the full margin at this step."""
        labels = torch.where(batch.active, batch.labels, -1)
        heard = self.hear(batch, labels, autocast)
        if self.among_pairs:
            loss = self.among_batch(heard.vectors, labels)
            return Losses(loss, {"speaker": loss.detach()})
        figures = self.figures(heard, batch, labels, margin * self.config.margin)
        counts = {key: distributed.total(count.float().cpu()).clamp(min=1) for key, (_, count) in figures.items()}
        parts = {key: value.sum() / counts[key] for key, (value, _) in figures.items()}
        loss = parts["speaker"] + COUNTING_WEIGHT * parts.get("existence", 0.0)
        return Losses(loss, {key: value.detach() for key, value in parts.items()})

    def hear(self, batch: MixtureBatch, labels: Tensor, autocast: torch.autocast) -> Heard:
        """The network on a batch."""
        with autocast:
            if isinstance(self.model, CascadeModel):
                encoded = self.model(batch.mixture, batch.lengths)
                return Heard(at_least_float32(encoded.query), None, at_least_float32(encoded.separated))
            embedded = self.model.embedder.embed(batch.mixture, batch.lengths, (labels >= 0).sum(1))
        existence = None if embedded.existence is None else at_least_float32(embedded.existence)
        return Heard(at_least_float32(embedded.vectors), existence, None)

    def among_batch(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Every rank holds the whole batch's embeddings, and takes its share of the whole batch's loss."""
        z, names = distributed.gather(vectors[:, 0]), distributed.gather(labels[:, 0])
        if self.similarity is not None:
            loss = self.similarity(z, names)
        else:
            loss = nt_xent_loss(z, names, self.config.temperature)
        return loss.sum() / (names >= 0).sum().clamp(min=1) / distributed.world()

    def figures(
        self, heard: Heard, batch: MixtureBatch, labels: Tensor, margin: float
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Values, 0 where there is nothing to measure, and how many are measured."""
        known = labels >= 0
        figures: dict[str, tuple[Tensor, Tensor]] = {}
        cost = self.cost(heard.vectors, labels, margin)  # (B, Q, C)
        if heard.separated is not None:
            real = batch.real
            snr = pairwise_si_snr(heard.separated, batch.sources, real)
            permutation = best_permutation(heard_cost(snr, known))
            figures["si_snri"] = (snr_gain(snr, batch, real, permutation, known), mixed(known).sum())
            loss = pick(cost, permutation)
        elif cost.shape[1] == 1:
            loss = cost[:, 0]
        elif heard.existence is not None:
            talkers = known.sum(1, keepdim=True)
            # The talkers are the first embeddings; which of them is whose is free.
            beyond = torch.arange(cost.shape[1], device=known.device) >= talkers  # (B, Q)
            barred = 1e4 * (known[:, None] & beyond[:, :, None])
            loss = pick(cost, best_permutation(cost + barred))
            figures["existence"] = (counting_loss(heard.existence, talkers[:, 0]), torch.tensor(len(labels)))
        else:
            # All embeddings of a recording with one talker are the talker's.
            alone = known.sum(1, keepdim=True) == 1
            loss = torch.where(alone, cost.mean(1), pick(cost, best_permutation(cost)))
        ceiling = math.log(self.count)
        figures["bound"] = ((ceiling - loss.detach()) * known, known.sum())
        if self.config.loss == "margin_mixup":
            figures["speaker"] = (self.mixup(heard.vectors[:, 0], batch, labels, margin), torch.tensor(len(labels)))
        else:
            figures["speaker"] = (loss * known, known.sum())
        return figures

    def cost(self, z: Tensor, labels: Tensor, margin: float) -> Tensor:
        """AAM-softmax loss of each embedding for each talker: (B, Q, E), (B, C) -> (B, Q, C); 0 for silent ones.

        A recording's only embedding is not held against its other talkers.
        """
        count = labels.shape[1]
        cosine = self.rows.cosine(z)[:, :, None].expand(-1, -1, count, -1)  # (B, Q, C, N)
        target = labels[:, None].expand(-1, z.shape[1], -1)  # (B, Q, C)
        others = labels[:, None, None].expand(*target.shape, -1).flatten(0, 2) if z.shape[1] == 1 else None
        loss = aam_loss(cosine.flatten(0, 2), target.flatten(), margin, self.config.scale, others)
        return loss.view(target.shape)

    def mixup(self, z: Tensor, batch: MixtureBatch, labels: Tensor, margin: float) -> Tensor:
        """Margin-mixup's loss (B,): a talker's share is that of the mixture's amplitude."""
        level = batch.sources.square().sum(-1).sqrt()[:, :2]
        share = level[:, 0] / level.sum(1).clamp(min=1e-20)
        return margin_mixup_loss(self.rows.cosine(z), labels[:, 0], labels[:, 1], share, margin, self.config.scale)

    @torch.no_grad()
    def measure(self, batch: MixtureBatch, autocast: torch.autocast) -> Tensor:
        """Sums over a batch: SI-SNRi, its streams, loss against the rows without a margin, its streams (4,)."""
        sums = torch.zeros(4, device=batch.labels.device)
        if self.among_pairs:
            return sums
        labels = torch.where(batch.active, batch.labels, -1)
        figures = self.figures(self.hear(batch, labels, autocast), batch, labels, 0.0)
        if "si_snri" in figures:
            sums[0], sums[1] = figures["si_snri"][0].sum(), figures["si_snri"][1]
        gain, sums[3] = figures["bound"]
        sums[2] = math.log(self.count) * sums[3] - gain.sum()
        return sums

    def taking_part(self) -> Tensor:
        """(N,), true at the rows that embeddings are held against: all."""
        return torch.ones(self.count, dtype=torch.bool)

    def scalars(self) -> dict[str, float]:
        """What a line of train.jsonl says beside the losses."""
        return {}

    def update_inventory(self) -> None:
        """Rows are learned: nothing follows a step."""

    def forget(self) -> None:
        """Nothing is kept of a step."""
