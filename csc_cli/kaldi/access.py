"""Random access to tables: the value of a key, of an scp of ten million lines as of a small ark.

Of an scp 16 bytes a line are held, or nothing where it is sorted (`scp,s:`), and no file is opened before a value of
it is asked for. An ark is held whole, as in Kaldi, unless it is sorted and so are the keys that are asked for
(`ark,s,cs:`); `o` forgets what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.lines import HashedLines, LineFile, SortedLines, seekable
from csc_cli.kaldi.opened import OpenArchives
from csc_cli.kaldi.scripts import parse_line
from csc_cli.kaldi.specifiers import Rspecifier
from csc_cli.kaldi.tables import read_arrays


class RandomTable(Protocol):
    """A table of vectors or matrices of which any entry can be had."""

    def find(self, key: str) -> np.ndarray | None:
        """The key's array; None where the table has not got it. Raises DataError where it is damaged."""


@contextmanager
def open_table(rspecifier: str) -> Iterator[RandomTable]:
    """Random access to a table; with `p` what is damaged is as if it were not there.

    Raises:
        DataError: it cannot be read, it has a key twice, or it is not sorted although `s` says so.
    """
    parsed = Rspecifier.parse(rspecifier)
    if parsed.kind == "scp":
        with seekable(parsed.rxfilename) as stream, OpenArchives(parsed.rxfilename) as archives:
            yield _ScpTable(parsed, LineFile(parsed.rxfilename, stream), archives)
    elif parsed.sorted and parsed.called_sorted:
        yield _SortedArk(rspecifier)
    else:
        yield _HeldArk(rspecifier, parsed.once)


class _ScpTable:
    def __init__(self, parsed: Rspecifier, file: LineFile, archives: OpenArchives) -> None:
        self.parsed, self.file, self.archives = parsed, file, archives
        self.index = SortedLines(file) if parsed.sorted else HashedLines(file)

    def find(self, key: str) -> np.ndarray | None:
        position = self.index.find(key.encode())
        if position is None:
            return None
        try:
            return self.archives.read(parse_line(self.file.line(position))[1])
        except DataError as error:
            if self.parsed.permissive:
                return None
            raise DataError(at(self.file.name, self.file.number(position), str(error))) from error


class _HeldArk:
    def __init__(self, rspecifier: str, once: bool) -> None:
        self.arrays = dict(read_arrays(rspecifier))
        self.once = once

    def find(self, key: str) -> np.ndarray | None:
        return self.arrays.pop(key, None) if self.once else self.arrays.get(key)


class _SortedArk:
    def __init__(self, rspecifier: str) -> None:
        self.rspecifier = rspecifier
        self.entries = read_arrays(rspecifier)
        self.key, self.array, self.asked = "", np.zeros(0), ""

    def find(self, key: str) -> np.ndarray | None:
        if key < self.asked:
            message = f"'{key}' is asked for after '{self.asked}', although 'cs' says that keys ascend; leave out 'cs'"
            raise DataError(f"{self.rspecifier}: {message}")
        self.asked = key
        while self.key < key:
            before = self.key
            self.key, self.array = next(self.entries, ("\U0010ffff", np.zeros(0)))
            if self.key < before:
                message = f"'{self.key}' comes after '{before}', although 's' says that keys ascend; leave out 's'"
                raise DataError(f"{self.rspecifier}: {message}")
        return self.array if self.key == key else None
