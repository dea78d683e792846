"""The losses of one batch, put together (method's sections 1 and 3).

L = L_sep + lambda (L_inv + batch_weight L_batch) + gamma L_reg. Means run over the active streams
of the whole batch, whatever the number of ranks: each rank returns its share of the sum.

Legend: B mixtures, C streams, S segments, E dimensions, N rows, J labels of the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.nn.attention import CrossAttention
from csc_cli.nn.contrastive import InverseTemperature, contrastive_loss, log_density_ratio
from csc_cli.nn.encoder import Encoded, Guide
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.model import CscModel
from csc_cli.nn.pit import assign, best_permutation
from csc_cli.nn.regularise import nearest_neighbour_spread
from csc_cli.nn.si_snr import pairwise_scale_aware, pairwise_si_snr, silent_loss
from csc_cli.training import distributed
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import ObjectiveConfig, TrainConfig


class Losses(NamedTuple):
    total: Tensor  # this rank's share of L, with gradient
    figures: dict[str, Tensor]  # sums over this rank's streams and their counts, detached


class Learner(nn.Module):
    """All that training updates: the model, the inventory and alpha."""

    def __init__(self, model: CscModel, inventory: Inventory, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.inventory = model, inventory
        self.temperature = InverseTemperature(config.objective.alpha, config.objective.learn_alpha)
        self.config = config.objective
        model.encoder.standardise.total = distributed.total_with_gradient

    def forward(
        self, batch: MixtureBatch, choice: torch.Generator, autocast: torch.autocast, guided: float = 0.0
    ) -> Losses:
        """Losses of this rank's part.

        `choice` draws what is random, alike on all ranks: which share `guided` of the mixtures is guided, and the
        subsets of keys.
        """
        guide = self.draw_guide(batch, choice, guided)
        with autocast:
            encoded = self.model(batch.mixture, batch.lengths, guide if guided > 0 else None)
        encoded = Encoded(*(tensor if tensor.dtype == torch.bool else tensor.float() for tensor in encoded))
        real = torch.arange(batch.mixture.shape[1], device=batch.mixture.device) < batch.lengths[:, None]
        active = batch.sources.square().sum(-1) > 0  # (B, C)
        snr = pairwise_si_snr(encoded.separated, batch.sources, real)
        separation = self.separation_cost(encoded, batch, real, active, snr)
        z = self.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
        stored = self.stored_cost(z, batch.labels)  # (B, C, C)
        # A guided mixture's embeddings come in the order of its references; only its masks are permuted.
        chosen = torch.where(guide.guided[:, None, None], 0.0, self.config.contrastive_weight * stored)
        permutation = best_permutation(chosen if self.config.separation == "none" else separation + chosen)
        speakers = torch.where(guide.guided[:, None], torch.arange(active.shape[1], device=z.device), permutation)
        queries, segments = assign(encoded.query, speakers), assign(encoded.segments, speakers)
        labels = torch.where(active, batch.labels, -1)
        visited = self.visited(labels)
        spread = self.segment_cost(segments, encoded.segment_mask, labels)
        fresh, vectors = fresh_loss(
            self.model.readout, queries, segments, encoded.segment_mask, labels, self.temperature(), choice, self.config
        )
        self.pending = (labels, vectors.detach())
        return self.weigh(
            pick(separation, permutation),
            pick(stored, speakers),
            spread,
            fresh,
            active,
            visited,
            labels,
            snr_gain(snr, batch, real, permutation, active),
        )

    def draw_guide(self, batch: MixtureBatch, choice: torch.Generator, share: float) -> Guide:
        """Which of this rank's mixtures are guided."""
        count = len(batch.mixture)
        drawn = torch.rand(count * distributed.world(), generator=choice) < share
        mine = drawn[distributed.rank() * count :][:count]
        return Guide(batch.sources, mine.to(batch.mixture.device))

    def separation_cost(
        self, encoded: Encoded, batch: MixtureBatch, real: Tensor, active: Tensor, snr: Tensor
    ) -> Tensor:
        """(B, C estimates, C references) dB: minus SI-SNR or the scale-aware loss; silent references by energy."""
        scale_aware = self.config.separation == "scale_aware"
        cost = pairwise_scale_aware(encoded.separated, batch.sources, real) if scale_aware else -snr
        silent = silent_loss(encoded.separated, batch.mixture, real)[:, :, None]
        return torch.where(active[:, None, :], cost, self.config.silent_weight * silent)

    def stored_cost(self, z: Tensor, labels: Tensor) -> Tensor:
        """L_inv of every stream for every reference's row: (B, C, E), (B, C) -> (B, C estimates, C references)."""
        logits = self.row_logits(z)  # (B, C, N)
        index = labels.clamp(min=0)[:, None, :].expand(-1, z.shape[1], -1)
        cost = logits.logsumexp(-1, keepdim=True) - logits.gather(-1, index)
        # Where the row takes no part the cost is infinite, and infinity times 0 is not a number.
        return torch.where(self.visited(labels)[:, None, :], cost, 0.0)

    def row_logits(self, vectors: Tensor) -> Tensor:
        """(..., E) unit vectors against the rows as stored -> (..., N); unvisited rows take no part."""
        logits = log_density_ratio(vectors, self.inventory.unit(), self.temperature())
        # Until something is visited all rows stay in, so that the logarithm has a sum to take.
        out = ~self.inventory.visited & self.inventory.visited.any()
        return logits.masked_fill(out, float("-inf"))

    def visited(self, labels: Tensor) -> Tensor:
        """Where a stream is active and its row takes part."""
        return (labels >= 0) & self.inventory.visited[labels.clamp(min=0)]

    def segment_cost(self, segments: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """Mean L_inv of the segments themselves: (B, C, S, E), (B, S), (B, C) -> (B, C)."""
        logits = self.row_logits(functional.normalize(segments, dim=-1))  # (B, C, S, N)
        target = torch.where(self.visited(labels), labels, -1)[:, :, None].expand(logits.shape[:3])
        loss = contrastive_loss(logits.flatten(0, 2), target.flatten()).view(logits.shape[:3])
        keep = mask[:, None].to(loss.dtype)
        return (loss * keep).sum(-1) / keep.sum(-1).clamp(min=1)

    def weigh(
        self,
        separation: Tensor,
        stored: Tensor,
        spread: Tensor,
        fresh: Tensor,
        active: Tensor,
        visited: Tensor,
        labels: Tensor,
        gain: Tensor,
    ) -> Losses:
        """Per-stream losses (B, C) -> this rank's share of L, and its figures."""
        known = labels >= 0
        # Training draws its rows uniformly: H(K) is the logarithm of how many took part in this step.
        ceiling = self.inventory.visited.sum().clamp(min=1).log()
        sums = {
            "streams": torch.tensor(float(active.numel())),
            "mixed": mixed(active).sum(),
            "rows": visited.sum(),
            "known": known.sum(),
        }
        counts = {key: distributed.total(value.float().cpu()).clamp(min=1) for key, value in sums.items()}
        parts = {
            "separation": separation.sum() / counts["streams"],
            "inventory": (stored * visited).sum() / counts["rows"],
            "segment": spread.sum() / counts["rows"],
            "batch": fresh.sum() / counts["known"],
        }
        config = self.config
        loss = config.contrastive_weight * (
            parts["inventory"] + config.segment_weight * parts["segment"] + config.batch_weight * parts["batch"]
        )
        if config.separation != "none":
            loss = loss + parts["separation"]
        if config.regulariser_weight and self.inventory.config.rows == "learned":
            spread_of_rows = nearest_neighbour_spread(self.inventory.unit()) / distributed.world()
            loss = loss + config.regulariser_weight * spread_of_rows
        parts["si_snri"] = gain.sum() / counts["mixed"]
        parts["bound"] = ((ceiling - stored) * visited).sum() / counts["rows"]
        return Losses(loss, {key: value.detach() for key, value in parts.items()})

    def measure(self, batch: MixtureBatch, autocast: torch.autocast) -> Tensor:
        """Sums over a batch: SI-SNRi, its streams, L_inv, its streams (4,)."""
        with autocast:
            encoded = self.model(batch.mixture, batch.lengths)
        real = torch.arange(batch.mixture.shape[1], device=batch.mixture.device) < batch.lengths[:, None]
        active = batch.sources.square().sum(-1) > 0
        snr = pairwise_si_snr(encoded.separated.float(), batch.sources, real)
        z = self.model.embed(encoded.query.float(), encoded.segments.float(), encoded.segment_mask[:, None])
        stored = self.stored_cost(z, batch.labels)
        permutation = best_permutation(stored if self.config.separation == "none" else -snr)
        visited = self.visited(torch.where(active, batch.labels, -1))
        gain = snr_gain(snr, batch, real, permutation, active)
        loss = pick(stored, permutation) * visited
        return torch.stack([gain.sum(), mixed(active).sum(), loss.sum(), visited.sum()])

    def taking_part(self) -> Tensor:
        """(N,), true at the rows that embeddings are held against."""
        return self.inventory.visited

    def scalars(self) -> dict[str, float]:
        """What a line of train.jsonl says beside the losses."""
        return {"alpha": round(float(self.temperature().detach()), 4)}

    def update_inventory(self) -> None:
        """After the step: attended rows follow the global vectors of all ranks."""
        labels, vectors = self.pending
        self.inventory.update(distributed.gather(labels.flatten()), distributed.gather(vectors))


def pick(cost: Tensor, permutation: Tensor) -> Tensor:
    """The entries of the chosen pairs: (B, C estimates, C references), (B, C) -> (B, C references)."""
    return cost.gather(1, permutation[:, None, :]).squeeze(1)


def snr_gain(snr: Tensor, batch: MixtureBatch, real: Tensor, permutation: Tensor, active: Tensor) -> Tensor:
    """SI-SNR improvement (B, C) dB over the mixture itself, where several talkers are active; 0 elsewhere."""
    unprocessed = pairwise_si_snr(batch.mixture[:, None], batch.sources, real)[:, 0]
    return (pick(snr, permutation) - unprocessed) * mixed(active)


def mixed(active: Tensor) -> Tensor:
    """The active streams (B, C) of mixtures with at least two of them."""
    return active & (active.sum(1, keepdim=True) > 1)


def fresh_loss(
    readout: CrossAttention,
    queries: Tensor,
    segments: Tensor,
    mask: Tensor,
    labels: Tensor,
    alpha: Tensor,
    choice: torch.Generator,
    config: ObjectiveConfig,
) -> tuple[Tensor, Tensor]:
    """L_batch: each stream's z against the fresh global vectors g_j^{-m} of the batch.

    The anchor (m, c) reads g_j from a random non-empty subset of j's streams outside mixture m: the same rule
    for its own speaker and for every other, so that no stream is ever among its own keys.

    Args:
        queries: (B, C, E); segments: (B, C, S, E); mask: (B, S); labels: (B, C), -1 at silent streams.

    Returns:
        Loss (B, C) in nats, 0 at silent streams; the own global vectors (B C, E), 0 where there is none.
    """
    batch, streams, count, _ = segments.shape
    z = readout(queries, segments, mask[:, None]).vectors.flatten(0, 1)  # (A, E), A = B C anchors
    anchor_labels = labels.flatten()
    offset = distributed.rank() * batch
    keys = distributed.gather(segments)  # (B', C, S, E) of all ranks
    key_mask, key_labels = distributed.gather(mask.to(torch.uint8)).bool(), distributed.gather(labels)
    names = key_labels.unique()
    names = names[names >= 0]  # (J,)
    place = torch.arange(len(keys), device=keys.device).repeat_interleave(streams)  # mixture of each key stream
    allowed = key_labels.flatten() == names[:, None]  # (J, streams)
    anchor_place = torch.arange(batch, device=keys.device).repeat_interleave(streams) + offset
    allowed = allowed[None].expand(len(anchor_place), -1, -1)  # (A, J, streams)
    if not config.own_stream:
        allowed = allowed & (place[None] != anchor_place[:, None])[:, None]
    allowed = random_subset(allowed, choice, offset * streams, len(keys) * streams)
    groups = allowed.repeat_interleave(count, -1) & key_mask.repeat_interleave(streams, 0).flatten()
    global_vectors = readout.across(queries.flatten(0, 1), keys.flatten(0, 2), groups).vectors  # (A, J, E)
    logits = 2 * alpha * (torch.einsum("ae,aje->aj", z, global_vectors) - 1)
    has_keys = groups.any(-1)
    own = names[None] == anchor_labels[:, None]  # (A, J)
    target = torch.where((own & has_keys).any(-1), own.int().argmax(-1), -1)
    # An anchor whose own group is empty is masked; so that its row has a finite entry, nothing is hidden there.
    loss = contrastive_loss(logits, target, has_keys | (target < 0)[:, None])
    return loss.view(batch, streams), (global_vectors * own[..., None]).sum(1)


def random_subset(allowed: Tensor, choice: torch.Generator, first: int, anchors: int) -> Tensor:
    """A random non-empty part of each set along the last axis, each member with probability 1/2.

    All `anchors` of the batch are drawn on every rank, and the rows from `first` on are this rank's, so that
    the draw does not depend on how a batch is shared out.
    """
    draws = torch.rand(anchors, *allowed.shape[1:], generator=choice)[first : first + len(allowed)]
    draws = draws.to(allowed.device).masked_fill(~allowed, 2.0)
    return allowed & ((draws < 0.5) | (draws == draws.amin(-1, keepdim=True)))
