"""Commands as processes of their own: their output is appended to a log, and a signal to stop reaches them."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from csc_cli.errors import CscError, DataError

LOCK = ".lock"
SHOWN = 3  # last lines of a failed command's output


class Stopped(CscError):
    """The run was asked to stop."""


class Commands:
    """Runs commands, several threads at once, until `stop` is called."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads` of each process (OMP_NUM_THREADS); None: as the environment says."""
        self.environment = dict(os.environ)
        if threads is not None:
            self.environment["OMP_NUM_THREADS"] = str(threads)
        self.stopping = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._guard = threading.RLock()  # a second Ctrl-C comes while the first is answered

    def csc(self, folder: Path, *arguments: object, output: Path | None = None) -> None:
        """Run `csc ARGUMENT ...`; errors as `run`."""
        words = [str(argument) for argument in arguments]
        shown = shlex.join(["csc", *words])
        self.run(folder, [sys.executable, "-m", "csc_cli.cli.main", *words], shown, output)

    def shell(self, folder: Path, command: str) -> None:
        """Run a command line by sh; errors as `run`."""
        self.run(folder, ["sh", "-c", command], command)

    def run(self, folder: Path, command: Sequence[str], shown: str, output: Path | None = None) -> None:
        """Run a command, with all that it prints in `folder`/log (standard output in `output`, where it is given).

        Raises:
            Stopped: `stop` was called before or meanwhile.
            CscError: it failed; the last lines of its output.
        """
        with open(folder / "log", "ab") as log, open(output or os.devnull, "wb") as other:
            log.write(f"{time.strftime('%F %T')} $ {shown}\n".encode())
            log.flush()
            start = log.tell()
            with self._guard:
                if self.stopping.is_set():
                    raise Stopped("stopped")
                # The folder's lock lives as long as the command, should this process be killed.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=other if output else log, stderr=log,
                    env=self.environment, pass_fds=_locks(folder),
                )  # fmt: skip
                self._running.add(process)
            try:
                status = process.wait()
            finally:
                self._running.discard(process)
        if self.stopping.is_set():
            raise Stopped("stopped")
        if status:
            raise CscError(f"{shown}: exit status {status}: {last_lines(folder / 'log', start)} ({folder / 'log'})")

    def stop(self) -> None:
        """Ask what runs to end (csc saves what is done), and start nothing more."""
        self.stopping.set()
        with self._guard:
            for process in self._running:
                process.send_signal(signal.SIGTERM)


def last_lines(log: Path, start: int) -> str:
    """The last lines of a command's output, as one."""
    with open(log, "rb") as stream:
        stream.seek(start)
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-SHOWN:]) or "it said nothing"


_held: dict[Path, int] = {}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder`, and keep other processes from working in it.

    Raises:
        CscError: one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CscError(f"{folder}: another process is at work here; wait for it, or end it") from None
        _held[folder] = stream.fileno()
        try:
            yield
        finally:
            del _held[folder]


def _locks(folder: Path) -> tuple[int, ...]:
    return (_held[folder],) if folder in _held else ()


def read_json(path: Path) -> Any:
    """Raises DataError where it is not there or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); remove the folder to make it again") from error
