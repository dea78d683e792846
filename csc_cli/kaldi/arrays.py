"""One Kaldi vector or matrix in a stream of bytes; kaldiio reads what is compressed.

Entries that kaldiio would unpickle (`PKL`) are refused, and no size in a header is believed
before the bytes are there.
"""

from __future__ import annotations

import io
import struct
from typing import IO, Any

import numpy as np

from csc_cli.errors import DataError

# Type and axes of what is stored plainly; bytes a value of what is compressed.
PLAIN: dict[bytes, tuple[np.dtype[Any], int]] = {
    b"FV ": (np.dtype("<f4"), 1),
    b"DV ": (np.dtype("<f8"), 1),
    b"FM ": (np.dtype("<f4"), 2),
    b"DM ": (np.dtype("<f8"), 2),
}
COMPRESSED = {b"CM ": 1, b"CM2 ": 2, b"CM3 ": 1}
INT = struct.Struct("<bi")
PIECE = 1 << 24


def read_array(stream: IO[bytes]) -> np.ndarray:
    """The array at the stream's position: binary or text, vector (D,) or matrix (N, D).

    Returns:
        float32 or float64 as stored; text is read as float32. Not writable where it is a view.

    Raises:
        DataError: truncated, damaged, or no array (audio, a pickle, a token).
    """
    start = stream.read(2)
    if start == b"\0B":
        return _read_binary(stream)
    if start[:1] in (b" ", b"["):
        return _read_text(start + stream.readline(), stream)
    if not start:
        raise DataError("ends before its value; write the archive again")
    kind = start + stream.read(3)
    for tag, what in ((b"PKL", "a pickle, which could run code"), (b"RIFF", "audio"), (b"fLaC", "audio")):
        if kind.startswith(tag):
            raise DataError(f"holds {what}, not a vector or matrix; csc does not read it")
    raise DataError("holds neither a binary nor a text vector or matrix; check that the offset and the file are right")


def _read_binary(stream: IO[bytes]) -> np.ndarray:
    kind = stream.read(3)
    if kind in PLAIN:
        dtype, axes = PLAIN[kind]
        rows = _read_int(stream)
        if axes == 1:
            return np.frombuffer(_read_exactly(stream, rows * dtype.itemsize), dtype)
        columns = _read_int(stream)
        return np.frombuffer(_read_exactly(stream, rows * columns * dtype.itemsize), dtype).reshape(rows, columns)
    name = kind if kind.endswith(b" ") else kind + stream.read(1)
    if name in COMPRESSED:
        return _read_compressed(stream, name)
    raise DataError(
        f"the type {name.strip()!r} is no vector or matrix of Kaldi's; check that file and offset are right"
    )


def _read_compressed(stream: IO[bytes], name: bytes) -> np.ndarray:
    import kaldiio

    header = _read_exactly(stream, 16)
    _, _, rows, columns = struct.unpack("<ffii", header)
    if rows < 0 or columns < 0:
        raise DataError(f"a size of {rows} x {columns}; the archive is damaged")
    size = rows * columns * COMPRESSED[name] + (8 * columns if name == b"CM " else 0)
    data = b"\0B" + name + header + _read_exactly(stream, size)
    return kaldiio.matio.read_kaldi(io.BytesIO(data))


def _read_int(stream: IO[bytes]) -> int:
    """A size, not negative: Kaldi writes the number of its bytes (4), then the number."""
    size, value = INT.unpack(_read_exactly(stream, INT.size))
    if size != 4 or value < 0:
        raise DataError(f"a size of {value}; the archive is damaged")
    return int(value)


def _read_exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(min(size, PIECE))
    if size > PIECE:
        # In pieces, so that a damaged header cannot make us allocate what is not there.
        pieces = [data]
        while data and size > len(pieces) * PIECE:
            data = stream.read(min(size - len(pieces) * PIECE, PIECE))
            pieces.append(data)
        data = b"".join(pieces)
    if len(data) < size:
        raise DataError(f"truncated: {len(data)} of {size} bytes are there; write the archive again")
    return data


def _read_text(line: bytes, stream: IO[bytes]) -> np.ndarray:
    rows = [line]
    while b"]" not in rows[-1]:
        rows.append(stream.readline())
        if not rows[-1]:
            raise DataError("truncated: no ']'; write the archive again")
    head, bracket, rows[0] = rows[0].partition(b"[")
    rows[-1], _, rest = rows[-1].partition(b"]")
    if head.strip() or not bracket or rest.strip():
        raise DataError("is no text vector or matrix, such as '[ 1.5 2 ]'; correct the line")
    try:
        values = [np.array(row.split(), dtype=np.float32) for row in rows]
    except ValueError as error:
        raise DataError(f"{error}; correct the line") from None
    if len(rows) == 1:
        return values[0]
    values = [row for row in values if len(row)]
    if len({len(row) for row in values}) > 1:
        raise DataError("rows of unequal length; correct the matrix")
    return np.stack(values) if values else np.zeros((0, 0), dtype=np.float32)


def write_array(stream: IO[bytes], array: np.ndarray, text: bool = False) -> int:
    """Write one vector or matrix (float32 or float64) as Kaldi does; returns the bytes written."""
    if not text:
        import kaldiio

        return kaldiio.matio.write_array(stream, array)
    rows = [" ".join(map(_number, row)) for row in np.atleast_2d(array)]
    if array.ndim == 1:
        data = f" [ {rows[0]} ]\n".encode()
    else:
        data = (" [" + "".join(f"\n  {row} " for row in rows) + "]\n").encode()
    stream.write(data)
    return len(data)


def _number(value: np.floating) -> str:
    """The shortest text that reads back the same; with a point, without which kaldiio takes it for an integer."""
    text = str(value)
    return text if "." in text else text.replace("e", ".0e")
