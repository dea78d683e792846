"""Folders of corpora: their entries in C order, and what is missing in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from csc_cli.errors import DataError


def folders(path: str | Path) -> list[str]:
    """The names of the folders in `path` (and of links to folders), without hidden ones, sorted."""
    return sorted(entry.name for entry in _scan(path) if not entry.name.startswith(".") and entry.is_dir())


def names(path: str | Path) -> list[str]:
    """The names of what is in `path`, without hidden entries, sorted. Nothing is opened or asked of the disk twice."""
    return sorted(entry.name for entry in _scan(path) if not entry.name.startswith("."))


def find(places: Sequence[Path], wanted: Sequence[str], remedy: str) -> Path:
    """The first of `places` that has all of `wanted` (folders or files). Raises DataError as `not_found` says."""
    for folder in places:
        if all((folder / name).exists() for name in wanted):
            return folder
    raise not_found(places, wanted, remedy)


def not_found(places: Sequence[Path], wanted: Sequence[str], remedy: str) -> DataError:
    """The error that says which of `wanted` are not in the likeliest of `places`, and where was looked."""
    there = [place for place in places if place.is_dir()]
    folder = max(reversed(there), key=lambda place: sum((place / name).exists() for name in wanted), default=places[0])
    missing = ", ".join(name for name in wanted if not (folder / name).exists())
    looked = " and ".join(map(str, places))
    return DataError(f"{folder}: {missing} not found (looked in {looked}); {remedy}")


def _scan(path: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a folder: {error.strerror}; correct the path") from error
