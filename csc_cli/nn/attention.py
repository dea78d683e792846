"""The readout: attention over segments, which yields embeddings and global speaker vectors.

e(q; A) = normalise(W_o MHA(q, W_k A, W_v A)): nothing of q passes into the result, q only chooses
(cross-attention over interfering conditions: Wang et al., ICASSP 2021; the readout's form is ours).

Legend: A anchors, J groups of keys (speakers or utterances of a batch), P segments in all, E dimensions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from csc_cli.nn.precision import at_least_float32


class Readout(NamedTuple):
    vectors: Tensor  # (..., E), of unit length (but see CrossAttention.unit_length)
    weights: Tensor  # (..., heads, segments), 0 at masked segments


class CrossAttention(nn.Module):
    """Multi-head attention from a query to a set of segments, without a path around it."""

    def __init__(self, dimensions: int, heads: int, uniform: bool = False) -> None:
        """`uniform` replaces the attention by the mean over segments (the ablation "no cross-attention")."""
        super().__init__()
        self.heads, self.uniform = heads, uniform
        # False in the training of the ablation "unnormalised distance" alone; what is extracted has unit length.
        self.unit_length = True
        if not uniform:
            self.query = nn.Linear(dimensions, dimensions)
            self.key = nn.Linear(dimensions, dimensions)
        # No bias: it would be a part that all vectors share, and alike vectors give the loss no gradient.
        self.value = nn.Linear(dimensions, dimensions, bias=False)
        self.out = nn.Linear(dimensions, dimensions, bias=False)

    def scores(self, query: Tensor, segments: Tensor) -> Tensor:
        """query (..., A, E), segments (..., P, E) -> (..., heads, A, P)."""
        if self.uniform:
            shape = (*segments.shape[:-2], self.heads, query.shape[-2], segments.shape[-2])
            return segments.new_zeros(shape)
        q, k = self.split(self.query(query)), self.split(self.key(segments))
        return q @ k.mT / math.sqrt(q.shape[-1])

    def split(self, x: Tensor) -> Tensor:
        """(..., P, E) -> (..., heads, P, E / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)

    def forward(self, query: Tensor, segments: Tensor, mask: Tensor) -> Readout:
        """One recording each: query (..., E), segments (..., P, E), mask (..., P) -> vectors (..., E)."""
        scores = self.scores(query[..., None, :], segments)  # (..., heads, 1, P)
        weights = masked_softmax(scores, mask[..., None, None, :])
        values = weights @ self.split(self.value(segments))  # (..., heads, 1, E / heads)
        return Readout(self.finish(values.squeeze(-2)), weights.squeeze(-2))

    def across(self, query: Tensor, segments: Tensor, groups: Tensor) -> Readout:
        """Global vectors of J groups for each anchor.

        Args:
            query: (A, E) of the anchors.
            segments: (P, E), all segments of the batch.
            groups: (A, J, P), true where segment p is a key of group j for anchor a.

        Returns:
            vectors (A, J, E), 0 where a group has no key; weights (A, J, heads, P).
        """
        scores = self.scores(query, segments).transpose(0, 1)  # (A, heads, P)
        weights = masked_softmax(scores[:, None], groups[:, :, None])  # (A, J, heads, P)
        values = torch.einsum("ajhp,hpe->ajhe", weights, self.split(self.value(segments)))
        has_keys = groups.any(-1)[..., None]
        return Readout(self.finish(values) * has_keys, weights)

    def finish(self, values: Tensor) -> Tensor:
        """(..., heads, E / heads) -> vectors (..., E)."""
        vectors: Tensor = self.out(values.flatten(-2))
        return functional.normalize(vectors, dim=-1) if self.unit_length else vectors


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis among unmasked entries; all zeros where nothing is unmasked."""
    scores = at_least_float32(scores).masked_fill(~mask, float("-inf"))
    peak = scores.amax(-1, keepdim=True).detach().clamp(min=-1e30)  # a row without keys has -inf here
    weights = torch.exp(scores - peak)
    return weights / weights.sum(-1, keepdim=True).clamp(min=1e-20)
