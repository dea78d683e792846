"""Split a sequence of frames into chunks, and put the chunks together again.

Chunks overlap (`hop < size`: every frame lies in exactly `size / hop` of them) or stand side by
side (`hop == size`: the first one begins half a chunk early, so that `shift` can move the borders
into the middle of the chunks). What a frame goes through does not depend on the padding behind it.

Legend: B sequences, L frames, D features, S chunks of K = size frames.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def _lead(size: int, hop: int) -> int:
    """Zeros before the first frame."""
    return size - hop if hop < size else size // 2


def chunk_count(frames: Tensor, size: int, hop: int) -> Tensor:
    """Chunks S that hold at least one of `frames` frames."""
    return torch.div(frames + _lead(size, hop) + hop - 1, hop, rounding_mode="floor")


def first_frames(count: int, size: int, hop: int) -> list[int]:
    """The frame at which each of `count` chunks begins; below 0 where it begins with zeros."""
    return [place * hop - _lead(size, hop) for place in range(count)]


def split(x: Tensor, size: int, hop: int) -> Tensor:
    """(B, L, D) -> (B, S, K, D), zeros around.

    >>> split(torch.arange(1., 6).reshape(1, 5, 1), 4, 2)[0, :, :, 0]
    tensor([[0., 0., 1., 2.],
            [1., 2., 3., 4.],
            [3., 4., 5., 0.],
            [5., 0., 0., 0.]])
    """
    lead = _lead(size, hop)
    count = -(-(lead + x.shape[1]) // hop)
    tail = (count - 1) * hop + size - lead - x.shape[1]
    return functional.pad(x, (0, 0, lead, tail)).unfold(1, size, hop).mT


def join(chunks: Tensor, hop: int, frames: int) -> Tensor:
    """(B, S, K, D) -> (B, frames, D): the mean over the chunks that hold a frame; inverse of `split`."""
    size = chunks.shape[2]
    lead, parts = _lead(size, hop), size // hop
    if parts == 1:
        return chunks.flatten(1, 2)[:, lead : lead + frames]
    # Hop-sized pieces: piece p of chunk s lies at hop s + p; add the shifted sequences of pieces.
    pieces = chunks.unflatten(2, (parts, hop))  # (B, S, parts, hop, D)
    shifted = [functional.pad(pieces[:, :, p], (0, 0, 0, 0, p, parts - 1 - p)) for p in range(parts)]
    y = torch.stack(shifted).sum(0).flatten(1, 2) / parts
    return y[:, lead : lead + frames]


def shift(chunks: Tensor, frames: int) -> Tensor:
    """Move side-by-side chunks (B, S, K, ...) by `frames`: what lay at border -`frames` comes to the border."""
    return chunks.flatten(1, 2).roll(frames, 1).unflatten(1, chunks.shape[1:3])
