"""What a result depends on, as checksums: the code of the commands, training data, trials.

A checksum is of what decides the result: code without its comments and docstrings, data without the folder in
which they lie.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import csc_cli
from csc_cli.errors import DataError
from csc_cli.files import sha256
from csc_cli.kaldi.datadir import DataDir

PACKAGE = Path(csc_cli.__file__).parent
TRAINING = ("csc_cli.cli.train",)
SCORING = (
    "csc_cli.cli.extract", "csc_cli.cli.separate", "csc_cli.cli.score", "csc_cli.cli.evaluate",
    "csc_cli.experiment.measure",
)  # fmt: skip
# Pictures and this package's own book-keeping decide no figure.
LEFT_OUT = ("csc_cli.plots", "csc_cli.experiment", "csc_cli.cli.main")


def digest(value: Any) -> str:
    """A checksum of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def code_digest(entries: Iterable[str]) -> str:
    """Of the package's source files that the modules `entries` import, at any depth and in any function."""
    return digest({module: _code(path, os.stat(path).st_mtime_ns) for module, path in sources(entries).items()})


def sources(entries: Iterable[str]) -> dict[str, Path]:
    """Module -> file of all that the modules `entries` import of this package, themselves among them."""
    found: dict[str, Path] = {}
    waiting = list(entries)
    kept = tuple(waiting)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        left_out = module not in kept and any((module + ".").startswith(name + ".") for name in LEFT_OUT)
        if path is None or module in found or left_out:
            continue
        found[module] = path
        waiting += _imports(path, os.stat(path).st_mtime_ns)
    return dict(sorted(found.items()))


def _file(module: str) -> Path | None:
    """The file of a module of this package; None for a name that is none (a function, another package)."""
    first, *rest = module.split(".")
    if first != PACKAGE.name:
        return None
    path = PACKAGE.joinpath(*rest)
    places = (path / "__init__.py", path.with_suffix(".py")) if rest else (path / "__init__.py",)
    return next((place for place in places if place.is_file()), None)


@lru_cache(maxsize=1024)
def _imports(path: Path, _time: int) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(path.read_bytes())))


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@lru_cache(maxsize=1024)
def _code(path: Path, _time: int) -> str:
    """The file's code without comments, docstrings and layout."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0] = ast.Pass()
    return ast.unparse(tree)


def data_identity(folder: Path) -> str:
    """Of a data directory: ids, speakers, which part of which recording, and the recordings' sizes.

    Raises:
        DataError: it is none.
    """
    rows = []
    for utterance in DataDir.load(folder).utterances:
        try:
            size = os.stat(utterance.recording).st_size
        except OSError:  # a pipe, or a fault that will be named when it is read
            size = -1
        rows.append((utterance.id, utterance.speaker, utterance.start_s, utterance.end_s, utterance.channel, size))
    return digest(rows)


def trials_identity(folder: Path) -> str:
    """Of a trial set: its lists and plans, and the identities of its two data directories.

    Raises:
        DataError: there is none.
    """
    lists = ("trials", "utt2cond", "utt2spks", "enroll/mix.jsonl", "test/mix.jsonl")
    if not (folder / "trials").is_file():
        raise DataError(f"{folder / 'trials'}: not found; 'csc trials' makes it")
    files = {name: sha256(folder / name) for name in lists if (folder / name).is_file()}
    return digest([files, data_identity(folder / "enroll"), data_identity(folder / "test")])


def command_identity(command: str) -> str:
    """Of an external command: its words, and the contents of those that are files.

    Raises:
        DataError: its quotes do not pair.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise DataError(f"external: {command}: {error}; correct the quotes") from error
    return digest([command, {word: sha256(word) for word in words if Path(word).is_file()}])
