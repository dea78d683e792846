"""The losses of one batch, put together (method's sections 1 and 3).

L = L_sep + lambda (L_inv + batch_weight L_batch) + gamma L_reg. Means run over the active streams
of the whole batch, whatever the number of ranks: each rank returns its share of the sum.

Legend: B mixtures, C streams, S segments, E dimensions, N rows, V vectors of a stream.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from csc_cli.nn.contrastive import InverseTemperature
from csc_cli.nn.encoder import Encoded, Guide
from csc_cli.nn.inventory import Inventory
from csc_cli.nn.margin import aam_loss
from csc_cli.nn.model import CscModel
from csc_cli.nn.pit import assign, best_permutation
from csc_cli.nn.precision import at_least_float32
from csc_cli.nn.regularise import nearest_neighbour_spread
from csc_cli.nn.sampled import draw_negatives, sampled_loss
from csc_cli.nn.si_snr import limited, pairwise_scale_aware, pairwise_si_snr, silent_loss
from csc_cli.nn.streamed import inventory_loss
from csc_cli.training import distributed
from csc_cli.training.batches import MixtureBatch
from csc_cli.training.config import TrainConfig
from csc_cli.training.fresh import fresh_loss
from csc_cli.training.streams import heard_cost, mean_of_segments, mixed, pick, snr_gain
from csc_cli.training.weights import Weights, scheduled_names, weights_at


class Losses(NamedTuple):
    total: Tensor  # this rank's share of L, with gradient
    figures: dict[str, Tensor]  # sums over this rank's streams and their counts, detached


class StreamLosses(NamedTuple):
    """Losses (B, C) of a batch's streams, in the order of the references."""

    separation: Tensor
    stored: Tensor  # L_inv of z
    spread: Tensor  # L_inv of the segments, their mean
    fresh: Tensor  # L_batch
    gain: Tensor  # dB, SI-SNR improvement
    active: Tensor
    visited: Tensor  # active, and the row takes part


class Learner(nn.Module):
    """All that training updates: the model, the inventory and alpha."""

    def __init__(self, model: CscModel, inventory: Inventory, config: TrainConfig) -> None:
        super().__init__()
        self.model, self.inventory, self.config = model, inventory, config.objective
        self.angular = self.config.speaker_loss == "aam"
        self.weights = weights_at(self.config, 1.0)  # of this step
        self.pending: list[tuple[Tensor, Tensor]] = []  # labels and global vectors of this step's batches
        # Without its margin AAM-softmax is L_inv with alpha = scale / 2: what is held out is measured with that.
        start = self.config.aam_scale / 2 if self.angular else self.config.alpha
        self.temperature = InverseTemperature(start, self.config.learn_alpha and not self.angular)
        inventory.unit_length = model.readout.unit_length = self.config.length_normalised
        if distributed.world() > 1:  # one process has a faster way of its own
            model.encoder.share_statistics(distributed.total_with_gradient)

    def forward(
        self,
        batch: MixtureBatch,
        choice: torch.Generator,
        autocast: torch.autocast,
        guided: float = 0.0,
        margin: float = 1.0,
        weights: Weights | None = None,
    ) -> Losses:
        """Losses of this rank's part; `margin` is the share of AAM-softmax's full margin at this step.

        `weights` are those of this step (default: those at the end of a training).

        `choice` draws what is random, alike on all ranks: which share `guided` of the mixtures is guided, the
        negatives, the subsets of keys, the rows that are kept apart.
        """
        self.weights = weights or self.weights
        guide = self.draw_guide(batch, choice, guided)
        with autocast:
            encoded = self.model(batch.mixture, batch.lengths, guide if guided > 0 else None)
        encoded = Encoded(*(tensor if tensor.dtype == torch.bool else at_least_float32(tensor) for tensor in encoded))
        real, active = batch.real, batch.active
        snr = pairwise_si_snr(encoded.separated, batch.sources, real)
        separation = self.separation_cost(encoded, batch, real, active, snr)
        z = self.model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
        if self.angular:
            stored, each = self.margin_cost(z, batch.labels, margin * self.config.aam_margin), None
        else:
            stored, each = self.stored_costs(z, encoded.segments, batch.labels, self.draw_negatives(choice))
        # A guided mixture's embeddings come in the order of its references; only its masks are permuted.
        chosen = torch.where(guide.guided[:, None, None], 0.0, self.weights.contrastive * stored)
        permutation = best_permutation(chosen if self.config.separation == "none" else separation + chosen)
        speakers = torch.where(guide.guided[:, None], torch.arange(active.shape[1], device=z.device), permutation)
        labels = torch.where(active, batch.labels, -1)
        losses = StreamLosses(
            pick(separation, permutation),
            pick(stored, speakers),
            mean_of_segments(each, encoded.segment_mask, speakers),
            self.fresh_cost(encoded, speakers, labels, choice),
            snr_gain(snr, batch, real, permutation, active),
            active,
            self.visited(labels),
        )
        return self.weigh(losses, choice)

    def draw_guide(self, batch: MixtureBatch, choice: torch.Generator, share: float) -> Guide:
        """Which of this rank's mixtures are guided."""
        count = len(batch.mixture)
        drawn = torch.rand(count * distributed.world(), generator=choice) < share
        mine = drawn[distributed.rank() * count :][:count]
        return Guide(batch.sources, mine.to(batch.mixture.device))

    def draw_negatives(self, choice: torch.Generator) -> Tensor | None:
        """The rows that this step's L_inv is held against, or None where that is all of them."""
        valid = self.inventory.visited
        if self.config.negatives is None or not valid.any():
            return None
        # A generator of its own, so that the other draws of a step are those of a training without negatives.
        apart = torch.Generator().manual_seed((choice.initial_seed() + 1) % 2**63)
        return draw_negatives(valid, self.config.negatives, apart)

    def separation_cost(
        self, encoded: Encoded, batch: MixtureBatch, real: Tensor, active: Tensor, snr: Tensor
    ) -> Tensor:
        """(B, C estimates, C references) dB: minus SI-SNR or the scale-aware loss; silent references by energy."""
        scale_aware = self.config.separation == "scale_aware"
        limit = self.config.si_snr_limit_db
        heard = snr if limit is None else limited(snr, limit)
        cost = pairwise_scale_aware(encoded.separated, batch.sources, real) if scale_aware else -heard
        silent = silent_loss(encoded.separated, batch.mixture, real)[:, :, None]
        return torch.where(active[:, None, :], cost, self.weights.silent * silent)

    def stored_costs(
        self, z: Tensor, segments: Tensor, labels: Tensor, drawn: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """L_inv of every stream, and of its segments, for every reference's row, in one pass over the rows.

        Args:
            z: (B, C, E); segments: (B, C, S, E); labels: (B, C).

        Returns:
            (B, C estimates, C references); (B, C estimates, S, C references), None where it has no weight.
        """
        vectors = z[:, :, None]
        if self.weights.segment:
            vectors = torch.cat([vectors, self.inventory.scaled(segments)], 2)
        cost = self.row_cost(vectors, labels, drawn)
        return cost[:, :, 0], cost[:, :, 1:] if self.weights.segment else None

    def row_cost(self, vectors: Tensor, labels: Tensor, drawn: Tensor | None = None) -> Tensor:
        """L_inv of V vectors a stream for each reference's row: (B, C, V, E), (B, C) -> (B, C, V, C references).

        Against all rows that take part, as they were stored before this step, or against those `drawn`; 0 where
        the reference is silent or its row takes no part.
        """
        candidates = labels.clamp(min=0)[:, None, None].expand(*vectors.shape[:3], -1)
        args = (vectors.flatten(0, 2), self.inventory.vectors, self.temperature(), candidates.flatten(0, 2))
        unit, block = self.config.length_normalised, self.inventory.config.block
        if drawn is None or self.config.negatives is None:
            cost = inventory_loss(*args, self.inventory.taking_part(), unit, block)
        else:
            cost = sampled_loss(*args, drawn, self.config.negatives, unit)
        return torch.where(self.visited(labels)[:, None, None], cost.view(candidates.shape), 0.0)

    def margin_cost(self, z: Tensor, labels: Tensor, margin: float) -> Tensor:
        """AAM-softmax (Deng et al. 2019, eq. 3) in place of L_inv: (B, C, E), (B, C) -> (B, C, C references)."""
        cosine = z.flatten(0, 1) @ self.inventory.unit().mT  # (B C, N)
        targets = labels[:, None].expand(*z.shape[:2], -1).flatten(0, 1)  # (B C, C references)
        costs = [aam_loss(cosine, target, margin, self.config.aam_scale) for target in targets.unbind(1)]
        return torch.stack(costs, 1).unflatten(0, z.shape[:2])

    def visited(self, labels: Tensor) -> Tensor:
        """Where a stream is active and its row takes part."""
        return (labels >= 0) & self.inventory.visited[labels.clamp(min=0)]

    def fresh_cost(self, encoded: Encoded, speakers: Tensor, labels: Tensor, choice: torch.Generator) -> Tensor:
        """L_batch (B, C); keeps the global vectors for the inventory. AAM-softmax is alone, without it."""
        if self.angular:
            self.pending.append((labels, torch.zeros_like(encoded.query.detach()).flatten(0, 1)))
            return torch.zeros_like(labels, dtype=encoded.query.dtype)
        queries, segments = assign(encoded.query, speakers), assign(encoded.segments, speakers)
        loss, vectors = fresh_loss(
            self.model.readout, queries, segments, encoded.segment_mask, labels, self.temperature(), choice, self.config
        )
        self.pending.append((labels, vectors.detach()))
        return loss

    def weigh(self, losses: StreamLosses, choice: torch.Generator) -> Losses:
        """Losses of the streams -> this rank's share of L, and its figures."""
        active, visited = losses.active, losses.visited
        sums = {
            "streams": torch.tensor(float(active.numel())),
            "mixed": mixed(active).sum(),
            "rows": visited.sum(),
            "known": active.sum(),
        }
        counts = {key: distributed.total(value.float().cpu()).clamp(min=1) for key, value in sums.items()}
        parts = {
            "separation": losses.separation.sum() / counts["streams"],
            "inventory": (losses.stored * visited).sum() / counts["rows"],
            "segment": (losses.spread * visited).sum() / counts["rows"],
            "batch": losses.fresh.sum() / counts["known"],
        }
        weights = self.weights
        loss = weights.contrastive * (
            parts["inventory"] + weights.segment * parts["segment"] + weights.batch * parts["batch"]
        )
        if self.config.separation != "none":
            loss = loss + parts["separation"]
        if weights.regulariser and self.inventory.config.rows == "learned":
            loss = loss + weights.regulariser * self.regulariser(choice) / distributed.world()
        parts["si_snri"] = losses.gain.sum() / counts["mixed"]
        parts["bound"] = ((self.ceiling() - losses.stored) * visited).sum() / counts["rows"]
        return Losses(loss, {key: value.detach() for key, value in parts.items()})

    def ceiling(self) -> Tensor:
        """H(K) of a training step, nats: it draws its rows uniformly; k negatives tell log(k + 1) at the most."""
        rows = self.inventory.visited.sum().clamp(min=1)
        most = rows if self.config.negatives is None else rows.clamp(max=self.config.negatives + 1)
        return most.log()

    def regulariser(self, choice: torch.Generator) -> Tensor:
        """L_reg over all rows, or over `regulariser_rows` drawn at random."""
        rows, count = self.inventory.vectors, self.config.regulariser_rows
        drawn = None if count is None else torch.randperm(len(rows), generator=choice)[:count].to(rows.device)
        return nearest_neighbour_spread(rows, drawn, self.config.length_normalised, self.inventory.config.block)

    def measure(self, batch: MixtureBatch, autocast: torch.autocast) -> Tensor:
        """Sums over a batch: SI-SNRi, its streams, L_inv, its streams (4,)."""
        with autocast:
            encoded = self.model(batch.mixture, batch.lengths)
        real, active = batch.real, batch.active
        snr = pairwise_si_snr(at_least_float32(encoded.separated), batch.sources, real)
        query, segments = at_least_float32(encoded.query), at_least_float32(encoded.segments)
        z = self.model.embed(query, segments, encoded.segment_mask[:, None])
        stored = self.row_cost(z[:, :, None], batch.labels)[:, :, 0]
        permutation = best_permutation(stored if self.config.separation == "none" else heard_cost(snr, active))
        visited = self.visited(torch.where(active, batch.labels, -1))
        gain = snr_gain(snr, batch, real, permutation, active)
        loss = pick(stored, permutation) * visited
        return torch.stack([gain.sum(), mixed(active).sum(), loss.sum(), visited.sum()])

    def taking_part(self) -> Tensor:
        """(N,), true at the rows that embeddings are held against."""
        return self.inventory.visited

    def scalars(self) -> dict[str, float]:
        """What a line of train.jsonl says beside the losses."""
        weights = {f"{name}_weight": round(getattr(self.weights, name), 5) for name in scheduled_names(self.config)}
        return {"alpha": round(float(self.temperature().detach()), 4), **weights}

    def measure_silent(self, batch: MixtureBatch, autocast: torch.autocast) -> Tensor:
        """Energy of the streams without a talker, together, relative to the mixture: (B,) dB."""
        with autocast:
            separated = at_least_float32(self.model(batch.mixture, batch.lengths).separated)
        real, active = batch.real, batch.active
        permutation = best_permutation(heard_cost(pairwise_si_snr(separated, batch.sources, real), active))
        energy = (assign(separated, permutation).square().sum(-1) * ~active).sum(-1)
        return 10 * torch.log10(energy / batch.mixture.square().sum(-1).clamp(min=1e-20) + 1e-12)

    def update_inventory(self) -> None:
        """After the step: attended rows follow the global vectors of all its batches and ranks."""
        labels = torch.cat([labels.flatten() for labels, _ in self.pending])
        vectors = torch.cat([vectors for _, vectors in self.pending])
        self.inventory.update(distributed.gather(labels), distributed.gather(vectors))
        self.forget()

    def forget(self) -> None:
        """Let the global vectors of a step go."""
        self.pending = []
