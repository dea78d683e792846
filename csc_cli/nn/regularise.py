"""Keeps the rows of the inventory apart (Wavesplit: Zeghidour & Grangier 2020, eq. 9)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from csc_cli.nn.contrastive import closeness

NEAREST = 1e-6  # squared distance below which nothing pushes: rows that are one have no direction to part in


def nearest_neighbour_spread(
    rows: Tensor, chosen: Tensor | None = None, unit: bool = True, block: int = 8192
) -> Tensor:
    """Minus the mean log distance of each row to its nearest neighbour.

    Args:
        rows: (N, E), N >= 2, of any length; with `unit` their directions are compared.
        chosen: (R,) the rows whose neighbours are looked for among all; default all.
        block: neighbours looked at at a time: the memory is R x block, never N x N.

    Returns:
        A scalar; lower means that rows lie further apart.
    """
    chosen = torch.arange(len(rows), device=rows.device) if chosen is None else chosen
    one, other = rows[chosen], rows[_nearest(rows.detach(), chosen, unit, block)]
    if unit:
        one, other = functional.normalize(one, dim=-1), functional.normalize(other, dim=-1)
    return -0.5 * (one - other).square().sum(-1).clamp(min=NEAREST).log().mean()


def _nearest(rows: Tensor, chosen: Tensor, unit: bool, block: int) -> Tensor:
    """The nearest other row of each chosen one (R,)."""

    def scaled(part: Tensor) -> Tensor:
        return functional.normalize(part, dim=-1) if unit else part

    best = torch.full((len(chosen),), float("-inf"), dtype=rows.dtype, device=rows.device)
    place = torch.zeros_like(chosen)
    for first in range(0, len(rows), block):
        part = scaled(rows[first : first + block])
        for start in range(0, len(chosen), block):
            mine = slice(start, start + block)
            close = closeness(scaled(rows[chosen[mine]]), part, unit)
            itself = chosen[mine, None] == torch.arange(first, first + len(part), device=rows.device)
            value, index = close.masked_fill(itself, float("-inf")).max(1)
            better = value > best[mine]
            best[mine] = torch.where(better, value, best[mine])
            place[mine] = torch.where(better, first + index, place[mine])
    return place
