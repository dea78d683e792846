"""Progress on standard error: a bar in a terminal, a line a minute where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")
LINE_EVERY_S = 60.0
_quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence all progress and notes (the `--quiet` option)."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether progress and notes are silenced."""
    return _quiet


def note(message: str) -> None:
    """A line for people, on standard error."""
    if not _quiet:
        print(message, file=sys.stderr, flush=True)


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while showing how many are done of `total` (default: `len(items)`)."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if _quiet:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, description, total)
    else:
        yield from _lines(items, description, total)


def _bar(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(items, total=total, description=description)


def _lines(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    began = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            left = f", {(now - began) / done * (total - done) / 60:.1f} min left" if total and done else ""
            note(f"{description}: {done}{f' of {total}' if total else ''}{left}")
        yield item
