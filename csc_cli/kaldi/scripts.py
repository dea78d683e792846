"""scps: lines that say in which file, and where in it, the value of a key lies.

kaldiio opens a file for each line, or seeks and reads a few bytes at a time, and holds all lines. Here lines are
taken some thousand at a time, and the vectors they name are read file by file; values of other kinds one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.archives import Block, Template
from csc_cli.kaldi.faults import HAS_BOM, without_bom
from csc_cli.kaldi.opened import OpenArchives
from csc_cli.kaldi.places import Places, gather, parse_regular, places_of
from csc_cli.kaldi.specifiers import Rspecifier, open_input
from csc_cli.progress import note

LINES_BYTES = 1 << 18
GATHER_BYTES = 1 << 20


class Lines(NamedTuple):
    """Lines of an scp: their numbers from 1 on, keys, and where the values lie."""

    numbers: np.ndarray
    keys: list[str]
    names: list[str]
    places: Places

    @classmethod
    def of(cls, first: int, pairs: list[tuple[str, str]]) -> Lines:
        """From keys and names of successive lines."""
        names = [name for _, name in pairs]
        return cls(np.arange(first, first + len(pairs)), [key for key, _ in pairs], names, places_of(names))

    def part(self, span: slice) -> Lines:
        """Some of the lines."""
        return Lines(self.numbers[span], self.keys[span], self.names[span], self.places.part(span))

    def of_keys(self, wanted: Container[str]) -> Lines:
        """The lines whose keys are wanted."""
        chosen = [i for i, key in enumerate(self.keys) if key in wanted]
        names = [self.names[i] for i in chosen]
        return Lines(self.numbers[chosen], [self.keys[i] for i in chosen], names, places_of(names))


def parse_lines(rows: list[bytes], first: int, path: str) -> tuple[Lines, DataError | None]:
    """The lines up to the first that is not `KEY FILE:OFFSET` or the like, and what is wrong with that one."""
    regular = parse_regular(b"".join(rows))
    if regular:
        return Lines(np.arange(first, first + len(rows)), *regular), None
    pairs: list[tuple[str, str]] = []
    for number, row in enumerate(rows, first):
        try:
            pairs.append(parse_line(row))
        except DataError as error:
            return Lines.of(first, pairs), DataError(at(path, number, str(error)))
    return Lines.of(first, pairs), None


def parse_line(row: bytes) -> tuple[str, str]:
    """Key and place of one line. Raises DataError."""
    fields = row.decode("utf-8", "surrogateescape").split(None, 1)
    if len(fields) != 2:
        raise DataError("not 'KEY FILE:OFFSET'; correct or remove the line")
    key, name = fields[0], fields[1].rstrip()
    if not key.isascii():
        try:
            key.encode()  # the name of a file may be any bytes, a key not
        except UnicodeEncodeError:
            raise DataError("a key that is not UTF-8 text; correct the line") from None
        if key.startswith("\ufeff"):
            raise DataError(f"{HAS_BOM}; {without_bom()}")
    return key, name


def read_blocks(scp: Rspecifier, wanted: Container[str] | None = None) -> Iterator[Block]:
    """The entries of an scp, in its order.

    Args:
        wanted: the keys to be read; None: all.

    Raises:
        DataError: with file and line, for an entry that is damaged, absent or no array.
    """
    with open_input(scp.rxfilename) as stream, OpenArchives(scp.rxfilename) as archives:
        reader = _Reader(scp, archives)
        for lines in _lines(stream, scp.rxfilename):
            yield from reader.read(lines if wanted is None else lines.of_keys(wanted))
        reader.note_skipped()


def read_values(scp: Rspecifier, value: Callable[[IO[bytes]], Any]) -> Iterator[tuple[str, Any]]:
    """The entries of an scp of other values than arrays, each read by `value`. Errors as `read_blocks`."""
    with open_input(scp.rxfilename) as stream, OpenArchives(scp.rxfilename, value) as archives:
        reader = _Reader(scp, archives)
        for lines in _lines(stream, scp.rxfilename):
            for number, key, name in zip(lines.numbers.tolist(), lines.keys, lines.names):
                if (found := reader.read_one(name, number)) is not None:
                    yield key, found
        reader.note_skipped()


def _lines(stream: IO[bytes], path: str) -> Iterator[Lines]:
    """Some thousand lines at a time; what is wrong with one is raised after those before it."""
    first = 1
    while rows := stream.readlines(LINES_BYTES):
        lines, fault = parse_lines(rows, first, path)
        yield lines
        if fault:
            raise fault
        first += len(rows)


class _Reader:
    """Lines become blocks; vectors like the one before many at a time."""

    def __init__(self, scp: Rspecifier, archives: OpenArchives) -> None:
        self.scp, self.archives = scp, archives
        self.template: Template | None = None
        self.skipped = 0

    def read(self, lines: Lines) -> Iterator[Block]:
        """The values of the lines, in their order."""
        begin = 0
        while begin < len(lines.keys):
            count = GATHER_BYTES // self.template.length if self.template else 1
            yield from self._read_some(lines.part(slice(begin, begin + count)))
            begin += count

    def _read_some(self, lines: Lines) -> Iterator[Block]:
        rows, sound = np.zeros((0, 0)), np.zeros(len(lines.keys), bool)
        if self.template:
            rows, sound = gather(lines.places, self.archives, self.template)
        if sound.all():
            yield Block(lines.keys, rows)
            return
        begin = passed = 0
        for index in (*np.flatnonzero(~sound).tolist(), len(sound)):
            if index > begin:  # those between two others are rows
                yield Block(lines.keys[begin:index], rows[begin - passed : index - passed])
            if index < len(sound):
                array = self.read_one(lines.names[index], int(lines.numbers[index]))
                if array is not None:
                    yield Block([lines.keys[index]], [array])
            begin, passed = index + 1, passed + 1

    def note_skipped(self) -> None:
        """Say how many entries were left out."""
        if self.skipped:
            note(f"{self.scp.rxfilename}: {self.skipped} entries could not be read and are left out, as 'p' asks")

    def read_one(self, name: str, number: int) -> Any:
        """The value at `name`, which line `number` says; None where it cannot be read, and may be left out."""
        try:
            value = self.archives.read(name)
        except DataError as error:
            if not self.scp.permissive:
                raise DataError(at(self.scp.rxfilename, number, str(error))) from error
            self.skipped += 1
            return None
        self.template = Template.of(value) if isinstance(value, np.ndarray) else None
        return value
