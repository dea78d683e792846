"""The files that an scp names, the last few of them open, and single values in them."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from os.path import exists
from pathlib import Path
from typing import IO, Any

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import read_array
from csc_cli.kaldi.pipes import refused
from csc_cli.kaldi.specifiers import is_pipe, open_file, open_input, split_offset, split_range

OPEN_FILES = 128
BUFFER = 1 << 14
OVERHANG = 3
"""A range may end so much after the array's end and is cut there, as in Kaldi: times are rounded to frames."""


class OpenArchives:
    """The archives of one scp; a file is looked for from the working folder, then from the scp's own.

    `value` reads the value at a stream's position.
    """

    def __init__(self, scp: str, value: Callable[[IO[bytes]], Any] = read_array) -> None:
        self.value = value
        self.base = Path() if is_pipe(scp) else Path(scp).parent
        self.files: OrderedDict[str, IO[bytes]] = OrderedDict()
        # The last array of which a part was asked for: the next part is often of the same.
        self.whole: tuple[str, np.ndarray] | None = None

    def __enter__(self) -> OpenArchives:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self.files.values():
            stream.close()

    def read(self, place: str) -> Any:
        """The value at `FILE:OFFSET`, `FILE` or `COMMAND |`, or the part of an array `[FIRST:LAST,FIRST:LAST]`.

        Raises:
            DataError: with the place, where it cannot be read, is damaged, or the range is not within the array.
        """
        name, span = split_range(place)
        if span is None:
            return self._read(name)
        if self.whole is None or self.whole[0] != name:
            self.whole = name, self._read(name)
        try:
            return part(self.whole[1], span)
        except DataError as error:
            raise DataError(f"{place}: {error}") from error

    def descriptor(self, path: str) -> int | None:
        """Of the open file, good until the next call; None where it cannot be opened or is no plain file."""
        try:
            descriptor = self._stream(path).fileno()
            return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
        except (DataError, OSError):
            return None

    def _read(self, name: str) -> Any:
        try:
            if is_pipe(name) and refused():
                raise DataError(f"'{name}' is a command, and --no-pipes refuses them; write its output to a file")
            if is_pipe(name) or name == "-":
                with open_input(name) as stream:
                    return self.value(stream)
            path, offset = split_offset(name)
            stream = self._stream(path)
            if offset or stream.seekable():
                stream.seek(offset)
            try:
                return self.value(stream)
            except DataError as error:
                raise DataError(f"{name}: {error}") from error
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error}; copy the file again") from error

    def _stream(self, path: str) -> IO[bytes]:
        if path in self.files:
            self.files.move_to_end(path)
            return self.files[path]
        beside = str(self.base / path)
        stream = open_file(beside if not exists(path) and exists(beside) else path, BUFFER)
        self.files[path] = stream
        if len(self.files) > OPEN_FILES:
            self.files.popitem(last=False)[1].close()
        return stream


def part(array: np.ndarray, span: str) -> np.ndarray:
    """The part of an array that Kaldi's range `FIRST:LAST` or `FIRST:LAST,FIRST:LAST` means, both ends included.

    A bound that is left out is the first or last. Rows may go 3 beyond the end, and end there.

    Raises:
        DataError: another form, more ranges than axes, or a range that is not within the array.
    """
    ranges = span.split(",")
    if len(ranges) > array.ndim:
        raise DataError(f"the range [{span}] has more axes than the {array.ndim} of the array; correct it")
    slices = []
    for axis, bounds in enumerate(ranges):
        size = array.shape[axis]
        first, colon, last = bounds.partition(":")
        if (bounds and not colon) or ":" in last:
            raise DataError(f"the range [{span}] is not of the form [FIRST:LAST]; correct it")
        begin, end = int(first or 0), int(last or size - 1)
        if begin > end or begin >= size or end >= size + (0 if axis else OVERHANG):
            shape = " x ".join(map(str, array.shape))
            raise DataError(f"the range [{span}] does not lie within the {shape} of the array; correct it")
        slices.append(slice(begin, min(end + 1, size)))
    return array[tuple(slices)]
