"""Kaldi's names for inputs and outputs: files, offsets, pipes, `-`, and the specifiers of tables."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from csc_cli.errors import DataError
from csc_cli.files import open_atomic

READ_OPTIONS = {"o", "no", "s", "ns", "cs", "ncs", "t", "b", "bg", "p", "np"}
WRITE_OPTIONS = {"t", "b", "f", "nf", "p", "np"}


@dataclass(frozen=True, slots=True)
class Rspecifier:
    """`scp:lists.scp` or `ark:values.ark`; `p` after a comma means: skip what cannot be read."""

    kind: str
    rxfilename: str
    permissive: bool = False

    @classmethod
    def parse(cls, text: str) -> Rspecifier:
        """Raises DataError where `text` is no rspecifier."""
        kinds, colon, name = text.partition(":")
        options = kinds.split(",")
        kind = [option for option in options if option in ("ark", "scp")]
        if not colon or len(kind) != 1 or not name or set(options) - READ_OPTIONS - {kind[0]}:
            raise DataError(f"'{text}' is no rspecifier; {_advice(text)}")
        return cls(kind[0], name.strip(), "p" in options)


@dataclass(frozen=True, slots=True)
class Wspecifier:
    """`ark:FILE`, `scp:FILE` is not for writing, `ark,scp:ARK,SCP`; `t` means text."""

    ark: str
    scp: str | None = None
    text: bool = False

    @classmethod
    def parse(cls, text: str) -> Wspecifier:
        """Raises DataError where `text` is no wspecifier."""
        kinds, colon, names = text.partition(":")
        options = kinds.split(",")
        both = "ark" in options and "scp" in options
        if not colon or "ark" not in options or set(options) - WRITE_OPTIONS - {"ark", "scp"}:
            raise DataError(f"'{text}' is no wspecifier; write ark:FILE, ark,t:FILE or ark,scp:FILE.ark,FILE.scp")
        if not both:
            if not names:
                raise DataError(f"'{text}' names no file; write ark:FILE")
            return cls(names, None, "t" in options)
        ark, comma, scp = names.partition(",")
        if not comma or not ark or not scp or options.index("ark") > options.index("scp"):
            raise DataError(f"'{text}' must name an ark and an scp; write ark,scp:FILE.ark,FILE.scp")
        if ark == "-" or ark.startswith("|"):
            raise DataError(f"'{text}': an scp needs the ark to be a file; write ark:{ark} alone")
        return cls(ark, scp, "t" in options)


def _advice(text: str) -> str:
    if text.endswith(".scp"):
        return f"write scp:{text}"
    return f"write ark:{text}" if text.endswith(".ark") else "write scp:FILE, ark:FILE or 'ark:COMMAND |'"


def is_pipe(name: str) -> bool:
    """Whether an rxfilename or wxfilename runs a command."""
    return name.endswith("|") or name.startswith("|")


def split_offset(name: str) -> tuple[str, int | None, str | None]:
    """`FILE:OFFSET[RANGE]` -> (FILE, OFFSET, RANGE); what is absent is None.

    >>> split_offset("a.ark:17"), split_offset("a.ark:17[0:9]"), split_offset("a.ark")
    (('a.ark', 17, None), ('a.ark', 17, '0:9'), ('a.ark', None, None))
    """
    if is_pipe(name):
        return name, None, None
    found = re.fullmatch(r"(?P<file>.*?)(?::(?P<offset>\d+))?(?:\[(?P<range>[\d:,]+)\])?", name, re.DOTALL)
    if found is None:
        return name, None, None
    offset = found["offset"]
    return found["file"], None if offset is None else int(offset), found["range"]


@contextmanager
def open_input(name: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, of a command's output (`COMMAND |`), or of standard input (`-`).

    Raises:
        DataError: the file cannot be opened, or the command fails.
    """
    if name == "-":
        yield sys.stdin.buffer
    elif is_pipe(name):
        with _command(name) as stream:
            yield stream
    else:
        try:
            stream = open(name, "rb")
        except OSError as error:
            raise DataError(f"{name}: cannot be read: {error.strerror}; correct the path") from error
        with stream:
            yield stream


@contextmanager
def _command(name: str) -> Iterator[IO[bytes]]:
    command = name.removesuffix("|").strip()
    with subprocess.Popen(command, shell=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.stdout
        process.stdout.read()
    if process.returncode:
        raise DataError(f"'{command}' ended with status {process.returncode}; run it by itself to see why")


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
        command = name.removeprefix("|").strip()
        with subprocess.Popen(command, shell=True, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            yield process.stdin
        if process.returncode:
            raise DataError(f"'{command}' ended with status {process.returncode}; run it by itself to see why")
    else:
        try:
            with open_atomic(Path(name), "wb") as stream:
                yield stream
        except OSError as error:
            raise DataError(f"{name}: cannot be written: {error.strerror}; free space or choose another place") from error
