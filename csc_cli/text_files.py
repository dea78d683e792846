"""Text files that others wrote, whole in memory; one that is no text is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from csc_cli.errors import DataError, at


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The file's text, with LF line ends.

    Raises:
        DataError: it cannot be read, or is no text of this encoding.
    """
    try:
        return path.read_bytes().decode(encoding).replace("\r\n", "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; correct the path, or download it again") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(at(path, line, "is no text in UTF-8; download or write the file again")) from error


def read_csv(path: Path) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The names of the columns, and (line from 1, fields by column) of each row.

    A row with too few fields has None in the others.

    Raises:
        DataError: as `read_text`; with `path:line`, for a row that is not comma-separated values.
    """
    reader = csv.DictReader(io.StringIO(read_text(path)))

    def rows() -> Iterator[tuple[int, dict[str, str]]]:
        try:
            for row in reader:
                yield reader.line_num, row
        except csv.Error as error:
            raise DataError(at(path, reader.line_num + 1, f"{error}; download or write the file again")) from error

    try:
        return list(reader.fieldnames or ()), rows()
    except csv.Error as error:
        raise DataError(at(path, 1, f"{error}; download or write the file again")) from error
