"""The errors that a user can cause and mend: each message says where, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path


class CscError(Exception):
    """Root of all errors that the command line shows as one line, without a traceback."""


class ConfigError(CscError):
    """A setting is unknown, missing, of the wrong type, or impossible."""


class DataError(CscError):
    """A file that the user gave is missing, damaged, or disagrees with another."""


class AudioError(DataError):
    """One recording cannot be read or used."""


def at(path: str | Path, line: int | None, message: str) -> str:
    """`path:line: message`, the form in which editors and people find the place."""
    return f"{path}: {message}" if line is None else f"{path}:{line}: {message}"


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A clause that names the candidate most like `name`, or lists them all."""
    known = sorted(candidates)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known)}" if known else "nothing is known here"


def some(keys: Sequence[str], most: int = 3) -> str:
    """The first few keys of a list that may be long, for a message."""
    shown = ", ".join(keys[:most])
    return shown if len(keys) <= most else f"{shown}, ... ({len(keys)} in all)"
