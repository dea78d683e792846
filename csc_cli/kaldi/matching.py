"""Equal numbers in two long lists, found by hashing: compiled. Legend: N numbers, M numbers, S slots of the table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.compiled import compiled

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbouring numbers over the table (Knuth)
EMPTY = np.uint32(0)


class Matches(NamedTuple):
    """Where the numbers of one list stand in another."""

    place: NDArray[np.int64]  # (N,) the first place in `given` of each wanted number; -1: nowhere
    first: NDArray[np.int64]  # (M,) the first place of each given number, its own where it is the first


def match(wanted: NDArray[np.int64], given: NDArray[np.int64]) -> Matches:
    """Find each of N wanted numbers among M given ones, fewer than 2^31."""
    bits = max(1, (2 * len(given) - 1).bit_length())
    slots = np.full(1 << bits, EMPTY, np.uint32)  # (S,) a place in `given`, plus 1; at most half of them are used
    first = _fill(slots, given, np.uint64(64 - bits))
    return Matches(_find(slots, given, wanted, np.uint64(64 - bits)), first)


@compiled
def _slot(slots, given, number, shift):  # type: ignore[no-untyped-def]
    """The slot of a number, or the empty one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    slot = (np.uint64(number) * GOLDEN) >> shift
    while slots[slot] != EMPTY and given[slots[slot] - np.uint32(1)] != number:
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled
def _fill(slots, given, shift):  # type: ignore[no-untyped-def]
    first = np.empty(len(given), np.int64)
    for i in range(len(given)):
        slot = _slot(slots, given, given[i], shift)
        if slots[slot] == EMPTY:
            slots[slot] = np.uint32(i + 1)
        first[i] = np.int64(slots[slot]) - 1
    return first


@compiled
def _find(slots, given, wanted, shift):  # type: ignore[no-untyped-def]
    place = np.empty(len(wanted), np.int64)
    for i in range(len(wanted)):
        place[i] = np.int64(slots[_slot(slots, given, wanted[i], shift)]) - 1
    return place
