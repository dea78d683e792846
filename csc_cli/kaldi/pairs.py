"""Files of pairs of names, read in blocks of lines: what trials and scores have in common.

Legend: L lines of a block, N lines of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.interning import NEWLINE, BadLineError, Names, split_fields
from csc_cli.kaldi.specifiers import open_input

BLOCK_BYTES = 1 << 22
LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """How the lines of a file of pairs look: where its columns are, and the words of its key, target first."""

    line: str
    widths: tuple[int, ...]
    columns: tuple[int, int] = (0, 1)  # enrollment, test
    words: tuple[bytes, bytes] = (b"target", b"nontarget")


class PairReader:
    """Blocks of lines gathered into codes, so that the file's text is never held at once."""

    def __init__(self, name: str, form: Form) -> None:
        self.name, self.form = name, form
        self.enroll, self.test = Names(), Names()
        self.codes: list[tuple[np.ndarray, np.ndarray]] = []
        self.lines = 0

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Gather the names; where there is a third field, yield the block's bytes and its places (L,) in them."""
        width = 0
        third = 3 - sum(self.form.columns)
        with open_input(self.name) as stream:
            for data in _whole_lines(stream, self.name):
                width = width or self._width(data)
                try:
                    fields = split_fields(data, width)
                except BadLineError as error:
                    raise self._bad_line(data, error, width) from None
                columns = zip((self.enroll, self.test), self.form.columns)
                enroll, test = (names.codes(data, fields, column) for names, column in columns)
                self.codes.append((enroll, test))
                if width == 3:
                    yield data, fields.starts[third], fields.ends[third]
                self.lines += len(enroll)
        if not width:
            raise DataError(f"{self.name}: is empty; it has no pairs")

    def _width(self, data: np.ndarray) -> int:
        """The number of fields that the first line has, or should have."""
        first = _fields(data, 0)
        return first if first in self.form.widths else self.form.widths[-1]

    def _bad_line(self, data: np.ndarray, error: BadLineError, width: int) -> DataError:
        message = f"{_fields(data, error.start)} fields, not {width}; write {self.form.line}"
        return DataError(at(self.name, self.lines + error.line + 1, message))

    def bad_word(
        self, bad: np.ndarray, data: np.ndarray, starts: np.ndarray, ends: np.ndarray, what: str, message: str
    ) -> DataError:
        """The error of the first third field of the last block that is `bad` (L,), with its line."""
        place = int(np.argmax(bad))
        word = data[starts[place] : ends[place]].tobytes().decode("utf-8", "replace")
        return DataError(at(self.name, self.lines + place + 1, f"the {what} '{word}' {message}"))

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The names of the enrollments and tests, and the codes (N,) of each pair. Raises DataError: no UTF-8."""
        try:
            names = self.enroll.decode(), self.test.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: {error.object!r} is not UTF-8 text; is it the right file?") from None
        enroll, test = (np.concatenate(parts) for parts in zip(*self.codes, strict=True))
        return *names, enroll, test


def _fields(data: np.ndarray, start: int) -> int:
    """How many fields the line has that begins at `start`."""
    line = data[start : start + int(np.argmax(data[start:] == NEWLINE))]
    return len(re.findall(rb"[^\0- ]+", line.tobytes()))


def _whole_lines(stream: IO[bytes], name: str) -> Iterator[np.ndarray]:
    """The bytes (uint8) of a stream, in blocks that end with a line's end."""
    rest = b""
    while data := stream.read(BLOCK_BYTES):
        end = data.rfind(b"\n") + 1
        if not end:
            rest += data
            if len(rest) > LONGEST_LINE:
                raise DataError(f"{name}: a line of more than {LONGEST_LINE} bytes; is it the right file?")
            continue
        yield np.frombuffer(rest + data[:end], np.uint8)
        rest = data[end:]
    if rest:
        yield np.frombuffer(rest + b"\n", np.uint8)
