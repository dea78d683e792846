"""Kaldi's text tables: lines of a key and a value, in UTF-8, in the order of LC_ALL=C."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.faults import Fault, raise_first


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
        return dict(zip(self.keys, self.values, strict=True))

    def line_of(self) -> dict[str, int]:
        """Line number by key (only worth its memory when a fault is to be placed)."""
        return dict(zip(self.keys, self.lines, strict=True))


def parse(path: str | Path, *, in_order: bool = True, values: bool = True) -> Table:
    """Read a text table and collect all its faults; never raises for what the file holds.

    Args:
        in_order: the keys must stand in C order, as Kaldi needs them in a data directory.
        values: each key must have a value (a transcript may be empty).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        fault = Fault(path, None, f"cannot be read: {error.strerror}", "create it, or correct the path")
        return Table(path, [], [], [], [fault])
    if not data:
        return Table(path, [], [], [], [Fault(path, None, "is empty", "write it again; it has no entries")])
    table = _parse_sound(path, data, in_order)
    return table or _parse_faulty(path, data, in_order, values)


def _parse_sound(path: Path, data: bytes, in_order: bool) -> Table | None:
    """The quick way for a file without faults; None where there is any doubt."""
    if b"\r" in data or b"\0" in data:
        return None
    try:
        rows = [line.split(None, 1) for line in data.decode("utf-8").removesuffix("\n").split("\n")]
    except UnicodeDecodeError:
        return None
    if not all(map((2).__eq__, map(len, rows))):
        return None
    keys = [row[0] for row in rows]
    ascending = all(map(operator.lt, keys, islice(keys, 1, None)))
    if not ascending and (in_order or len(set(keys)) != len(keys)):
        return None
    return Table(path, keys, [row[1].rstrip() for row in rows], range(1, len(keys) + 1), [])


def _parse_faulty(path: Path, data: bytes, in_order: bool, values: bool) -> Table:
    """Line by line, with every fault."""
    table = Table(path, [], [], [], [])
    lines: list[int] = []
    first: dict[str, int] = {}
    crlf = [number for number, line in enumerate(data.split(b"\n"), 1) if line.endswith(b"\r")]
    if crlf:
        _fault(table, crlf[0], f"{len(crlf)} lines end in CR LF", "convert to Unix line ends: sed -i 's/\\r$//' FILE")
    for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        row = _split(table, number, raw, values)
        if row is None:
            continue
        if row[0] in first:
            _fault(table, number, f"'{row[0]}' stands on line {first[row[0]]} already", "keep one of the two lines")
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
    try:
        line = raw.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        _fault(table, number, "not UTF-8 text", "convert it: iconv -f latin1 -t utf-8 FILE")
        return None
    if "\0" in line or "\r" in line:
        _fault(table, number, "a NUL or CR character within the line", "remove it; the file may be damaged")
        return None
    fields = line.split(None, 1)
    if not fields:
        _fault(table, number, "an empty line", "remove it")
        return None
    if len(fields) == 1 and values:
        _fault(table, number, f"'{fields[0]}' has no value", "complete the line or remove it")
        return None
    return fields[0], fields[1].rstrip() if len(fields) == 2 else ""


def order_faults(table: Table) -> list[Fault]:
    """The first place where the keys leave C order, and how many there are."""
    wrong = [i for i in range(1, len(table.keys)) if table.keys[i] <= table.keys[i - 1]]
    if not wrong:
        return []
    i = wrong[0]
    count = f" ({len(wrong)} such places)" if len(wrong) > 1 else ""
    message = f"'{table.keys[i]}' is out of order after '{table.keys[i - 1]}'{count}"
    return [Fault(table.path, table.lines[i], message, f"sort it: LC_ALL=C sort -o {table.path} {table.path}")]


def _fault(table: Table, line: int, message: str, remedy: str) -> None:
    table.faults.append(Fault(table.path, line, message, remedy.replace("FILE", str(table.path))))


def read_map(path: str | Path, *, values: bool = True) -> dict[str, str]:
    """Key -> rest of the line, in the file's order.

    Raises:
        DataError: with `path:line`, for a damaged or empty file or a key given twice.
    """
    table = parse(path, in_order=False, values=values)
    raise_first(table.faults)
    return table.as_dict()


def read_keyed(path: str | Path) -> dict[str, list[str]]:
    """Key -> fields of the rest of the line; errors as `read_map`."""
    return {key: value.split() for key, value in read_map(path).items()}


def write_map(path: str | Path, table: Mapping[str, str | Iterable[str]]) -> None:
    """Write a table in C order, whole or not at all; a value is a text or the fields of one.

    Raises:
        DataError: for a key or value that the format cannot hold.
    """
    with open_atomic(path) as stream:
        for key in sorted(table):
            value = table[key]
            text = value if isinstance(value, str) else " ".join(value)
            if key.split() != [key] or "\n" in text or "\r" in text:
                raise DataError(f"{path}: '{key} {text}' cannot be a line of a table; use ids without white space")
            stream.write(f"{key} {text}\n" if text else f"{key}\n")
