"""What a training wrote of itself: the lines of `train.jsonl` in its model directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from csc_cli.errors import DataError, at

HISTORY = "train.jsonl"


def read_history(path: Path) -> list[dict[str, Any]]:
    """All lines, each the figures of a step by name; none where there is no file.

    A half-written last line, of a run that was killed or is going on, is left out.

    Raises:
        DataError: another line is damaged.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            rows.append(row)
        elif number < len(lines):
            raise DataError(at(path, number, "not a line of JSON figures; remove it"))
    return rows
