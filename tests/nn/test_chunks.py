"""Chunks against loops: what lies where, there and back, and borders moved."""

from __future__ import annotations

import pytest
import torch

from csc_cli.nn.chunks import chunk_count, join, shift, split

SIZES = [(4, 2), (4, 4), (6, 2), (5, 5), (8, 2), (1, 1), (20, 10), (20, 20)]


@pytest.mark.parametrize(("size", "hop"), SIZES)
@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 19, 40])
def test_each_frame_lies_where_a_loop_puts_it(size: int, hop: int, length: int) -> None:
    x = torch.arange(1.0, 2 * length * 3 + 1).reshape(2, length, 3)
    chunks = split(x, size, hop)
    lead = size - hop if hop < size else size // 2
    times = torch.zeros(length)
    for s in range(chunks.shape[1]):
        for k in range(size):
            frame = s * hop + k - lead
            if 0 <= frame < length:
                times[frame] += 1
                assert torch.equal(chunks[:, s, k], x[:, frame])
            else:
                assert not chunks[:, s, k].any()
    assert (times == size // hop).all()
    assert chunks.shape[1] == int(chunk_count(torch.tensor(length), size, hop))
    assert chunks[:, -1].any()


@pytest.mark.parametrize(("size", "hop"), SIZES)
def test_join_undoes_split_and_averages(size: int, hop: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for length in (1, 5, 23):
        x = torch.randn(2, length, 3, generator=generator, dtype=torch.float64)
        torch.testing.assert_close(join(split(x, size, hop), hop, length), x)
        chunks = torch.randn(split(x, size, hop).shape, generator=generator, dtype=torch.float64)
        expected = torch.zeros_like(x)
        lead = size - hop if hop < size else size // 2
        for s in range(chunks.shape[1]):
            for k in range(size):
                if 0 <= s * hop + k - lead < length:
                    expected[:, s * hop + k - lead] += chunks[:, s, k] * hop / size
        torch.testing.assert_close(join(chunks, hop, length), expected)


def test_more_padding_changes_no_chunk_of_the_real_frames() -> None:
    x = torch.randn(1, 13, 2, generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(x, (0, 0, 0, 20))
    for size, hop in SIZES:
        alone = split(x, size, hop)
        assert torch.equal(split(padded, size, hop)[:, : alone.shape[1]], alone)


@pytest.mark.parametrize("size", [4, 5, 20])
def test_shift_moves_borders_into_the_middle_and_back(size: int) -> None:
    x = torch.arange(1.0, 48.0).reshape(1, 47, 1)
    chunks = split(x, size, size)
    moved = shift(chunks, -(size // 2))
    assert torch.equal(shift(moved, size // 2), chunks)
    flat = moved.flatten()
    for frame in range(47):  # every frame is one place in front of the next one still
        assert flat[frame] == x.flatten()[frame]
    # Neighbours at a border of the chunks share a chunk when these are moved.
    borders = [int(chunk[-1]) for chunk in chunks[0, :-1, :, 0]]
    together = [{int(value) for value in chunk} for chunk in moved[0, :, :, 0]]
    assert all(any({border, border + 1} <= group for group in together) for border in borders if 0 < border < 47)
