"""Kaldi's names for inputs and outputs: files, offsets, pipes, `-`, and the specifiers of tables."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from csc_cli.errors import DataError
from csc_cli.files import open_atomic

READ_OPTIONS = {"o", "no", "s", "ns", "cs", "ncs", "t", "b", "bg", "p", "np"}
WRITE_OPTIONS = {"t", "b", "f", "nf", "p", "np"}
# What a command ends with (from the shell, by itself) when nobody reads the rest of its output.
UNREAD = (128 + signal.SIGPIPE, -signal.SIGPIPE)


@dataclass(frozen=True, slots=True)
class Rspecifier:
    """`scp:FILE` or `ark:FILE`, what to read a table from; `p` asks to skip what cannot be read.

    The other options (`o`, `s`, `cs`, `t`, ...) only help Kaldi to save memory and are accepted.

    >>> Rspecifier.parse("scp,p:data/feats.scp")
    Rspecifier(kind='scp', rxfilename='data/feats.scp', permissive=True)
    """

    kind: str
    rxfilename: str
    permissive: bool = False

    @classmethod
    def parse(cls, text: str) -> Rspecifier:
        """Raises DataError where `text` is no rspecifier."""
        kinds, colon, name = text.partition(":")
        options = kinds.split(",")
        kind = [option for option in options if option in ("ark", "scp")]
        if not colon or len(kind) != 1 or not name.strip() or set(options) - READ_OPTIONS - {kind[0]}:
            raise DataError(f"'{text}' is no rspecifier; {_advice(text)}")
        return cls(kind[0], name.strip(), "p" in options)


@dataclass(frozen=True, slots=True)
class Wspecifier:
    """`ark:FILE`, `ark,t:FILE` (text) or `ark,scp:FILE,FILE`, what to write a table to.

    >>> Wspecifier.parse("ark,scp:a.ark,a.scp")
    Wspecifier(ark='a.ark', scp='a.scp', text=False)
    """

    ark: str
    scp: str | None = None
    text: bool = False

    @classmethod
    def parse(cls, text: str) -> Wspecifier:
        """Raises DataError where `text` is no wspecifier."""
        kinds, _, names = text.partition(":")
        options = kinds.split(",")
        if "ark" not in options or not names or set(options) - WRITE_OPTIONS - {"ark", "scp"}:
            raise DataError(f"'{text}' is no wspecifier; write ark:FILE, ark,t:FILE or ark,scp:FILE.ark,FILE.scp")
        if "scp" not in options:
            return cls(names, None, "t" in options)
        ark, _, scp = names.partition(",")
        if not ark or not scp or options.index("ark") > options.index("scp"):
            raise DataError(f"'{text}' must name an ark, then an scp; write ark,scp:FILE.ark,FILE.scp")
        if ark == "-" or is_pipe(ark):
            raise DataError(f"'{text}': an scp needs the ark to be a file; write 'ark:{ark}' alone")
        return cls(ark, scp, "t" in options)


def _advice(text: str) -> str:
    if text.endswith(".scp"):
        return f"write scp:{text}"
    return f"write ark:{text}" if text.endswith(".ark") else "write scp:FILE, ark:FILE or 'ark:COMMAND |'"


def is_pipe(name: str) -> bool:
    """Whether an rxfilename or wxfilename runs a command."""
    return name.endswith("|") or name.startswith("|")


def split_offset(name: str) -> tuple[str, int, str | None]:
    """`FILE:OFFSET[RANGE]` -> (FILE, OFFSET, RANGE); without an offset 0, without a range None.

    >>> split_offset("a.ark:17"), split_offset("a.ark:17[0:9]"), split_offset("a:b.ark")
    (('a.ark', 17, None), ('a.ark', 17, '0:9'), ('a:b.ark', 0, None))
    """
    span = re.search(r"\[([\d:,]+)\]$", name) if name.endswith("]") else None
    path, _, offset = (name[: span.start()] if span else name).rpartition(":")
    if path and offset.isdecimal():
        return path, int(offset), span and span[1]
    return name[: span.start()] if span else name, 0, span and span[1]


@contextmanager
def open_input(name: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, of a command's output (`COMMAND |`), or of standard input (`-`).

    Raises:
        DataError: the file cannot be read, or the command fails.
    """
    if name == "-":
        yield sys.stdin.buffer
    elif is_pipe(name):
        with _output_of(name.removesuffix("|").strip()) as stream:
            yield stream
    else:
        try:
            with open(name, "rb") as stream:
                yield stream
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror}; correct the path") from error


@contextmanager
def _output_of(command: str) -> Iterator[IO[bytes]]:
    with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, bufsize=-1) as process:
        stream: IO[bytes] = process.stdout  # type: ignore[assignment]
        try:
            yield stream
        except DataError:
            # What is wrong with the data may come of the command's failure; then that is the news.
            stream.close()
            if process.wait() not in (0, *UNREAD):
                raise _failed(command, process.returncode) from None
            raise
        stream.close()
        if process.wait() not in (0, *UNREAD):
            raise _failed(command, process.returncode)


def _failed(command: str, status: int) -> DataError:
    return DataError(f"'{command}' ended with status {status}; run it by itself to see why")


@contextmanager
def open_output(name: str) -> Iterator[IO[bytes]]:
    """Write to a file (whole or absent), to a command's input (`| COMMAND`), or to standard output (`-`).

    Raises:
        DataError: the file cannot be written, or the command fails.
    """
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif is_pipe(name):
        with _input_of(name.removeprefix("|").strip()) as stream:
            yield stream
    else:
        try:
            with open_atomic(name, "wb") as stream:
                yield stream
        except OSError as error:
            raise unwritable(name, error) from error


def unwritable(name: object, error: OSError) -> DataError:
    """The error to raise where the system refuses to write the file `name`."""
    return DataError(f"{name}: cannot be written: {error.strerror}; free space or write to another place")


@contextmanager
def _input_of(command: str) -> Iterator[IO[bytes]]:
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE)
    stream: IO[bytes] = process.stdin  # type: ignore[assignment]
    try:
        yield stream
        stream.close()
    except BrokenPipeError:
        raise DataError(f"'{command}' ended before it had read everything; run it by itself to see why") from None
    finally:
        _close(stream)
        process.wait()
    if process.returncode:
        raise _failed(command, process.returncode)


def _close(stream: IO[bytes]) -> None:
    """Close a pipe of which the other end may be gone."""
    with suppress(BrokenPipeError):
        stream.close()
