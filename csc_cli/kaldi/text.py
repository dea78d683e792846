"""Kaldi's text tables: lines of a key and a value, in UTF-8, in the order of LC_ALL=C."""

from __future__ import annotations

import gc
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from os.path import exists
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.faults import BOM, HAS_BOM, Fault, raise_first, without_bom
from csc_cli.kaldi.specifiers import Rspecifier, is_pipe, open_input, unwritable

ARK = re.compile(r"[a-z, ]*\bark\b[a-z, ]*:")


# What Python takes for white space within a line, and Kaldi, awk and sort do not.
ODD = re.compile("[\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


@dataclass(slots=True)
class Table:
    """The sound lines of a text table, and what is wrong with the others.

    `lines[i]` is the number of the line on which `keys[i]` stands.
    """

    path: Path
    keys: list[str]
    values: list[str]
    lines: Sequence[int]
    faults: list[Fault]

    def as_dict(self) -> dict[str, str]:
        """Value by key, in the file's order."""
        return dict(zip(self.keys, self.values, strict=True))

    def line_of(self) -> dict[str, int]:
        """Line number by key (worth its memory only when a fault is to be placed)."""
        return dict(zip(self.keys, self.lines, strict=True))


@contextmanager
def without_gc() -> Iterator[None]:
    """No garbage collection while millions of small objects without cycles are made (three times as fast)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def parse(path: str | Path, *, in_order: bool = True, values: bool = True) -> Table:
    """Read a text table and collect all its faults; never raises for what the file holds.

    Args:
        in_order: the keys must stand in C order, as Kaldi needs them in a data directory.
        values: each key must have a value (a transcript may be empty).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        message = getattr(error, "strerror", None) or str(error)
        fault = Fault(path, None, f"cannot be read: {message}", "create it, or correct the path")
        return Table(path, [], [], [], [fault])
    return _parse(path, data, in_order, values)


def _parse(path: Path, data: bytes, in_order: bool, values: bool) -> Table:
    if not data:
        return Table(path, [], [], [], [Fault(path, None, "is empty", "write it again; it has no entries")])
    with without_gc():
        return _parse_sound(path, data, in_order) or _parse_faulty(path, data, in_order, values)


def _parse_sound(path: Path, data: bytes, in_order: bool) -> Table | None:
    """The quick way for a file without faults; None where there is any doubt."""
    if b"\r" in data or b"\0" in data or data.startswith(BOM):
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if ODD.search(text):
        return None
    rows = [line.split(None, 1) for line in text.removesuffix("\n").split("\n")]
    if not all(map((2).__eq__, map(len, rows))):
        return None
    keys = [row[0] for row in rows]
    ascending = all(map(operator.lt, keys, islice(keys, 1, None)))
    if not ascending and len(set(keys)) != len(keys):
        return None
    table = Table(path, keys, [row[1].rstrip() for row in rows], range(1, len(keys) + 1), [])
    if in_order and not ascending:
        table.faults += order_faults(table)
    return table


def _parse_faulty(path: Path, data: bytes, in_order: bool, values: bool) -> Table:
    """Line by line, with every fault."""
    table = Table(path, [], [], [], [])
    lines: list[int] = []
    first: dict[str, int] = {}
    rows = data.removesuffix(b"\n").split(b"\n")
    if data.startswith(BOM):
        rows[0] = rows[0].removeprefix(BOM)
        table.faults.append(Fault(path, 1, HAS_BOM, without_bom(path)))
    crlf = [number for number, row in enumerate(rows, 1) if row.endswith(b"\r")]
    if crlf:
        remedy = f"convert it to Unix line ends: sed -i 's/\\r$//' {path}"
        table.faults.append(Fault(path, crlf[0], f"{len(crlf)} lines end in CR LF", remedy))
    for number, raw in enumerate(rows, 1):
        row = _split(table, number, raw.removesuffix(b"\r"), values)
        if row is None:
            continue
        if row[0] in first:
            message = f"'{row[0]}' stands on line {first[row[0]]} already"
            table.faults.append(Fault(path, number, message, "keep one of the two lines"))
            continue
        first[row[0]] = number
        table.keys.append(row[0])
        table.values.append(row[1])
        lines.append(number)
    table.lines = lines
    if in_order:
        table.faults += order_faults(table)
    return table


def _split(table: Table, number: int, raw: bytes, values: bool) -> tuple[str, str] | None:
    """Key and value of one line; None, and a fault, where it has none."""
    message, remedy, key, value = "", "", "", ""
    try:
        # As bytes: white space is blanks and tabs.
        key, value = (part.decode("utf-8") for part in (*raw.rstrip().split(None, 1), b"", b"")[:2])
        if "\0" in key + value or "\r" in key + value:
            message, remedy = "a NUL or CR character within the line", "remove it; the file may be damaged"
        elif not key:
            message, remedy = "an empty line", "remove it"
        elif ODD.search(key):
            message, remedy = f"{key!r} has white space other than blank and tab", "replace it, wherever the id stands"
        elif not value and values:
            message, remedy = f"'{key}' has no value", "complete the line or remove it"
    except UnicodeDecodeError:
        message, remedy = "not UTF-8 text", f"convert it: iconv -f latin1 -t utf-8 {table.path}"
    if message:
        table.faults.append(Fault(table.path, number, message, remedy))
        return None
    return key, value


def order_faults(table: Table) -> list[Fault]:
    """The first place where the keys leave C order, and how many there are."""
    wrong = [i for i in range(1, len(table.keys)) if table.keys[i] <= table.keys[i - 1]]
    if not wrong:
        return []
    i = wrong[0]
    count = f" ({len(wrong)} such places)" if len(wrong) > 1 else ""
    message = f"'{table.keys[i]}' is out of order after '{table.keys[i - 1]}'{count}"
    return [Fault(table.path, table.lines[i], message, f"sort it: LC_ALL=C sort -o {table.path} {table.path}")]


def read_map(source: str | Path, *, values: bool = True) -> dict[str, str]:
    """Key -> rest of the line, in the file's order; `values` as for `parse`.

    Args:
        source: a file, `-`, a pipe, or one of these behind `ark:` or `ark,t:`, as Kaldi's programs take them.

    Raises:
        DataError: with `path:line`, for a damaged or empty file or a key given twice.
    """
    name = str(source)
    if ARK.match(name) and not exists(name):
        name = Rspecifier.parse(name).rxfilename
    if name == "-" or is_pipe(name):
        with open_input(name) as stream:
            table = _parse(Path(name), stream.read(), False, values)
    else:
        table = parse(name, in_order=False, values=values)
    raise_first(table.faults)
    return table.as_dict()


def read_keyed(source: str | Path) -> dict[str, list[str]]:
    """Key -> fields of the rest of the line; source and errors as `read_map`."""
    return {key: value.split() for key, value in read_map(source).items()}


def write_map(path: str | Path, table: Mapping[str, str | Iterable[str]]) -> None:
    """Write a table in C order, whole or not at all; a value is a text or the fields of one.

    Raises:
        DataError: a key or value that the format cannot hold, or a file that cannot be written.
    """
    try:
        with open_atomic(path) as stream:
            for key in sorted(table):
                value = table[key]
                text = value if isinstance(value, str) else " ".join(value)
                if key.split() != [key] or "\n" in text or "\r" in text:
                    raise DataError(f"{path}: '{key} {text}' cannot be a line; use ids without white space")
                stream.write(f"{key} {text}\n" if text else f"{key}\n")
    except OSError as error:
        raise unwritable(path, error) from error
