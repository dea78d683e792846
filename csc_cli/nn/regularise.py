"""Keeps the rows of the inventory apart (Wavesplit: Zeghidour & Grangier 2020, eq. 9)."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_neighbour_spread(rows: Tensor) -> Tensor:
    """Minus the mean log distance of each row to its nearest neighbour.

    Args:
        rows: (N, E) unit vectors, N >= 2.

    Returns:
        A scalar; lower means that rows lie further apart.
    """
    similarity = rows @ rows.mT
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    nearest = similarity.masked_fill(itself, -2.0).amax(1)
    squared = (2 - 2 * nearest).clamp(min=1e-6)
    return -0.5 * squared.log().mean()
