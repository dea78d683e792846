"""Kaldi's names for inputs and outputs: files, offsets, pipes, `-`, and the specifiers of tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import exists
from typing import IO

from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.pipes import BUFFER, input_of, output_of

READ_OPTIONS = {"o", "no", "s", "ns", "cs", "ncs", "t", "b", "bg", "p", "np"}
WRITE_OPTIONS = {"t", "b", "f", "nf", "p", "np"}
SEPARATORS = re.compile(r"[,\s]+")


@dataclass(frozen=True, slots=True)
class Rspecifier:
    """`scp:FILE` or `ark:FILE`, what to read a table from.

    `permissive` (p): leave out what cannot be read. For random access (`access.open_table`): `sorted` (s), the keys
    ascend as bytes; `called_sorted` (cs), so do the keys that are asked for; `once` (o), each is asked for once.
    The other options (`t`, `b`, `bg`) need no action here.

    >>> Rspecifier.parse("scp,p:data/feats.scp").permissive
    True
    """

    kind: str
    rxfilename: str
    permissive: bool = False
    sorted: bool = False
    called_sorted: bool = False
    once: bool = False

    @classmethod
    def parse(cls, text: str) -> Rspecifier:
        """Raises DataError where `text` is no rspecifier."""
        kinds, colon, name = text.partition(":")
        options = SEPARATORS.split(kinds)
        kind = [option for option in options if option in ("ark", "scp")]
        name = name.strip()
        if not colon or len(kind) != 1 or not name or set(options) - READ_OPTIONS - {kind[0]}:
            raise DataError(f"'{text}' is no rspecifier; {_advice(text)}")
        if name.startswith("|"):
            raise DataError(f"'{text}' would write to a command, not read; write '{kind[0]}:COMMAND |'")
        return cls(kind[0], name, *(_last(options, option) for option in ("p", "s", "cs", "o")))


@dataclass(frozen=True, slots=True)
class Wspecifier:
    """`ark:FILE`, `ark,t:FILE` (text), `ark,scp:FILE,FILE`, or `scp:FILE`, what to write a table to.

    With `scp:FILE` alone, FILE is there already and says to which file each key goes (`ark` is then empty);
    `permissive` (p) leaves out keys that it has not. `flush` (f): each value is passed on at once.

    >>> Wspecifier.parse("ark,scp:a.ark,a.scp")
    Wspecifier(ark='a.ark', scp='a.scp', text=False, flush=False, permissive=False)
    """

    ark: str
    scp: str | None = None
    text: bool = False
    flush: bool = False
    permissive: bool = False

    @classmethod
    def parse(cls, text: str) -> Wspecifier:
        """Raises DataError where `text` is no wspecifier."""
        kinds, _, names = text.partition(":")
        options = SEPARATORS.split(kinds)
        names = names.strip()
        kind = [option for option in options if option in ("ark", "scp")]
        if not kind or len(set(kind)) < len(kind) or not names or set(options) - WRITE_OPTIONS - set(kind):
            raise DataError(f"'{text}' is no wspecifier; write ark:FILE, ark,t:FILE or ark,scp:FILE.ark,FILE.scp")
        flags = _last(options, "t", "b"), _last(options, "f"), _last(options, "p")
        if kind == ["ark"]:
            return cls(_writable(names, text), None, *flags)
        if kind == ["scp"]:
            return cls("", names, *flags)
        ark, _, scp = (part.strip() for part in names.partition(","))
        if not ark or not scp or kind != ["ark", "scp"]:
            raise DataError(f"'{text}' must name an ark, then an scp; write ark,scp:FILE.ark,FILE.scp")
        if ark == "-" or is_pipe(ark):
            raise DataError(f"'{text}': an scp needs the ark to be a file; write 'ark:{ark}' alone")
        return cls(_writable(ark, text), _writable(scp, text), *flags)


def _last(options: list[str], option: str, opposite: str = "") -> bool:
    """Whether `option` comes after its opposite (`n` and its name, if nothing is said)."""
    said = [name for name in options if name in (option, opposite or f"n{option}")]
    return bool(said) and said[-1] == option


def _writable(name: str, text: str) -> str:
    if name.endswith("|"):
        raise DataError(f"'{text}' would read from a command, not write; write 'ark:| COMMAND'")
    if re.search(r":\d+$", name):
        raise DataError(f"'{text}': a name that ends in ':' and a number is read as an offset; take another name")
    return name


def _advice(text: str) -> str:
    if text.endswith(".scp"):
        return f"write scp:{text}"
    return f"write ark:{text}" if text.endswith(".ark") else "write scp:FILE, ark:FILE or 'ark:COMMAND |'"


def as_rspecifier(name: str) -> str:
    """`name` itself, or `scp:name` where it is the path of an scp, `ark:name` of an ark.

    >>> as_rspecifier("exp/a.scp"), as_rspecifier("ark:b"), as_rspecifier("scp,p:a.scp")
    ('scp:exp/a.scp', 'ark:b', 'scp,p:a.scp')
    """
    for kind in ("scp", "ark"):
        if name.endswith(f".{kind}") and ":" not in name.split("/")[0]:
            return f"{kind}:{name}"
    return name


def is_pipe(name: str) -> bool:
    """Whether an rxfilename or wxfilename runs a command."""
    return name.endswith("|") or name.startswith("|")


def split_range(name: str) -> tuple[str, str | None]:
    """`NAME[FIRST:LAST]` -> (NAME, `FIRST:LAST`); without a range (NAME, None).

    >>> split_range("a.ark:17[0:9,3:5]"), split_range("a.ark:17")
    (('a.ark:17', '0:9,3:5'), ('a.ark:17', None))
    """
    span = re.search(r"\[([0-9:,]{1,99})\]$", name) if name.endswith("]") else None
    return (name[: span.start()].rstrip(), span[1]) if span else (name, None)


def split_offset(name: str) -> tuple[str, int]:
    """`FILE:OFFSET` -> (FILE, OFFSET); without an offset (FILE, 0).

    >>> split_offset("a.ark:17"), split_offset("a:b.ark")
    (('a.ark', 17), ('a:b.ark', 0))
    """
    path, _, offset = name.rpartition(":")
    # More than 18 digits are no offset, and nothing that a file could be asked for.
    if path and offset.isascii() and offset.isdigit() and len(offset) < 19:
        return path, int(offset)
    return name, 0


@contextmanager
def open_input(name: str) -> Iterator[IO[bytes]]:
    """The bytes of a file (from `FILE:OFFSET` on), of a command's output (`COMMAND |`), or of standard input (`-`).

    Raises:
        DataError: the file cannot be read, or the command fails.
    """
    if name == "-":
        yield sys.stdin.buffer
    elif name.endswith("|"):
        with output_of(name.removesuffix("|").strip()) as stream:
            yield stream
    else:
        with open_file(name) as stream:
            yield stream


def open_file(name: str, buffer: int = BUFFER) -> IO[bytes]:
    """A file for reading, at its OFFSET where `name` says one. Errors as `open_input`."""
    try:
        path, offset = split_offset(name)
        if not offset or exists(name):
            path, offset = name, 0
        stream = open(path, "rb", buffer)  # noqa: SIM115
        if offset:
            stream.seek(offset)
        return stream
    except OSError as error:
        raise DataError(f"{name}: cannot be read: {error.strerror}; correct the path") from error
    except ValueError as error:  # a NUL within the name
        raise DataError(f"{name!r}: cannot be read: {error}; correct the path") from error


@contextmanager
def open_output(name: str) -> Iterator[IO[bytes]]:
    """Write to a file (whole or absent), to a command's input (`| COMMAND`), or to standard output (`-`).

    Raises:
        DataError: the file or standard output cannot be written, or the command fails.
    """
    if "\0" in name:
        raise DataError(f"{name!r}: cannot be written: a NUL within the name; correct the path")
    if name.startswith("|"):
        with input_of(name.removeprefix("|").strip()) as stream:
            yield stream
        return
    try:
        if name == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with open_atomic(name, "wb") as stream:
                yield stream
    except BrokenPipeError:
        raise  # whoever reads our output has enough of it: nothing that a user could mend
    except OSError as error:
        raise unwritable("standard output" if name == "-" else name, error) from error


def unwritable(name: object, error: OSError) -> DataError:
    """The error to raise where the system refuses to write the file `name`."""
    return DataError(f"{name}: cannot be written: {error.strerror}; free space or write to another place")
