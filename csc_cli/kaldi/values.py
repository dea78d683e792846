"""Tables of whole numbers: one a key (Kaldi's num_utts) or a list (alignments, decisions on frames)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TypeVar

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi import scripts
from csc_cli.kaldi.archives import read_key
from csc_cli.kaldi.arrays import SIZE, read_array, read_exactly, read_size
from csc_cli.kaldi.keys import Unique
from csc_cli.kaldi.specifiers import Rspecifier, open_input
from csc_cli.kaldi.writers import TableWriter

Value = TypeVar("Value")
LEAST, MOST = -(1 << 31), (1 << 31) - 1
ELEMENT = np.dtype([("size", "i1"), ("value", "<i4")])


def read_ints(rspecifier: str) -> dict[str, int]:
    """Key -> whole number, of `ark:`, `ark,t:` or `scp:`, binary or text.

    Raises:
        DataError: with the place, for a damaged table, a key given twice or an empty table.
    """
    return dict(read_entries(rspecifier, read_int))


def read_int_vectors(rspecifier: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, whole numbers (N,) int32), of `ark:`, `ark,t:` or `scp:`, binary or text; errors as `read_ints`."""
    return read_entries(rspecifier, read_int_vector)


def read_entries(rspecifier: str, read: Callable[[IO[bytes]], Value]) -> Iterator[tuple[str, Value]]:
    """Yield (key, what `read` makes of the value at a stream's position); errors as `read_ints`."""
    parsed = Rspecifier.parse(rspecifier)
    unique = Unique(rspecifier)
    for key, value in scripts.read_values(parsed, read) if parsed.kind == "scp" else _of_ark(parsed.rxfilename, read):
        unique.add([key])
        yield key, value
    if not unique.count:
        raise DataError(f"{rspecifier}: is empty; it has no entries")


def _of_ark(name: str, read: Callable[[IO[bytes]], Value]) -> Iterator[tuple[str, Value]]:
    with open_input(name) as stream:
        while key := read_key(stream, name):
            try:
                yield key, read(stream)
            except DataError as error:
                raise DataError(f"{name}: '{key}': {error}") from error


def read_int(stream: IO[bytes]) -> int:
    """The whole number at the stream's position. Raises DataError."""
    text = _text(stream)
    if text is None:
        size, value = SIZE.unpack(read_exactly(stream, SIZE.size))
        if size != 4:
            raise DataError("no whole number of 32 bits; write the table again")
        return int(value)
    return _whole([text.strip()])[0]


def read_int_vector(stream: IO[bytes]) -> np.ndarray:
    """The whole numbers (N,) at the stream's position. Raises DataError."""
    text = _text(stream)
    if text is not None:
        return np.array(_whole(text.split()), np.int32)
    count = read_size(stream)
    elements = np.frombuffer(read_exactly(stream, count * ELEMENT.itemsize), ELEMENT)
    if (elements["size"] != 4).any():
        raise DataError("no whole numbers of 32 bits; write the table again")
    return elements["value"].astype(np.int32)


def read_numbers(stream: IO[bytes]) -> np.ndarray:
    """The vector, or whole numbers, (N,) at the stream's position: decisions come in both forms. Raises DataError."""
    start = stream.read(1)
    if start != b"\0":
        line = start + stream.readline()
        if b"[" in line:
            return read_array(_Pushed(line, stream))  # type: ignore[arg-type]
        if not line:
            raise DataError("ends before its value; write the archive again")
        return np.array(_whole(line.split()), np.int32)
    start += stream.read(2)
    read = read_int_vector if start == b"\0B\4" else read_array
    return read(_Pushed(start, stream))  # type: ignore[arg-type]


class _Pushed:
    """A stream into which bytes that were read are put back."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self.start, self.stream = start, stream

    def read(self, size: int) -> bytes:
        data, self.start = self.start[:size], self.start[size:]
        return data if len(data) == size else data + self.stream.read(size - len(data))

    def readline(self) -> bytes:
        line, end, rest = self.start.partition(b"\n")
        self.start = rest
        return line + end if end else line + self.stream.readline()


def _text(stream: IO[bytes]) -> bytes | None:
    """The rest of the line; None where a binary value follows."""
    start = stream.read(1)
    if start == b"\0":
        if stream.read(1) != b"B":
            raise DataError("no whole number; write the table again")
        return None
    if not start:
        raise DataError("ends before its value; write the archive again")
    return start if start == b"\n" else start + stream.readline()


def _whole(words: list[bytes]) -> list[int]:
    try:
        values = [int(word) for word in words]
    except ValueError:
        shown = b" ".join(words)[:50].decode("latin1")
        raise DataError(f"'{shown}' is no whole number; correct the line") from None
    if any(not LEAST <= value <= MOST for value in values):
        raise DataError("a number that 32 bits do not hold; correct the line")
    return values


def write_ints(wspecifier: str, table: Mapping[str, int]) -> None:
    """Write key -> whole number in C order, binary or text (`ark,t:`), whole or not at all.

    Raises:
        DataError: a number of more than 32 bits, a key that cannot be written, or a file that cannot.
    """
    with TableWriter(wspecifier) as writer:
        for key in sorted(table):
            value = int(table[key])
            _check(key, value, value, wspecifier)
            writer.append(key, b"%d\n" % value if writer.text else b"\0B\4" + struct.pack("<i", value))


def write_int_vectors(wspecifier: str, table: Mapping[str, np.ndarray]) -> None:
    """Write key -> whole numbers (N,) in C order; as `write_ints`."""
    with TableWriter(wspecifier) as writer:
        for key in sorted(table):
            values = np.asarray(table[key])
            if values.ndim != 1 or values.dtype.kind not in "iub":
                raise DataError(f"{wspecifier}: '{key}' is no list of whole numbers; write lists (N,)")
            if values.size:
                _check(key, int(values.min()), int(values.max()), wspecifier)
            if writer.text:
                writer.append(key, (" ".join(map(str, values.astype(int).tolist())) + " \n").encode())
            else:
                elements = np.empty(len(values), ELEMENT)
                elements["size"], elements["value"] = 4, values
                writer.append(key, b"\0B" + SIZE.pack(4, len(values)) + elements.tobytes())


def _check(key: str, least: int, most: int, wspecifier: str) -> None:
    if least < LEAST or most > MOST:
        raise DataError(f"{wspecifier}: '{key}' has a number that 32 bits do not hold; Kaldi's whole numbers have 32")
