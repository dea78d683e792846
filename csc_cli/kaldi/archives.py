"""Archives, entry after entry; vectors of one size, which is what most hold, are taken many at a time.

kaldiio reads a key byte by byte and makes some ten calls for each entry; here what is ahead in the buffer is cut
into entries by comparing headers, and becomes one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import binary_of, read_array
from csc_cli.kaldi.faults import HAS_BOM, without_bom

LONGEST_KEY = 4096
LARGEST = 1 << 14
"""Vectors of more bytes are read one by one: there is nothing to gain."""
BLANKS = b" \t\n\r\v\f"


class Block(NamedTuple):
    """Some entries in their order: N keys and N arrays, or the rows (N, D) of a matrix."""

    keys: list[str]
    arrays: Sequence[np.ndarray] | np.ndarray


class Template(NamedTuple):
    """What a binary vector of one type and size looks like."""

    header: bytes
    dtype: np.dtype
    size: int  # bytes of its values

    @classmethod
    def of(cls, array: np.ndarray) -> Template | None:
        """For others like this one; None where it is no vector or a large one."""
        if array.ndim != 1 or not 0 < array.nbytes <= LARGEST:
            return None
        return cls(b"\0B" + binary_of(array)[:8], array.dtype, array.nbytes)

    @property
    def length(self) -> int:
        """Bytes of header and values."""
        return len(self.header) + self.size

    def rows(self, data: bytes, starts: Sequence[int] | np.ndarray) -> np.ndarray:
        """The vectors (N, D) whose values begin at `starts` of `data`."""
        if not len(starts):
            return np.zeros((0, self.size // self.dtype.itemsize), self.dtype)
        return windows(data, self.size)[starts].view(self.dtype)


def windows(data: bytes, size: int) -> np.ndarray:
    """A view (len(data) - size + 1, size): the `size` bytes from each byte on."""
    return np.ndarray((len(data) - size + 1, size), np.uint8, data, strides=(1, 1))


def read_blocks(stream: IO[bytes], name: str) -> Iterator[Block]:
    """The entries of an archive.

    Raises:
        DataError: with the name and the key, for an entry that is damaged or no array.
    """
    template: Template | None = None
    while key := read_key(stream, name):
        try:
            array = read_array(stream)
        except DataError as error:
            raise DataError(f"{name}: '{key}': {error}") from error
        except OSError as error:
            raise DataError(f"{name}: '{key}': cannot be read: {error.strerror}; copy the file again") from error
        yield Block([key], [array])
        if template is None or array.dtype != template.dtype or array.nbytes != template.size:
            template = Template.of(array)
        if template and (block := _block_ahead(stream, template)):
            yield block


def _block_ahead(stream: IO[bytes], template: Template) -> Block | None:
    """The whole entries like `template` that the stream's buffer holds already."""
    peek = getattr(stream, "peek", None)
    ahead: bytes = peek(1) if peek else b""
    header, keys, starts, position = template.header, [], [], 0
    while (blank := ahead.find(b" ", position, position + LONGEST_KEY)) > position:
        start = blank + 1 + len(header)
        end = start + template.size
        if end > len(ahead) or not ahead.startswith(header, blank + 1):
            break
        keys.append(ahead[position:blank])
        starts.append(start)
        position = end
    try:
        names = b" ".join(keys).decode().split()
    except UnicodeDecodeError:
        return None
    if not keys or len(names) != len(keys):
        return None  # what is wrong with a key, the slow way says
    rows = template.rows(ahead, starts)
    stream.read(position)
    return Block(names, rows)


def read_key(stream: IO[bytes], name: str) -> str:
    """The token before the next blank, which is read, too; empty at the end of the stream.

    Raises:
        DataError: what stands there is no token followed by a blank.
    """
    peek = getattr(stream, "peek", None)
    start: bytes = peek(1)[:LONGEST_KEY] if peek else b""
    # Quickly if the key's end is in the buffer, else byte by byte.
    ends = [end for end in (start.find(b" "), start.find(b"\t")) if end >= 0]
    token = bytearray(stream.read(min(ends))) if ends else bytearray()
    while byte := stream.read(1):
        if byte not in BLANKS:
            token += byte
        elif byte in b" \t" and token.lstrip(BLANKS):
            break
        elif token:
            token += byte  # a line end after a token is one too many
        if len(token) > LONGEST_KEY:
            break
    # The line end of a text archive stands before the next key.
    try:
        key = token.lstrip(BLANKS).decode("utf-8")
    except UnicodeDecodeError:
        key = "\n"
    if key.split() != [key] * bool(key) or (key and not byte) or (byte and not key) or len(token) > LONGEST_KEY:
        raise DataError(f"{name}: no 'KEY VALUE' where an entry should begin; is it an ark, and whole?")
    if key.startswith("\ufeff"):
        raise DataError(f"{name}: {HAS_BOM}; {without_bom(name)}")
    return key
