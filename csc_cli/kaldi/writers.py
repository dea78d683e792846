"""Tables written: arks, in binary or text, with the scp beside them; files are whole or absent.

kaldiio makes some six calls to write one vector; here header and values are put together, and written some hundred
entries at a time.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Self

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import binary_of, text_of
from csc_cli.kaldi.keys import Unique
from csc_cli.kaldi.specifiers import Wspecifier, open_output
from csc_cli.kaldi.text import read_map

PENDING_BYTES = 1 << 20
FLOAT, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


class TableWriter:
    """Write entries to `ark:`, `ark,t:`, `ark,scp:`, or to the files that `scp:` names; see `Wspecifier`.

    An ark and its scp appear when the block ends well, or not at all; one that was there stays until then. There is
    no moment at which an scp is there that does not fit its ark.
    """

    def __init__(self, wspecifier: str) -> None:
        self.wspecifier = wspecifier
        self.target = Wspecifier.parse(wspecifier)
        self.text = self.target.text
        self.unique = Unique(wspecifier, "is written twice; make the keys unique")
        self.files = read_map(self.target.scp) if not self.target.ark and self.target.scp else {}
        self.keys: list[str] = []
        self.lines: list[str] = []
        self.data: list[bytes] = []
        self.position = self.written = 0

    def __enter__(self) -> Self:
        self.scp: IO[bytes] | None = None
        self.ark: IO[bytes] | None = None
        # The scp is entered first, so that it appears last: it never names an ark that is not whole.
        with ExitStack() as stack:
            if self.target.ark:
                self.scp = stack.enter_context(open_output(self.target.scp)) if self.target.scp else None
                self.ark = stack.enter_context(open_output(self.target.ark))
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if error is not None:
            return self.stack.__exit__(kind, error, trace)
        with self.stack:
            self._flush()
            self._retire_scp()
        return None

    def append(self, key: str, value: bytes) -> None:
        """Append one entry, its value in the form that `text` asks for.

        Raises:
            DataError: a key that is empty, has white space or was written before, or no file for it.
        """
        if key.split() != [key]:
            raise DataError(f"{self.wspecifier}: '{key}' cannot be a key; use one without white space")
        if self.ark is None:
            self._to_own_file(key, value)
            return
        name = key.encode() + b" "
        self.keys.append(key)
        if self.scp:
            self.lines.append(f"{key} {self.target.ark}:{self.position + len(name)}\n")
        self.data += (name, value)
        self.position += len(name) + len(value)
        if self.target.flush or self.position - self.written > PENDING_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Pass on what is pending."""
        if self.keys:
            self.unique.add(self.keys)
        if self.ark:
            self.ark.write(b"".join(self.data))
            if self.target.flush:
                self.ark.flush()
        if self.scp:
            self.scp.write("".join(self.lines).encode())
        self.keys, self.lines, self.data, self.written = [], [], [], self.position

    def _retire_scp(self) -> None:
        """Take away the scp of an earlier run just before its ark is replaced: its offsets would be wrong."""
        scp = self.target.scp
        if self.ark is None or self.scp is None or scp is None or not os.path.isfile(scp) or scp.startswith("/dev/"):
            return
        for stream in (self.ark, self.scp):  # all that may still fail
            stream.flush()
            os.fsync(stream.fileno())
        os.unlink(os.path.realpath(scp))

    def _to_own_file(self, key: str, value: bytes) -> None:
        name = self.files.get(key)
        if name is None:
            if self.target.permissive:
                return
            raise DataError(f"{self.target.scp}: no line for '{key}'; add it, or leave it out by 'scp,p:'")
        self.unique.add([key])
        with open_output(name) as stream:
            stream.write(value)


class _ArrayWriter(TableWriter):
    """Vectors or matrices, as `axes` says."""

    axes = 0
    kind = ""

    def __init__(self, wspecifier: str, method: int = 0) -> None:
        super().__init__(wspecifier)
        self.method = method

    def write(self, key: str, array: np.ndarray) -> None:
        """Append one array; float64 stays as it is, all else becomes float32.

        Raises:
            DataError: a key that is empty, has white space or was written before; an array that
                is empty, of other axes, or not finite.
        """
        array = np.asarray(array)
        if array.dtype is not FLOAT and array.dtype is not DOUBLE:
            array = array.astype(DOUBLE if array.dtype.kind == "f" and array.itemsize >= 8 else FLOAT)
        if array.ndim != self.axes or not array.size:
            raise DataError(f"{self.wspecifier}: '{key}' has shape {array.shape}; write {self.kind}")
        if b"\0" in np.isfinite(array).tobytes():  # in half the time of all()
            raise DataError(f"{self.wspecifier}: '{key}' has values that are not finite; look at what it was made of")
        try:
            value = text_of(array) if self.text else b"\0B" + binary_of(array, self.method)
        except DataError as error:
            raise DataError(f"{self.wspecifier}: '{key}' {error}") from error
        self.append(key, value)


class VectorWriter(_ArrayWriter):
    """Write vectors; float64 stays as it is, all else becomes float32. See `TableWriter`."""

    axes, kind = 1, "vectors (D,)"

    def __init__(self, wspecifier: str) -> None:
        super().__init__(wspecifier)


class MatrixWriter(_ArrayWriter):
    """Write matrices, plain or by one of Kaldi's compression methods 1 to 7. See `TableWriter`."""

    axes, kind = 2, "matrices (N, D)"
