"""Files that are whole or absent: written under a temporary name beside the target, then renamed."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary path beside `target`; renamed to it when the block ends well, removed otherwise.

    The suffixes of the target are kept, because some writers choose the format by them. A link is
    followed, as `open` does; a device or named pipe (`/dev/stdout`) gets the bytes at the end.
    """
    target = Path(target)
    if _is_stream(target):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / target.name
            yield path
            with open(path, "rb") as source, open(target, "wb") as stream:
                shutil.copyfileobj(source, stream)
        return
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".tmp-", suffix="-" + target.name, dir=target.parent)
    os.close(handle)
    path = Path(name)
    try:
        yield path
        # mkstemp makes files that only the owner reads; give them what open() would have given.
        path.chmod(0o666 & ~_umask())
        os.replace(path, target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def open_atomic(target: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """`open(target, mode)` for writing, whole or absent; text is UTF-8 with LF line ends."""
    with atomic_path(target) as path:
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with open(path, mode, **text) as stream:  # type: ignore[call-overload]
            yield stream
            stream.flush()
            os.fsync(stream.fileno())


@contextmanager
def atomic_dir(target: str | Path) -> Iterator[Path]:
    """A temporary folder beside `target` that replaces it when the block ends well."""
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=".tmp-", suffix="-" + target.name, dir=target.parent))
    try:
        yield path
        path.chmod(0o777 & ~_umask())
        _replace_dir(path, target)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise


def _replace_dir(path: Path, target: Path) -> None:
    """Put the folder `path` in the place of `target`, which is never seen half deleted."""
    if not target.is_dir():
        os.replace(path, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=".tmp-old-", suffix="-" + target.name, dir=target.parent))
    try:
        os.replace(target, aside / target.name)
        os.replace(path, target)
    except BaseException:
        if not target.exists():
            os.replace(aside / target.name, target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_bytes(target: str | Path, data: bytes) -> None:
    """Write a file of `data`, whole or not at all: `atomic_path` for many small files, in fewer calls of the system.

    Folders that lack are made. One writer a process and target.
    """
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".tmp-{os.getpid()}-{name}")
    try:
        try:
            stream = open(temporary, "wb")  # noqa: SIM115 (closed below)
        except FileNotFoundError:
            os.makedirs(folder or ".", exist_ok=True)
            stream = open(temporary, "wb")  # noqa: SIM115
        with stream:
            stream.write(data)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_json(target: str | Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all."""
    with open_atomic(target) as stream:
        json.dump(value, stream, indent=2, sort_keys=True, ensure_ascii=False)
        stream.write("\n")


def nan_as_null(value: Any) -> Any:
    """Plain values for JSON, which has no NaN: None in its place, at any depth."""
    if isinstance(value, dict):
        return {key: nan_as_null(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [nan_as_null(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def sha256(path: str | Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_stream(target: Path) -> bool:
    # /dev/stdout may lead to a regular file that the shell holds open: write to it, do not replace it.
    in_dev = str(target.parent) in ("/dev", "/dev/fd", "/proc/self/fd")
    return in_dev or (target.exists() and not (target.is_file() or target.is_dir()))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
