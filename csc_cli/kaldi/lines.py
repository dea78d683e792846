"""Lines `KEY ...` of a large file, found by their keys without holding them."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.faults import BOM, HAS_BOM, without_bom
from csc_cli.kaldi.specifiers import open_input

BLOCK_BYTES = 1 << 20
STEP = 512


@contextmanager
def seekable(name: str) -> Iterator[IO[bytes]]:
    """A file as `open_input` opens it; what a pipe or `-` gives is copied to a temporary file first."""
    with open_input(name) as stream:
        try:
            plain = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        except OSError:
            plain = False
        if plain:
            yield stream
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy)
            copy.seek(0)
            yield copy


class LineFile:
    """A file of lines that are read by the position at which they begin."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        self.name, self.stream = name, stream
        self.descriptor = stream.fileno()
        start = os.pread(self.descriptor, len(BOM), 0)
        if not start:
            raise DataError(f"{name}: is empty; it has no entries")
        if start == BOM:
            raise DataError(at(name, 1, f"{HAS_BOM}; {without_bom()}"))

    def line(self, position: int) -> bytes:
        """The line that begins there."""
        line = b""
        while data := os.pread(self.descriptor, STEP, position + len(line)):
            line += data
            if b"\n" in data:
                return line[: line.index(b"\n") + 1]
        return line

    def key(self, position: int) -> bytes:
        """The key of the line that begins there. Raises DataError where there is none."""
        fields = self.line(position).split(None, 1)
        if not fields:
            raise DataError(at(self.name, self.number(position), "an empty line; remove it"))
        return fields[0]

    def number(self, position: int) -> int:
        """The line's number from 1; reads all lines before it."""
        number, place = 1, 0
        while data := os.pread(self.descriptor, min(position - place, BLOCK_BYTES), place):
            number += data.count(b"\n")
            place += len(data)
        return number

    def start(self, position: int) -> int:
        """Where the line begins to which the byte at `position` belongs."""
        while position > 0:
            begin = max(0, position - STEP)
            end_of_line = os.pread(self.descriptor, position - begin, begin).rfind(b"\n")
            if end_of_line >= 0:
                return begin + end_of_line + 1
            position = begin
        return 0


class HashedLines:
    """Any order: a hash of 64 bits and a position a line. Raises DataError for a key that stands there twice."""

    def __init__(self, file: LineFile) -> None:
        self.file = file
        hashes, lengths = array("q"), array("q")
        file.stream.seek(0)
        while rows := file.stream.readlines(BLOCK_BYTES):
            try:
                hashes.extend([hash(row.split(None, 1)[0]) for row in rows])
            except IndexError:
                number = len(lengths) + next(i for i, row in enumerate(rows, 1) if not row.strip())
                raise DataError(at(file.name, number, "an empty line; remove it")) from None
            lengths.extend(map(len, rows))
        unsorted = np.frombuffer(hashes, np.int64)
        order = np.argsort(unsorted, kind="stable")
        self.hashes = unsorted[order]
        size = np.frombuffer(lengths, np.int64)
        self.positions = (np.cumsum(size) - size)[order]
        for place in np.flatnonzero(self.hashes[1:] == self.hashes[:-1]).tolist():
            key = file.key(int(self.positions[place]))
            if key == file.key(int(self.positions[place + 1])):
                shown = key.decode("utf-8", "replace")
                number = file.number(int(self.positions[place + 1]))
                raise DataError(at(file.name, number, f"the key '{shown}' stands in it twice; keep one of the two"))

    def find(self, key: bytes) -> int | None:
        """The position of the key's line."""
        place = int(np.searchsorted(self.hashes, hash(key)))
        while place < len(self.hashes) and self.hashes[place] == hash(key):
            if self.file.key(int(self.positions[place])) == key:
                return int(self.positions[place])
            place += 1
        return None


class SortedLines:
    """Keys that ascend as bytes: halves the file some twenty times, and holds nothing."""

    def __init__(self, file: LineFile) -> None:
        self.file = file
        self.size = file.stream.seek(0, os.SEEK_END)

    def find(self, key: bytes) -> int | None:
        """The position of the key's line. Raises DataError where keys on the way do not ascend."""
        low, high = 0, self.size
        before, after = b"", b"\xff"
        while low < high:
            position = self.file.start((low + high) // 2)
            found = self.file.key(position)
            if found == key:
                return position
            if not before < found < after:
                message = f"'{found.decode('utf-8', 'replace')}' is out of order, although 's' says that keys ascend"
                raise DataError(at(self.file.name, self.file.number(position), f"{message}; leave out 's' or sort it"))
            if found < key:
                low, before = position + len(self.file.line(position)), found
            else:
                high, after = position, found
        return None
