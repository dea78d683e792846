"""Large files by HTTP: resumed where they stopped, checked against a published digest, whole or absent."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from csc_cli.errors import ConfigError, CscError
from csc_cli.files import write_json
from csc_cli.progress import note, track

BLOCK = 1 << 20
TIMEOUT_S = 60.0
ATTEMPTS = 5  # in a row that bring no byte
PAUSE_S = 2.0  # before the second attempt; doubled before each further one


class DownloadError(CscError):
    """A file cannot be had from its address, or is not what was published."""


@dataclass(frozen=True)
class Remote:
    """A file at an address; `digest` is `md5:...` or `sha256:...`, or "" where none was published."""

    url: str
    digest: str = ""

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def at(self, mirror: str | None) -> Remote:
        """The same file in the folder `mirror` of another server; None: as it is."""
        return Remote(f"{mirror.rstrip('/')}/{self.name}", self.digest) if mirror else self


def fetch(remote: Remote, folder: Path, *, pause_s: float = PAUSE_S) -> Path:
    """The file in `folder`: what is there stays, what is there in part (NAME.part) is gone on with.

    The server's ETag or date is kept beside the part (NAME.part.json), so that the rest of another release is
    never put behind it; a server without ranges sends the file again from its beginning.

    Raises:
        DownloadError: no answer, a refusal, or an end before the end in several attempts; a digest that differs
            (the part is then removed). ConfigError: no room on the disk, or another process writes the file.
    """
    path = folder / remote.name
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{remote.name}.part"
    with _locked(part) as stream:
        _complete(remote, stream, part, pause_s)
        _check(remote, part)
        _validator_file(part).unlink(missing_ok=True)
        part.rename(path)
    return path


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    with open(part, "ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"{part}: another process is downloading it; wait for that one") from error
        yield stream


def _complete(remote: Remote, stream: IO[bytes], part: Path, pause_s: float) -> None:
    failures = 0
    while True:
        before = stream.tell()
        try:
            if _receive(remote, stream, part):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                message = f"{remote.url}: {error.code} {error.reason}; is there a mirror (--mirror)?"
                raise DownloadError(message) from error
            reason = f"{error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 0 if stream.tell() > before else failures + 1
        if failures >= ATTEMPTS:
            message = f"{remote.url}: {reason}; {part} has {stream.tell()} bytes: run again to go on"
            raise DownloadError(message)
        note(f"{remote.name}: {reason} after {stream.tell()} bytes; trying again")
        time.sleep(pause_s * 2 ** max(failures - 1, 0))


def _receive(remote: Remote, stream: IO[bytes], part: Path) -> bool:
    """One request for what is missing; whether the part is whole then."""
    start, validator = stream.tell(), _validator(remote, part)
    if start and not validator:
        start = _restart(stream)
    headers = {"Range": f"bytes={start}-", "If-Range": validator} if start else {}
    request = urllib.request.Request(remote.url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            if start and answer.status != 206:
                start = _restart(stream)
            if not start:
                _keep_validator(remote, answer, part)
            return _copy(answer, stream, start, remote)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # The part is as long as the file (its last byte came just before an interruption), or it is not of this file.
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(start):
            return True
        _restart(stream)
        return False


def _copy(answer: HTTPResponse, stream: IO[bytes], start: int, remote: Remote) -> bool:
    length = answer.headers.get("Content-Length")
    end = start + int(length) if length else None
    if end is not None and (free := shutil.disk_usage(stream.name).free) < end - start:
        message = f"{stream.name}: {(end - start) / 1e9:.1f} GB to come, {free / 1e9:.1f} GB free; make room"
        raise ConfigError(message)
    blocks = iter(lambda: answer.read(BLOCK), b"")

    def detail() -> str:
        return f"{stream.tell() / 1e6:.0f}{f' of {end / 1e6:.0f}' if end else ''} MB"

    for block in track(blocks, remote.name, -(-(end - start) // BLOCK) if end else None, detail):
        stream.write(block)
        stream.flush()
    return end is None or stream.tell() >= end


def _restart(stream: IO[bytes]) -> int:
    stream.seek(0)
    stream.truncate()
    return 0


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _keep_validator(remote: Remote, answer: HTTPResponse, part: Path) -> None:
    etag = answer.headers.get("ETag", "")
    # If-Range takes no weak ETag.
    validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    write_json(_validator_file(part), {"url": remote.url, "validator": validator})


def _validator(remote: Remote, part: Path) -> str:
    """What the server said of the file that the part is of; "" where nothing is known of this address."""
    try:
        kept = json.loads(_validator_file(part).read_text(encoding="utf-8"))
        return str(kept["validator"]) if kept["url"] == remote.url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _check(remote: Remote, part: Path) -> None:
    kind, _, wanted = (remote.digest or "sha256:").partition(":")
    with open(part, "rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if wanted and found != wanted:
        part.unlink()
        _validator_file(part).unlink(missing_ok=True)
        raise DownloadError(
            f"{remote.url}: {kind.upper()} is {found}, not {wanted}: damaged on the way or another release; "
            "removed, run again or choose a mirror (--mirror)"
        )
    if not wanted:
        note(f"{remote.name}: no published digest; its SHA-256 is {found}")
