"""L_batch: embeddings against the fresh global vectors of their batch (method's sections 2 and 3).

Legend: B mixtures, C streams, S segments, E dimensions, A = B C anchors, J labels of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from csc_cli.nn.attention import CrossAttention
from csc_cli.nn.contrastive import contrastive_loss, log_density_ratio
from csc_cli.training import distributed
from csc_cli.training.config import ObjectiveConfig


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
    if not len(names):  # noise alone in the whole batch
        return 0 * z.sum(-1).view(batch, streams), torch.zeros_like(z)
    place = torch.arange(len(keys), device=keys.device).repeat_interleave(streams)  # mixture of each key stream
    allowed = key_labels.flatten() == names[:, None]  # (J, streams)
    anchor_place = torch.arange(batch, device=keys.device).repeat_interleave(streams) + offset
    allowed = allowed[None].expand(len(anchor_place), -1, -1)  # (A, J, streams)
    if not config.own_stream:
        allowed = allowed & (place[None] != anchor_place[:, None])[:, None]
    allowed = random_subset(allowed, choice, offset * streams, len(keys) * streams)
    groups = allowed.repeat_interleave(count, -1) & key_mask.repeat_interleave(streams, 0).flatten()
    global_vectors = readout.across(queries.flatten(0, 1), keys.flatten(0, 2), groups).vectors  # (A, J, E)
    logits = log_density_ratio(z[:, None], global_vectors, alpha, config.length_normalised).squeeze(1)  # (A, J)
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
