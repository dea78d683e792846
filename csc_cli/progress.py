"""Progress on standard error: a bar in a terminal, a line a minute where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
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


def track(
    items: Iterable[Item], description: str, total: int | None = None, detail: Callable[[], str] = str
) -> Iterator[Item]:
    """Yield the items while showing how many are done of `total` (default: `len(items)`), and what `detail()` says."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if _quiet:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, description, total, detail)
    else:
        yield from _lines(items, description, total, detail)


def _bar(items: Iterable[Item], description: str, total: int | None, detail: Callable[[], str]) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    text = TextColumn("{task.fields[detail]}")
    with Progress(*columns, text, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, detail="")
        for item in items:
            yield item
            bar.update(task, advance=1, detail=detail())


def _lines(items: Iterable[Item], description: str, total: int | None, detail: Callable[[], str]) -> Iterator[Item]:
    began = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            left = f", {(now - began) / done * (total - done) / 60:.1f} min left" if total and done else ""
            more = f", {detail()}" if detail() else ""
            note(f"{description}: {done}{f' of {total}' if total else ''}{left}{more}")
        yield item
