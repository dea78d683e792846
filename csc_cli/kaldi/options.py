"""Kaldi's option files (`--config=conf/vad.conf`): lines `--name=value`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from csc_cli.errors import DataError, at, nearest


def read_options(path: str | Path, known: Collection[str]) -> dict[str, str]:
    """Name (with `_` for `-`) -> value; `#` begins a comment, an option without a value is `true`.

    Raises:
        DataError: with `path:line`, for a line of another form, an option that is not `known` or comes twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}; give a file of options") from error
    options: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        name, equals, value = text.partition("=")
        key = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or not key or " " in key:
            raise DataError(at(path, number, f"'{text}' is no option; write --name=value"))
        if key not in known:
            close = nearest(key, known).replace("_", "-")
            raise DataError(at(path, number, f"no option '{name}'; {close}"))
        if key in options:
            raise DataError(at(path, number, f"the option '{name}' comes twice; keep one"))
        options[key] = value.strip() if equals else "true"
    return options
