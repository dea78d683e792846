"""Tables of vectors and of whole numbers: Kaldi's arks and scps, read and written."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from os.path import exists
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.arrays import read_array, write_array
from csc_cli.kaldi.specifiers import Rspecifier, Wspecifier, is_pipe, open_input, open_output, split_offset
from csc_cli.kaldi.text import read_keyed, read_map, write_map
from csc_cli.progress import note

__all__ = [
    "VectorWriter",
    "read_arrays",
    "read_ints",
    "read_keyed",
    "read_map",
    "read_vectors",
    "read_vectors_dict",
    "stack_vectors",
    "write_ints",
    "write_map",
]
OPEN_FILES = 16


def read_vectors(rspecifier: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, vector (D,)) of `scp:`, `ark:` or `ark,t:`, file, pipe or `-`, in the table's order.

    A file that an scp names is looked for from the working folder, as Kaldi does, then from the
    scp's own folder.

    Raises:
        DataError: with the place, for a missing or damaged file, a key given twice, a matrix,
            a pickle, a value that is not finite, or an empty table.
    """
    for key, array in read_arrays(rspecifier):
        if array.ndim != 1 or not array.size:
            shape = " x ".join(map(str, array.shape))
            raise DataError(f"{rspecifier}: '{key}' is {shape}, not a vector; give a table of vectors")
        if not np.logical_and.reduce(np.isfinite(array)):  # in half the time of all()
            raise DataError(f"{rspecifier}: '{key}' has values that are not finite; compute it again or leave it out")
        yield key, array


def read_vectors_dict(rspecifier: str) -> dict[str, np.ndarray]:
    """As `read_vectors`, all at once."""
    return dict(read_vectors(rspecifier))


def stack_vectors(rspecifier: str) -> tuple[list[str], np.ndarray]:
    """Keys and the matrix (N, D) of their vectors; as `read_vectors`, and the dimensions must agree."""
    keys: list[str] = []
    vectors: list[np.ndarray] = []
    for key, vector in read_vectors(rspecifier):
        if vectors and len(vector) != len(vectors[0]):
            message = f"'{key}' has {len(vector)} values, '{keys[0]}' has {len(vectors[0])}"
            raise DataError(f"{rspecifier}: {message}; give vectors of one kind")
        keys.append(key)
        vectors.append(vector)
    return keys, np.stack(vectors)


def read_arrays(rspecifier: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, vector or matrix); as `read_vectors`, without its checks of shape and values."""
    parsed = Rspecifier.parse(rspecifier)
    entries = _read_scp(parsed) if parsed.kind == "scp" else _read_ark(parsed.rxfilename)
    seen: set[str] = set()
    for key, array in entries:
        if key in seen:
            raise DataError(f"{rspecifier}: the key '{key}' stands in it twice; keep one of the two")
        seen.add(key)
        yield key, array
    if not seen:
        raise DataError(f"{rspecifier}: is empty; it has no entries")


def _read_ark(name: str) -> Iterator[tuple[str, np.ndarray]]:
    with open_input(name) as stream:
        while key := _read_key(stream, name):
            try:
                array = read_array(stream)
            except DataError as error:
                raise DataError(f"{name}: '{key}': {error}") from error
            yield key, array


def _read_key(stream: IO[bytes], name: str) -> str:
    """The token before the next blank; empty at the end of the stream."""
    peek = getattr(stream, "peek", None)
    ahead = peek(1).find(b" ") if peek else -1
    # Quickly if the key's end is in the buffer, else byte by byte.
    token = bytearray(stream.read(ahead)) if 0 < ahead < 4096 else bytearray()
    while (byte := stream.read(1)) not in (b" ", b""):
        token += byte
        if len(token) > 4096:
            raise DataError(f"{name}: no 'KEY VALUE' where an entry should begin; is it an ark, and whole?")
    # A text ark's line end stands before the next key.
    try:
        key = token.lstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError:
        key = "\n"
    if key.split() != [key] * bool(key) or (key and not byte):
        raise DataError(f"{name}: no 'KEY VALUE' where an entry should begin; is it an ark, and whole?")
    return key


def _read_scp(scp: Rspecifier) -> Iterator[tuple[str, np.ndarray]]:
    base = Path(scp.rxfilename).parent if not is_pipe(scp.rxfilename) else Path()
    skipped = 0
    with open_input(scp.rxfilename) as lines, _Archives(base) as archives:
        for number, raw in enumerate(lines, 1):
            fields = raw.decode("utf-8", "replace").split(None, 1)
            if len(fields) != 2:
                raise DataError(at(scp.rxfilename, number, "not 'KEY FILE:OFFSET'; correct or remove the line"))
            try:
                yield fields[0], archives.read(fields[1].rstrip())
            except DataError as error:
                if not scp.permissive:
                    raise DataError(at(scp.rxfilename, number, str(error))) from error
                skipped += 1
    if skipped:
        note(f"{scp.rxfilename}: {skipped} entries could not be read and are left out, as 'p' asks")


class _Archives:
    """The files that an scp names, the last few of them open."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.open: OrderedDict[str, tuple[IO[bytes], ExitStack]] = OrderedDict()

    def __enter__(self) -> _Archives:
        return self

    def __exit__(self, *_: object) -> None:
        for _stream, stack in self.open.values():
            stack.close()

    def read(self, name: str) -> np.ndarray:
        if is_pipe(name):
            with open_input(name) as stream:
                return read_array(stream)
        path, offset, span = split_offset(name)
        stream = self._stream(path)
        stream.seek(offset)
        try:
            array = read_array(stream)
            return array[_slices(span, array.ndim)] if span else array
        except DataError as error:
            raise DataError(f"{name}: {error}") from error

    def _stream(self, path: str) -> IO[bytes]:
        if path in self.open:
            self.open.move_to_end(path)
            return self.open[path][0]
        beside = str(self.base / path)
        with ExitStack() as stack:
            stream = stack.enter_context(open_input(beside if not exists(path) and exists(beside) else path))
            self.open[path] = (stream, stack.pop_all())
        if len(self.open) > OPEN_FILES:
            self.open.popitem(last=False)[1][1].close()
        return stream


def _slices(span: str, axes: int) -> tuple[slice, ...]:
    """Kaldi's ranges `first:last`, both included, one for each axis; nothing or `:` means all."""
    slices = []
    for part in span.split(","):
        first, _, last = part.partition(":")
        if not first and not last:
            slices.append(slice(None))
        elif first and last and ":" not in last and int(first) <= int(last):
            slices.append(slice(int(first), int(last) + 1))
        else:
            raise DataError(f"the range [{span}] is not of the form [FIRST:LAST]; correct it")
    if len(slices) > axes:
        raise DataError(f"the range [{span}] has more axes than the {axes} of the array; correct it")
    return tuple(slices)


class VectorWriter:
    """Write vectors to `ark:`, `ark,t:` or `ark,scp:`; files appear when the block ends well, or not at all."""

    def __init__(self, wspecifier: str) -> None:
        self.wspecifier = wspecifier
        self.target = Wspecifier.parse(wspecifier)
        self.seen: set[str] = set()
        self.position = 0

    def __enter__(self) -> VectorWriter:
        # The scp is entered first, so that it appears last: it never names an ark that is not whole.
        with ExitStack() as stack:
            self.scp = stack.enter_context(open_output(self.target.scp)) if self.target.scp else None
            self.ark = stack.enter_context(open_output(self.target.ark))
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self.stack.__exit__(kind, error, trace)

    def write(self, key: str, vector: np.ndarray) -> None:
        """Append one vector (D,); float64 stays as it is, all else becomes float32.

        Raises:
            DataError: a key that is empty, has white space or was written before; a vector that
                is empty, no vector, or not finite.
        """
        vector = np.asarray(vector)
        if vector.dtype != np.float64:
            vector = vector.astype(np.float32, copy=False)
        if key.split() != [key]:
            raise DataError(f"{self.wspecifier}: '{key}' cannot be a key; use one without white space")
        if key in self.seen:
            raise DataError(f"{self.wspecifier}: the key '{key}' is written twice; make the keys unique")
        if vector.ndim != 1 or not vector.size:
            raise DataError(f"{self.wspecifier}: '{key}' has shape {vector.shape}; write vectors (D,)")
        if not np.isfinite(vector).all():
            raise DataError(f"{self.wspecifier}: '{key}' has values that are not finite; look at what it was made of")
        self.seen.add(key)
        self._append(key, vector)

    def _append(self, key: str, vector: np.ndarray) -> None:
        name = key.encode() + b" "
        self.ark.write(name)
        if self.scp:
            self.scp.write(f"{key} {self.target.ark}:{self.position + len(name)}\n".encode())
        self.position += len(name) + write_array(self.ark, vector, self.target.text)


def read_ints(rspecifier: str) -> dict[str, int]:
    """Key -> whole number, of `ark:` or `ark,t:` (Kaldi's num_utts), binary or text.

    Raises:
        DataError: with the place, for a damaged table, a key given twice or an empty table.
    """
    name = Rspecifier.parse(rspecifier).rxfilename
    table: dict[str, int] = {}
    with open_input(name) as stream:
        while key := _read_key(stream, name):
            if key in table:
                raise DataError(f"{rspecifier}: the key '{key}' stands in it twice; keep one of the two")
            table[key] = _read_int(stream, f"{name}: '{key}'")
    if not table:
        raise DataError(f"{rspecifier}: is empty; it has no entries")
    return table


def _read_int(stream: IO[bytes], where: str) -> int:
    start = stream.read(2)
    if start == b"\0B":
        data = stream.read(5)
        if len(data) == 5 and data[0] == 4:
            return int(struct.unpack("<i", data[1:])[0])
        raise DataError(f"{where}: no whole number; write the table again")
    if not start.endswith(b"\n"):
        start += stream.readline()
    try:
        return int(start)
    except ValueError:
        raise DataError(f"{where}: '{start.decode('latin1').strip()}' is no whole number; correct the line") from None


def write_ints(wspecifier: str, table: Mapping[str, int]) -> None:
    """Write key -> whole number in C order, binary or text (`ark,t:`), whole or not at all."""
    target = Wspecifier.parse(wspecifier)
    with open_output(target.ark) as stream:
        for key in sorted(table):
            value = f"{table[key]}\n".encode() if target.text else b"\0B\4" + struct.pack("<i", table[key])
            stream.write(key.encode() + b" " + value)
