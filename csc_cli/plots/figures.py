"""What all pictures of results share: colours, the frame, the file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csc_cli.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind people can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":")


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of system number `index`."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index // len(COLOURS) % len(DASHES)]}


def panels(count: int) -> tuple[int, int]:
    """Rows and columns of a grid for `count` panels."""
    columns = 2 if count == 4 else min(count, 3)
    return -(-count // columns), columns


def new_figure(width: float, height: float, caption: str) -> Figure:
    """An empty figure, sizes in inches, with a small caption at its top."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    lines = textwrap.wrap(caption, max(30, int(17 * width)))
    height += 0.12 * len(lines)
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    if lines:
        figure.suptitle("\n".join(lines), fontsize=7, color="0.35")
    return figure


def save(figure: Figure, out: Path, name: str, formats: Sequence[str]) -> list[str]:
    """Write NAME.FORMAT for each of png and pdf that is asked for; returns the files' names.

    Without the date and the name of the drawing program, the same scores give the same bytes.
    """
    none: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None}}
    names = [f"{name}.{kind}" for kind in formats]
    for file, kind in zip(names, formats, strict=True):
        with atomic_path(out / file) as path:
            figure.savefig(path, dpi=150, format=kind, metadata=none[kind])
    return names
