"""One Kaldi vector or matrix in a stream of bytes, binary or text, plain or compressed.

kaldiio is not asked to read here: it unpickles what begins with `PKL`, believes a size before the bytes are
there, and takes text without a point for whole numbers. What is written it reads bit for bit.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import IO, Any

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi import compression

# Type and axes of what is stored plainly.
FLOAT, DOUBLE = np.dtype("<f4"), np.dtype("<f8")
PLAIN: dict[bytes, tuple[np.dtype[Any], int]] = {
    b"FV ": (FLOAT, 1),
    b"DV ": (DOUBLE, 1),
    b"FM ": (FLOAT, 2),
    b"DM ": (DOUBLE, 2),
}
TAGS = {(dtype, axes): tag for tag, (dtype, axes) in PLAIN.items()}
COMPRESSED = (b"CM ", b"CM2 ", b"CM3 ")
# How the headers end: the number of bytes of a size (4), then the size; twice for a matrix.
SIZE = struct.Struct("<bi")
SIZES = struct.Struct("<bibi")
PIECE = 1 << 20
# What else may stand in an archive, and why it is not read.
OTHERS = (
    (b"PKL", "a pickle, which could run code"),
    (b"RIFF", "audio"),
    (b"fLaC", "audio"),
    (b"AUDIO", "audio"),
    (b"NPY", "an array of numpy's, which Kaldi does not know"),
)


def read_array(stream: IO[bytes], text_dtype: type[np.floating] = np.float32) -> np.ndarray:
    """The array at the stream's position: binary or text, vector (D,) or matrix (N, D).

    Returns:
        float32 or float64 as stored; text, which does not say, as `text_dtype`. Not writable where it is a view.

    Raises:
        DataError: truncated, damaged, or no array (audio, a pickle, a token, whole numbers).
    """
    start = stream.read(2)
    if start == b"\0B":
        return read_binary(stream)
    if start[:1] in (b" ", b"[", b"\t"):
        return _read_text(start + stream.readline(), stream, text_dtype)
    if not start:
        raise DataError("ends before its value; write the archive again")
    raise _stranger(start + stream.read(3))


def _stranger(start: bytes) -> DataError:
    for tag, what in OTHERS:
        if start.startswith(tag):
            return DataError(f"holds {what}, not a vector or matrix; csc does not read it")
    if start.startswith(b"\x1f\x8b"):
        return DataError("is compressed by gzip; write 'gunzip -c FILE |' in place of FILE")
    return DataError("holds neither a binary nor a text vector or matrix; check that the offset and the file are right")


def read_binary(stream: IO[bytes]) -> np.ndarray:
    """As `read_array`, after the `\\0B` that says binary (within Kaldi's objects it stands only once)."""
    kind = stream.read(3)
    if kind in PLAIN:
        dtype, axes = PLAIN[kind]
        rows = read_size(stream)
        if axes == 1:
            return np.frombuffer(read_exactly(stream, rows * dtype.itemsize), dtype)
        columns = read_size(stream)
        return np.frombuffer(read_exactly(stream, rows * columns * dtype.itemsize), dtype).reshape(rows, columns)
    name = kind if kind.endswith(b" ") else kind + stream.read(1)
    if name in COMPRESSED:
        return _read_compressed(stream, name)
    if kind[:1] == b"\4":
        raise DataError("holds whole numbers, not a vector or matrix; give a table of vectors or matrices")
    raise DataError(
        f"the type {name.strip()!r} is no vector or matrix of Kaldi's; check that file and offset are right"
    )


def _read_compressed(stream: IO[bytes], form: bytes) -> np.ndarray:
    header = read_exactly(stream, compression.HEADER.size)
    _, _, rows, columns = compression.HEADER.unpack(header)
    if rows < 0 or columns < 0:
        raise DataError(f"a size of {rows} x {columns}; the archive is damaged")
    return compression.decompress(form, header, read_exactly(stream, compression.body_size(form, rows, columns)))


def read_size(stream: IO[bytes]) -> int:
    """A size, not negative: Kaldi writes the number of its bytes (4), then the number."""
    size, value = SIZE.unpack(read_exactly(stream, SIZE.size))
    if size != 4 or value < 0:
        raise DataError(f"a size of {value}; the archive is damaged")
    return int(value)


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """`size` bytes; no more memory than the bytes that are there, whatever a damaged header asks for."""
    data = stream.read(min(size, PIECE))
    if size > PIECE:
        pieces, there = [data], len(data)
        while there < size and pieces[-1]:
            pieces.append(stream.read(min(size - there, there)))
            there += len(pieces[-1])
        data = b"".join(pieces)
    if len(data) < size:
        raise DataError(f"truncated: {len(data)} of {size} bytes are there; write the archive again")
    return data


def _read_text(line: bytes, stream: IO[bytes], dtype: type[np.floating]) -> np.ndarray:
    lines = [line]
    while b"]" not in lines[-1]:
        lines.append(stream.readline())
        if not lines[-1]:
            raise DataError("truncated: no ']'; write the archive again")
    head, bracket, lines[0] = lines[0].partition(b"[")
    lines[-1], _, rest = lines[-1].partition(b"]")
    if head.strip() or not bracket or rest.strip():
        raise DataError("is no text vector or matrix, such as '[ 1.5 2 ]'; correct the line")
    return parse_text(b"\n".join(lines), dtype)


def parse_text(text: bytes, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """What stands between the brackets: one line is a vector, lines (or `;`) are the rows of a matrix."""
    lines = text.replace(b";", b"\n").split(b"\n")
    try:
        with np.errstate(over="ignore"):  # gives infinity, which the reader then names
            rows = [np.array(line.split(), dtype=dtype) for line in lines]
    except ValueError as error:
        raise DataError(f"{error}; correct the line") from None
    if b"_" in text:  # Python's own way to group digits
        raise DataError("could not convert numbers with '_'; correct the line")
    if len(rows) == 1:
        return rows[0]
    rows = [row for row in rows if len(row)]
    if len({len(row) for row in rows}) > 1:
        raise DataError("rows of unequal length; correct the matrix")
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=dtype)


def write_array(stream: IO[bytes], array: np.ndarray, text: bool = False, method: int = 0) -> int:
    """Write one vector or matrix (float32 or float64) as Kaldi does; returns the bytes written.

    Args:
        text: the shortest numbers that read back the same.
        method: Kaldi's compression method 1 to 7, for a binary matrix that is not empty; 0: none.

    Raises:
        DataError: a matrix that the method cannot compress, or an array of 2^31 rows or columns.
    """
    data = text_of(array) if text else b"\0B" + binary_of(array, method)
    stream.write(data)
    return len(data)


def binary_of(array: np.ndarray, method: int = 0) -> bytes:
    """The array's binary form, without the `\\0B` before it; see `write_array`."""
    if array.ndim == 2 and method and array.size:
        return compression.compress(array, method)
    is_double = array.dtype == np.float64
    try:
        header = _header(array.shape, is_double)
    except struct.error:
        raise DataError(f"has shape {array.shape}; Kaldi's sizes end at 2147483647") from None
    return header + np.asarray(array, DOUBLE if is_double else FLOAT).tobytes()


@lru_cache(maxsize=64)
def _header(shape: tuple[int, ...], is_double: bool) -> bytes:
    tag = TAGS[DOUBLE if is_double else FLOAT, len(shape)]
    return tag + (SIZE if len(shape) == 1 else SIZES).pack(*[part for size in shape for part in (4, size)])


def text_of(array: np.ndarray) -> bytes:
    """The array's text form, with the blank before it and the line end after it."""
    rows = [" ".join(map(_number, row)) for row in np.atleast_2d(array)]
    if array.ndim == 1:
        return f" [ {rows[0]} ]\n".encode()
    return (" [" + "".join(f"\n  {row} " for row in rows) + "]\n").encode()


def _number(value: np.floating) -> str:
    """The shortest text that reads back the same; with a point, without which kaldiio takes it for an integer."""
    text = str(value)
    return text if "." in text or "n" in text else text.replace("e", ".0e")
