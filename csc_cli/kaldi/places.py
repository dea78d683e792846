"""Where the values of an scp lie: many lines `KEY FILE:OFFSET` at once, and the vectors there; N lines, D values.

What is not of the usual form (a pipe, a range, another blank) is no place here, and is read by itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from csc_cli.kaldi.archives import Template, windows
from csc_cli.kaldi.opened import OpenArchives

DIGITS = 18  # of an offset at most
BLANK, LINE_END, COLON, ZERO = b" \n:0"


class Places(NamedTuple):
    """Offsets (N,) in files; `codes` (N,) are indices of `paths`, -1 where a line is no place."""

    paths: list[str]
    codes: np.ndarray
    offsets: np.ndarray

    def part(self, span: slice) -> Places:
        """The places of some of the lines."""
        return Places(self.paths, self.codes[span], self.offsets[span])


def places_of(names: Sequence[str]) -> Places:
    """The places of any lines; `names` are what stands after the keys."""
    known: dict[str, int] = {}
    codes = np.full(len(names), -1)
    offsets = np.zeros(len(names), np.int64)
    for index, name in enumerate(names):
        path, _, offset = name.rpartition(":")
        if offset.isdigit() and offset.isascii() and len(offset) <= DIGITS:
            codes[index] = known.setdefault(path, len(known))
            offsets[index] = int(offset)
    return Places(list(known), codes, offsets)


def parse_regular(data: bytes) -> tuple[list[str], list[str], Places] | None:
    """Keys, names and places of whole lines `KEY FILE:OFFSET` of one file; None where any line is otherwise.

    Quick, because no line is looked at by itself.
    """
    if not data.endswith(b"\n"):  # the last line may
        data += b"\n"
    text = np.frombuffer(data, np.uint8)
    blanks = np.flatnonzero(text <= BLANK)
    starts, ends = blanks[::2] + 1, blanks[1::2]
    if len(starts) != len(ends) or not len(ends) or not data.isascii() or (np.diff(blanks, prepend=-1) < 2).any():
        return None
    if (text[starts - 1] != BLANK).any() or (text[ends] != LINE_END).any():
        return None
    colons = np.flatnonzero(text == COLON)
    last = np.searchsorted(colons, ends) - 1
    colon = colons[last] if len(colons) else last
    lengths = colon - starts
    offsets = _numbers(text, colon + 1, ends)
    if last.min() < 0 or lengths.min() < 1 or offsets is None or (lengths != lengths[0]).any():
        return None
    path = data[starts[0] : colon[0]]
    if (windows(data, len(path))[starts] != np.frombuffer(path, np.uint8)).any():
        return None
    words = data.decode("ascii").split()
    return words[::2], words[1::2], Places([path.decode("ascii")], np.zeros(len(ends), np.intp), offsets)


def _numbers(text: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray | None:
    """The whole numbers (N,) that stand in text[start:end]; None where one is none."""
    sizes = ends - starts
    if sizes.min() < 1 or sizes.max() > DIGITS:
        return None
    values = np.zeros(len(starts), np.int64)
    for place in range(int(sizes.max())):
        there = place < sizes
        digits = text[np.where(there, ends - 1 - place, ends)].astype(np.int64) - ZERO
        digits[~there] = 0
        if digits.min() < 0 or digits.max() > 9:
            return None
        values += digits * 10**place
    return values


def gather(places: Places, archives: OpenArchives, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """The vectors like `template` at the places.

    Returns:
        Their rows (n, D), and which of the lines they are (N,); the others have to be read by themselves.
    """
    if len(places.paths) == 1 and (places.codes == 0).all():
        descriptor = archives.descriptor(places.paths[0])
        if descriptor is not None:
            return _gather_of_file(descriptor, places.offsets, template)
    sound = np.zeros(len(places.codes), bool)
    rows = np.empty((len(places.codes), template.size // template.dtype.itemsize), template.dtype)
    order = np.argsort(places.codes, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(places.codes[order])) + 1):
        code = places.codes[group[0]] if len(group) else -1
        descriptor = archives.descriptor(places.paths[code]) if code >= 0 else None
        if descriptor is not None:
            found, is_sound = _gather_of_file(descriptor, places.offsets[group], template)
            rows[group[is_sound]] = found
            sound[group] = is_sound
    return rows[sound], sound


def _gather_of_file(descriptor: int, offsets: np.ndarray, template: Template) -> tuple[np.ndarray, np.ndarray]:
    """As `gather`, in one file. Values that follow each other closely are read at once."""
    length = template.length
    gaps = np.diff(offsets)
    heads = np.flatnonzero(np.concatenate([[True], (gaps < 0) | (gaps > 2 * length)]))
    tails = np.append(heads[1:], len(offsets)) - 1
    firsts, sizes = offsets[heads], offsets[tails] - offsets[heads] + length
    pieces = [_pread(descriptor, size, first) for size, first in zip(sizes.tolist(), firsts.tolist())]
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    run = np.repeat(np.arange(len(heads)), tails - heads + 1)
    read = np.array([len(piece) for piece in pieces])
    inside = offsets - firsts[run]  # of the piece
    sound = inside + length <= read[run]
    starts = (inside + (np.cumsum(read) - read)[run])[sound]
    if len(data) < length:
        return template.rows(b"", ()), np.zeros(len(offsets), bool)
    header = np.frombuffer(template.header, np.uint8)
    same = (windows(data, len(header))[starts] == header).all(1)
    sound[sound] = same
    return template.rows(data, starts[same] + len(header)), sound


def _pread(descriptor: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError:  # what is wrong is said where the value is read by itself
        return b""
