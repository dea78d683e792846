"""A fault in a file of the user's: where, what, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from csc_cli.errors import DataError, at

BOM = b"\xef\xbb\xbf"
HAS_BOM = "begins with a byte order mark"


def without_bom(name: object = "FILE") -> str:
    """The remedy where a file begins with a byte order mark."""
    return f"remove it: sed -i '1s/^\\xEF\\xBB\\xBF//' {name}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in one file; `line` counts from 1, None means the file as a whole."""

    path: Path
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{at(self.path, self.line, self.message)}; {self.remedy}"


def raise_first(faults: Sequence[Fault]) -> None:
    """Raise the first fault as a `DataError` that also says how many more there are."""
    if faults:
        more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
        raise DataError(f"{faults[0]}{more}")
