"""Long recordings in overlapping windows whose streams are put in one order, and faded into each other.

The network is free to give the talkers in another order in each window. A window's streams are assigned
to those so far by their embeddings: the assignment with the greatest sum of cosines, each weighted by the
stream's share of the window's energy, so that a stream in which nobody speaks decides nothing (ours).

Legend: C streams, T samples, E dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from csc_cli.extraction.batches import HOP_S, WINDOW_S
from csc_cli.nn.pit import best_permutation


def windows(samples: int, sample_rate: int) -> list[tuple[int, int]]:
    """Start and stop of windows of WINDOW_S every HOP_S; the last one ends with the recording.

    Each window begins where the one before the last ends, so that at most two overlap.

    >>> windows(45, 1)
    [(0, 20), (10, 30), (20, 40), (30, 45)]
    """
    hop, size = HOP_S * sample_rate, WINDOW_S * sample_rate
    count = max(1, -(-(samples - hop) // hop))
    return [(i * hop, min(i * hop + size, samples)) for i in range(count)]


class StreamOrder:
    """Which of a window's streams continues which stream of the recording."""

    def __init__(self) -> None:
        self.sums: np.ndarray | None = None  # (C, E), vectors so far weighted by their share

    def place(self, vectors: np.ndarray, energies: np.ndarray) -> np.ndarray:
        """The order (C,) in which to take the window's streams; remembers them.

        Args:
            vectors: (C, E) of unit length.
            energies: (C,) sums of squares.
        """
        share = energies / energies.sum() if energies.sum() > 0 else np.zeros(len(energies))
        weighted = share[:, None] * vectors.astype(np.float64)
        order = np.arange(len(vectors))
        if self.sums is None:
            self.sums = np.zeros_like(weighted)
        elif share.any():
            lengths = np.maximum(np.linalg.norm(self.sums, axis=1, keepdims=True), 1e-12)
            cosines = weighted @ (self.sums / lengths).T  # (C of the window, C so far)
            order = best_permutation(torch.from_numpy(-cosines)[None])[0].numpy()
        self.sums += weighted[order]
        return order


def crossfade(pieces: Iterable[np.ndarray], hop: int) -> Iterator[np.ndarray]:
    """Windows (C, T) every `hop` samples, each overlapping the next by `hop` -> the pieces (C, hop) of their sum.

    The weights of two windows add up to 1, so the sum over streams is kept.
    """
    rise = (np.sin(np.pi / 2 * (np.arange(hop) + 0.5) / hop) ** 2).astype(np.float32)
    before: np.ndarray | None = None
    for piece in pieces:
        if before is not None:
            yield before[:, :hop]
            overlap = before[:, hop:]
            length = overlap.shape[1]
            piece[:, :length] = overlap * (1 - rise[:length]) + piece[:, :length] * rise[:length]
        before = piece
    if before is not None:
        yield before
