"""How fast a training runs, and how much of the time it waits for data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from csc_cli.training.config import TrainConfig

Item = TypeVar("Item")
KEEP = 0.95  # of the running means, a step


class Pace:
    """Running means over the last steps."""

    def __init__(self, config: TrainConfig) -> None:
        self.audio_s = config.step_audio_s
        self.step_s, self.wait_s, self.waited = 0.0, 0.0, 0.0
        self.mark: float | None = None

    def waits(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, the time until each is there being counted as waiting."""
        iterator = iter(items)
        while True:
            began = time.monotonic()
            try:
                item = next(iterator)
            except StopIteration:
                return
            self.waited = time.monotonic() - began
            self.mark = began if self.mark is None else self.mark
            yield item

    def done(self) -> None:
        """A step was done."""
        now = time.monotonic()
        step_s = now - (self.mark if self.mark is not None else now)
        self.mark = now
        first = not self.step_s
        self.step_s = step_s if first else KEEP * self.step_s + (1 - KEEP) * step_s
        self.wait_s = self.waited if first else KEEP * self.wait_s + (1 - KEEP) * self.waited

    def words(self) -> str:
        """For the line of progress; empty before the first step."""
        if not self.step_s:
            return ""
        speed = f"{1 / self.step_s:.2f} steps/s, {self.audio_s / self.step_s:.0f} s of audio a second"
        return f"{speed}, {100 * self.wait_s / self.step_s:.0f} % waiting for data"
