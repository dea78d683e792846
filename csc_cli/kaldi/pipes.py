"""Commands whose output is read or whose input is written; one that fails or hangs is named."""

from __future__ import annotations

import io
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from csc_cli.errors import DataError
from csc_cli.progress import note

BUFFER = 1 << 20
SILENCE_S = 60.0
"""After so long without a byte from a command, a note says that it is waited for."""
TIMEOUT = "CSC_PIPE_TIMEOUT"
"""Environment variable: seconds without a byte after which a command is stopped; an error."""
REFUSED = "CSC_NO_PIPES"
"""Environment variable: not empty and not 0 refuses the commands that a wav.scp or scp names (`--no-pipes`)."""
GRACE_S = 2.0
# What a command ends with (from the shell, by itself) when nobody reads the rest of its output.
UNREAD = (128 + signal.SIGPIPE, -signal.SIGPIPE)


def refused() -> bool:
    """Whether commands that data files name are not to be run."""
    return os.environ.get(REFUSED, "") not in ("", "0")


class _Output(io.RawIOBase):
    """A command's output; reading it does not wait in silence."""

    def __init__(self, process: subprocess.Popen[bytes], command: str) -> None:
        self.process, self.command = process, command
        self.ended = self.stopped = False
        self.pipe: IO[bytes] = process.stdout  # type: ignore[assignment]
        self.poll = select.poll()
        self.poll.register(self.pipe, select.POLLIN)
        limit = os.environ.get(TIMEOUT, "")
        self.limit_s = float(limit) if limit.replace(".", "", 1).isdigit() else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        self._wait()
        size = os.readv(self.pipe.fileno(), [buffer])
        self.ended = not size
        return size

    def _wait(self) -> None:
        noted = False
        while not self.poll.poll(1000 * (self.limit_s or SILENCE_S)):
            if self.limit_s:
                stop(self.process)
                self.stopped = True
                ended = f"was stopped with status {self.process.returncode}"
                raise DataError(f"'{self.command}' gave nothing for {self.limit_s:g} s and {ended}; run it by itself")
            if not noted:
                note(f"waiting for '{self.command}', which has given nothing for {SILENCE_S:g} s")
            noted = True


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a command that nobody needs any more, kindly first."""
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start(command: str, **streams: int) -> subprocess.Popen[bytes]:
    """Run a command by `sh`, as Kaldi does."""
    try:
        return subprocess.Popen(command, shell=True, bufsize=0, **streams)  # type: ignore[call-overload]
    except (OSError, ValueError) as error:
        raise DataError(f"'{command[:200]}' cannot be run: {error}; correct the command") from error


@contextmanager
def output_of(command: str, **streams: int) -> Iterator[IO[bytes]]:
    """The bytes that a command writes to its standard output; `streams` as for `subprocess.Popen`.

    Raises:
        DataError: it ends with another status than 0 (what was left unread is no failure), or hangs where
            CSC_PIPE_TIMEOUT is set.
    """
    process = start(command, stdout=subprocess.PIPE, **streams)
    raw = _Output(process, command)
    stream = io.BufferedReader(raw, BUFFER)
    try:
        yield stream
    except DataError:
        # What is wrong with the data may come of the command's failure; then that is the news.
        _finish(raw)
        raise
    except BaseException:
        raw.pipe.close()
        stop(process)
        raise
    _finish(raw)


def _finish(raw: _Output) -> None:
    process = raw.process
    raw.pipe.close()
    if raw.ended:
        process.wait()
    else:
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            stop(process)  # what it would still give is not wanted
            return
    if process.returncode not in (0, *UNREAD) and not raw.stopped:
        raise failed(raw.command, process.returncode) from None


def failed(command: str, status: int) -> DataError:
    """The error of a command that ended with another status than 0."""
    return DataError(f"'{command}' ended with status {status}; run it by itself to see why")


@contextmanager
def input_of(command: str) -> Iterator[IO[bytes]]:
    """Write to a command's standard input.

    Raises:
        DataError: it ends with another status than 0, or before it has read everything.
    """
    process = start(command, stdin=subprocess.PIPE)
    stream = io.BufferedWriter(process.stdin, BUFFER)  # type: ignore[type-var]
    try:
        yield stream
        stream.close()
    except BrokenPipeError:
        process.wait()
        ended = f"ended with status {process.returncode} before it had read everything"
        raise DataError(f"'{command}' {ended}; run it by itself to see why") from None
    except BaseException:
        stop(process)  # what it has read is not whole
        raise
    finally:
        with suppress(BrokenPipeError):
            stream.close()
    if process.wait():
        raise failed(command, process.returncode)
