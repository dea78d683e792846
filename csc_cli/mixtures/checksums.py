"""`sha256sums`: the checksums of a folder's files in the form of `sha256sum`, and the comparison with what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from csc_cli.errors import DataError, at
from csc_cli.files import sha256
from csc_cli.kaldi.faults import Fault
from csc_cli.parallel import threaded_map
from csc_cli.progress import track

SUMS = "sha256sums"
AGAIN = "restore it, or remove it and run the command that made the folder again"
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def read_sums(folder: Path) -> Iterator[tuple[int, str, str]]:
    """(line, digest, name within the folder) of each file.

    Raises:
        DataError: there is no sha256sums, or a line of it is wrong.
    """
    path = folder / SUMS
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                match = LINE.fullmatch(line.removesuffix("\n"))
                if (
                    match is None
                    or not line.endswith("\n")
                    or Path(match[2]).is_absolute()
                    or ".." in match[2].split("/")
                ):
                    raise DataError(
                        at(path, number, "is no line 'SHA-256  FILE'; restore it, or make the folder again")
                    )
                yield number, match[1], match[2]
    except FileNotFoundError as error:
        raise DataError(f"{path}: not found; it comes with folders that csc simulate made; make it again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text; {AGAIN}") from error


def listed(folder: Path, name: str) -> str | None:
    """The digest that the folder's sha256sums has of a file; None where there is none."""
    if not (folder / SUMS).exists():
        return None
    return next((digest for _, digest, file in read_sums(folder) if file == name), None)


def check_sums(folder: Path, nj: int = 1) -> tuple[int, list[Fault]]:
    """The number of files that the folder's sha256sums lists, and a fault for each that is gone or another.

    Raises:
        DataError: as `read_sums`.
    """
    total = sum(1 for _ in read_sums(folder))
    if not total:
        raise DataError(f"{folder / SUMS}: is empty; make the folder again")
    found = threaded_map(partial(_fault, folder), read_sums(folder), nj)
    return total, [fault for fault in track(found, "files", total) if fault is not None]


def _fault(folder: Path, row: tuple[int, str, str]) -> Fault | None:
    line, digest, name = row
    try:
        if sha256(folder / name) == digest:
            return None
        message = f"{name} is not what was written"
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror}"
    return Fault(folder / SUMS, line, message, AGAIN)
