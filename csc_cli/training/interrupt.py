"""Requests to stop: Ctrl-C, SIGTERM, Slurm's SIGUSR1."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from csc_cli.errors import CscError

GRACE = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # USR1: Slurm, --signal=USR1@SECONDS before its limit


class Interrupted(CscError):
    """The run was asked to stop, and saved a checkpoint first."""


class Requests:
    """While the block lasts, a signal is only noted; then the handlers of before are back."""

    def __init__(self) -> None:
        self.name = ""  # of the signal that came
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Requests:
        self.before = {number: signal.signal(number, self._note) for number in GRACE}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
