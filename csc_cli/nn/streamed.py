"""L_inv against a whole inventory of any size: the rows pass by in blocks, forward and backward.

Neither the (A, N) logits nor a normalised copy of the rows is kept: the backward pass makes each
block's logits again, and the gradient of the rows is the only tensor of their size (ours; the same
idea as in Dao et al., FlashAttention, 2022, sec. 3.1).

Legend: A anchors, N rows, E dimensions, K candidates an anchor (the references of its mixture).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from csc_cli.nn.contrastive import closeness

SHORTEST = 1e-12  # as in functional.normalize


def inventory_loss(
    vectors: Tensor,
    rows: Tensor,
    alpha: Tensor,
    candidates: Tensor,
    valid: Tensor | None = None,
    unit: bool = True,
    block: int = 8192,
) -> Tensor:
    """-log( f(z, g_k) / sum over the N rows ) of each anchor, for each of K candidates k.

    Args:
        vectors: (A, E), of unit length with `unit`.
        rows: (N, E) as they are stored, of any length; with `unit` they are normalised here.
        alpha: inverse temperature, a scalar.
        candidates: (A, K) rows.
        valid: (N,), false at rows that the sum leaves out (a candidate's own f is taken all the same).
        block: rows at a time.

    Returns:
        (A, K) nats. First derivatives only.
    """
    out: Tensor = _InventoryLoss.apply(vectors, rows, alpha, candidates, valid, unit, block)
    return out


class _InventoryLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        rows: Tensor,
        alpha: Tensor,
        candidates: Tensor,
        valid: Tensor | None,
        unit: bool,
        block: int,
    ) -> Tensor:
        ctx.kept = []
        parts = []
        for first, part, logits in _blocks(vectors, rows, alpha, valid, unit, block):
            parts.append(logits.logsumexp(1))
            if len(rows) <= block:  # a small inventory is looked at once
                ctx.kept.append((first, part, logits))
        normaliser = torch.stack(parts).logsumexp(0)  # (A,)
        own = alpha * _own(vectors, _take(rows, candidates, unit), unit)
        ctx.save_for_backward(vectors, rows, alpha, candidates, valid, normaliser)
        ctx.unit, ctx.block = unit, block
        return normaliser[:, None] - own

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of alpha t, t = -|z - g|^2: its mean under f / sum f over all rows, minus the candidates' own."""
        vectors, rows, alpha, candidates, valid, normaliser = ctx.saved_tensors
        unit, to_alpha = ctx.unit, torch.zeros_like(alpha)
        to_vectors = torch.zeros_like(vectors)
        to_rows = torch.empty_like(rows) if ctx.needs_input_grad[1] else None
        share = gradient.sum(1, keepdim=True)  # (A, 1) of the normaliser
        for first, part, logits in ctx.kept or _blocks(vectors, rows, alpha, valid, unit, ctx.block):
            weights = (logits - normaliser[:, None]).exp_().mul_(share)  # (A, n), 0 at rows left out
            mean = 2 * (weights @ part)
            to_alpha += (mean * vectors).sum() - _lengths(weights, vectors, part, unit)
            to_vectors += mean if unit else mean - 2 * weights.sum(1, keepdim=True) * vectors
            if to_rows is not None:
                pulled = 2 * (weights.mT @ vectors)
                pulled = pulled if unit else pulled - 2 * weights.sum(0)[:, None] * part
                stored = rows[first : first + len(part)]
                to_rows[first : first + len(part)] = _through_length(pulled, stored, unit)
        own = _take(rows, candidates, unit)  # (A, K, E)
        to_alpha -= (gradient * _own(vectors, own, unit)).sum()
        apart = 2 * gradient[..., None] * (own if unit else own - vectors[:, None])
        to_vectors -= apart.sum(1)
        if to_rows is not None:
            apart = 2 * gradient[..., None] * (vectors[:, None] if unit else vectors[:, None] - own)
            pulled = _through_length(apart, rows[candidates], unit)
            to_rows.index_add_(0, candidates.flatten(), pulled.flatten(0, 1), alpha=-1).mul_(alpha)
        return to_vectors * alpha, to_rows, to_alpha, None, None, None, None


def _blocks(
    vectors: Tensor, rows: Tensor, alpha: Tensor, valid: Tensor | None, unit: bool, block: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The first row of each block, its rows (n, E) and its logits (A, n)."""
    for first in range(0, len(rows), block):
        part = rows[first : first + block]
        part = functional.normalize(part, dim=-1, eps=SHORTEST) if unit else part
        logits = alpha * closeness(vectors, part, unit)
        if valid is not None:
            logits = logits.masked_fill(~valid[first : first + block], float("-inf"))
        yield first, part, logits


def _take(rows: Tensor, index: Tensor, unit: bool) -> Tensor:
    """The rows of `index` (...), normalised with `unit`: (..., E)."""
    return functional.normalize(rows[index], dim=-1, eps=SHORTEST) if unit else rows[index]


def _own(vectors: Tensor, own: Tensor, unit: bool) -> Tensor:
    """Closeness of each anchor (A, E) and its own candidates (A, K, E) -> (A, K)."""
    return closeness(vectors[:, None], own, unit).squeeze(1)


def _lengths(weights: Tensor, vectors: Tensor, part: Tensor, unit: bool) -> Tensor:
    """sum_an w_an (|z_a|^2 + |g_n|^2)."""
    if unit:
        return 2 * weights.sum()
    return weights.sum(1) @ vectors.square().sum(1) + weights.sum(0) @ part.square().sum(1)


def _through_length(gradient: Tensor, rows: Tensor, unit: bool) -> Tensor:
    """The gradient of rows / |rows|, handed on to the rows: both (..., E)."""
    if not unit:
        return gradient
    length = rows.norm(dim=-1, keepdim=True).clamp(min=SHORTEST)
    direction = rows / length
    return (gradient - (gradient * direction).sum(-1, keepdim=True) * direction) / length
