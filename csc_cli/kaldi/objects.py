"""The parts of which Kaldi's own objects (a `<Plda>`, a transform, a mean) are written: tokens, numbers, arrays."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import binary_of, parse_text, read_array, read_binary, read_exactly, text_of
from csc_cli.kaldi.specifiers import open_input, open_output

LONGEST_TOKEN = 1000
REALS = {4: "<f", 8: "<d"}
TEXT_WORD = re.compile(rb"\s*(\S+)")
TEXT_ARRAY = re.compile(rb"\s*\[([^\]]*)\]")


def read_array_file(name: str, text_dtype: type[np.floating] = np.float32) -> np.ndarray:
    """The one vector or matrix in a file of its own (Kaldi's `mean.vec`, `transform.mat`), an offset, a pipe or `-`.

    Raises:
        DataError: with the name, as `read_array`; or values that are not finite.
    """
    with open_input(name) as stream:
        try:
            array = read_array(stream, text_dtype)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    if not np.isfinite(array).all():
        raise DataError(f"{name}: has values that are not finite; compute it again")
    return array


class ObjectReader:
    """Read an object part by part, binary or text alike; each method raises DataError where another part stands.

    >>> import io
    >>> reader = ObjectReader(io.BytesIO(b"<Size> 3 <Mean>  [ 1 2 3 ]"))
    >>> reader.expect("<Size>"), reader.integer(), reader.expect("<Mean>"), reader.array().tolist()
    (None, 3, None, [1.0, 2.0, 3.0])
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        start = stream.read(2)
        self.binary = start == b"\0B"
        # Text is held whole: it is small, and a part may end within a line.
        self._text = b"" if self.binary else start + stream.read()
        self._at = 0

    def token(self) -> str:
        """The next word, without the blank that ends it."""
        word = self._binary_word() if self.binary else self._match(TEXT_WORD, "a token")
        return word.decode("utf-8", "replace")

    def expect(self, token: str) -> None:
        """Pass over the word `token`."""
        found = self.token()
        if found != token:
            raise DataError(f"'{found}' stands where '{token}' should; is it the right file, and whole?")

    def integer(self) -> int:
        """A whole number of 32 bits."""
        if not self.binary:
            return int(self._number(int, "a whole number"))
        size = read_exactly(self._stream, 1)[0]
        if size != 4:
            raise DataError(f"a whole number of {size} bytes, not 4; is it the right file, and whole?")
        return int(struct.unpack("<i", read_exactly(self._stream, 4))[0])

    def real(self) -> float:
        """A number, float or double."""
        if not self.binary:
            return self._number(float, "a number")
        size = read_exactly(self._stream, 1)[0]
        if size not in REALS:
            raise DataError(f"a number of {size} bytes, not 4 or 8; is it the right file, and whole?")
        return float(struct.unpack(REALS[size], read_exactly(self._stream, size))[0])

    def array(self) -> np.ndarray:
        """A vector or matrix, float32 or float64 as stored; text as float64."""
        if self.binary:
            return read_binary(self._stream)
        return parse_text(self._match(TEXT_ARRAY, "a vector or matrix"), np.float64)

    def _binary_word(self) -> bytes:
        word = bytearray()
        while not (byte := read_exactly(self._stream, 1)).isspace():
            word += byte
            if len(word) > LONGEST_TOKEN:
                raise DataError("no token where one should be; is it the right file, and whole?")
        return bytes(word)

    def _match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise DataError(f"no {what.removeprefix('a ')} where one should be; is it the right file, and whole?")
        self._at = match.end()
        return match[1]

    def _number(self, kind: type[float], what: str) -> float:
        word = self._match(TEXT_WORD, what)
        try:
            return kind(word)
        except ValueError:
            raise DataError(f"'{word.decode('utf-8', 'replace')}' is not {what}; correct it") from None


class ObjectWriter:
    """Write an object part by part, as Kaldi's `--binary=true` or `--binary=false` does."""

    def __init__(self, stream: IO[bytes], binary: bool = True) -> None:
        self._stream, self.binary = stream, binary
        if binary:
            stream.write(b"\0B")

    def token(self, token: str) -> None:
        """A word without white space."""
        self._stream.write(token.encode() + b" ")

    def integer(self, value: int) -> None:
        """A whole number of 32 bits."""
        self._stream.write(b"\4" + struct.pack("<i", value) if self.binary else b"%d " % value)

    def real(self, value: float) -> None:
        """A number; double where binary."""
        self._stream.write(b"\10" + struct.pack("<d", value) if self.binary else f"{value!r} ".encode())

    def array(self, array: np.ndarray) -> None:
        """A vector or matrix, float32 or float64."""
        self._stream.write(binary_of(array) if self.binary else text_of(array))


@contextmanager
def reading_object(name: str) -> Iterator[ObjectReader]:
    """An `ObjectReader` of a file, an offset, a pipe or `-`; errors in the block name it."""
    with open_input(name) as stream:
        try:
            yield ObjectReader(stream)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error


@contextmanager
def writing_object(name: str, binary: bool = True) -> Iterator[ObjectWriter]:
    """An `ObjectWriter` to a file (whole or absent), a pipe or `-`."""
    with open_output(name) as stream:
        yield ObjectWriter(stream, binary)
