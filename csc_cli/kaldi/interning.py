"""Lines of names, taken apart and turned into codes into lists of distinct names: compiled.

Legend: L lines of a block, F fields of a line, K names, S slots of the hash table (a power of two, at least 2 K).
Each step runs over the whole block, so that the processor can wait for many places of memory at once.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from csc_cli.compiled import compiled

NEWLINE, BLANK = 10, 32
ONE = np.uint64(1)
FNV_START, FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)
TAG = np.uint64(0xFFFF_FFFF_0000_0000)


class Fields(NamedTuple):
    """The fields of the L lines of a block: where each begins and ends in its bytes, and its hash."""

    starts: NDArray[np.uint32]  # (F, L)
    ends: NDArray[np.uint32]  # (F, L)
    hashes: NDArray[np.uint64]  # (F, L)


class BadLineError(Exception):
    """A line with another number of fields: its number within the block, from 0, and where it begins."""

    def __init__(self, line: int, start: int) -> None:
        super().__init__(line, start)
        self.line, self.start = line, start


def split_fields(data: NDArray[np.uint8], width: int) -> Fields:
    """Take the lines of a block apart at bytes up to 32, the blank.

    Args:
        data: less than 4 GiB, the last byte a line's end.
        width: F, how many fields each line must have.

    Raises:
        BadLineError: the first line that has another number.
    """
    lines = int(np.count_nonzero(data == NEWLINE))
    shape = (width, lines)
    fields = Fields(np.empty(shape, np.uint32), np.empty(shape, np.uint32), np.empty(shape, np.uint64))
    line, start = _split(data, *fields)
    if line < lines:
        raise BadLineError(int(line), int(start))
    return fields


class Names:
    """Distinct names, each with a code, in the order of first appearance."""

    def __init__(self, slots: int = 1 << 12) -> None:
        self.slots = np.zeros(slots, np.uint64)  # (S,) high half of a name's hash, and its code + 1; 0 is empty
        self.hashes = np.zeros(slots // 2, np.uint64)  # (K,)
        self.starts = np.zeros(slots // 2 + 1, np.int64)  # (K + 1,) where each name begins in `text`
        self.text = np.zeros(slots * 8, np.uint8)
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def codes(self, data: NDArray[np.uint8], fields: Fields, column: int) -> NDArray[np.int32]:
        """The codes (L,) of the names in a column of a block; new names are added."""
        place = tuple(part[column] for part in fields)
        codes = np.empty(len(place[0]), np.int32)
        done = 0
        while True:
            done, self.count = _codes(
                data, *place, codes, done, self.slots, self.hashes, self.starts, self.text, self.count
            )
            if done == len(codes):
                return codes
            self._grow()

    def _grow(self) -> None:
        """More room for what is full: the names, or else their text."""
        if self.count < len(self.hashes):
            self.text = np.concatenate([self.text, np.zeros_like(self.text)])
            return
        self.hashes = np.concatenate([self.hashes, np.zeros_like(self.hashes)])
        self.starts = np.concatenate([self.starts, np.zeros(len(self.starts) - 1, np.int64)])
        self.slots = np.zeros(2 * len(self.slots), np.uint64)
        _refill(self.slots, self.hashes, self.count)

    def decode(self) -> NDArray[np.object_]:
        """The names (K,) as str objects.

        Raises:
            UnicodeDecodeError: a name is not UTF-8.
        """
        names = np.empty(self.count, dtype=object)
        text = self.text[: self.starts[self.count]].tobytes()
        places = self.starts[: self.count + 1].tolist()
        names[:] = [text[start:stop].decode("utf-8") for start, stop in pairwise(places)]
        return names


# Indices are unsigned throughout: for signed ones numba adds a test for Python's negative indices to each access.


@compiled
def _split(data, starts, ends, hashes):  # type: ignore[no-untyped-def]
    """Fill the fields; returns how many lines are sound, and where the next one begins."""
    at, line, width = np.uint64(0), np.uint64(0), np.uint64(len(starts))
    while at < np.uint64(len(data)):
        begin, field = at, np.uint64(0)
        while True:
            byte = data[at]
            while byte <= BLANK and byte != NEWLINE:
                at += ONE
                byte = data[at]
            if byte == NEWLINE:
                break
            start, hash_ = at, FNV_START
            while byte > BLANK:
                hash_ = (hash_ ^ np.uint64(byte)) * FNV_PRIME
                at += ONE
                byte = data[at]
            if field < width:
                starts[field, line], ends[field, line] = start, at
                # The low bits choose the slot, the high ones are the tag: mix them.
                hashes[field, line] = hash_ ^ (hash_ >> np.uint64(29))
            field += ONE
        at += ONE
        if field != width:
            return line, begin
        line += ONE
    return line, at


@compiled
def _codes(data, firsts, ends, sums, codes, done, slots, hashes, starts, text, count):  # type: ignore[no-untyped-def]
    """Codes from line `done` on, until the end or a name for which there is no room; returns lines done, names."""
    mask = np.uint64(len(slots) - 1)
    for line in range(done, len(codes)):
        tag, slot = sums[line] & TAG, sums[line] & mask
        first = np.uint64(firsts[line])
        length = np.uint64(ends[line]) - first
        code = np.int64(-1)
        while code < 0 and slots[slot] != 0:
            if slots[slot] & TAG == tag:
                name = (slots[slot] & ~TAG) - ONE
                begin = np.uint64(starts[name])
                if np.uint64(starts[name + ONE]) - begin == length:
                    i = np.uint64(0)
                    while i < length and data[first + i] == text[begin + i]:
                        i += ONE
                    if i == length:
                        code = np.int64(name)
            slot = (slot + ONE) & mask
        if code < 0:
            begin = np.uint64(starts[count])
            if count >= len(hashes) or begin + length > np.uint64(len(text)):
                return line, count
            code = np.int64(count)
            slots[slot], hashes[count] = tag | np.uint64(count + 1), sums[line]
            i = np.uint64(0)
            while i < length:
                text[begin + i] = data[first + i]
                i += ONE
            count += 1
            starts[count] = begin + length
        codes[line] = code
    return len(codes), count


@compiled
def _refill(slots, hashes, count):  # type: ignore[no-untyped-def]
    mask = np.uint64(len(slots) - 1)
    for name in range(count):
        slot = hashes[name] & mask
        while slots[slot] != 0:
            slot = (slot + ONE) & mask
        slots[slot] = (hashes[name] & TAG) | np.uint64(name + 1)
