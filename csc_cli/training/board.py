"""TensorBoard's file of events, written at once, so that what the system refuses is an error here and not in a thread.

(`torch.utils.tensorboard.SummaryWriter` writes in a thread, whose traceback would go to standard error.)
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Board:
    """Appends scalars, pictures and sounds of a step to a new file in `directory`."""

    def __init__(self, directory: Path, step: int) -> None:
        """What earlier files hold of steps after `step` is to be forgotten: it belongs to a run that was cut off.

        Raises:
            OSError: the file cannot be written; the other methods, too.
        """
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self.stream = open(directory / name, "xb")  # noqa: SIM115 (closed by close)
        self.records, self.event = RecordWriter(self.stream), Event
        self.write(file_version="brain.Event:2")
        self.write(step=step + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, **event: Any) -> None:
        self.records.write(self.event(wall_time=time.time(), **event).SerializeToString())
        self.stream.flush()

    def scalars(self, values: dict[str, float], step: int) -> None:
        from torch.utils.tensorboard.summary import scalar

        for name, value in values.items():
            self.write(step=step, summary=scalar(name, value))

    def picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Pixels (H, W, 3), 0 to 255."""
        from torch.utils.tensorboard.summary import image

        self.write(step=step, summary=image(name, pixels, dataformats="HWC"))

    def sound(self, name: str, samples: np.ndarray, sample_rate: int, step: int) -> None:
        """Samples (T,) in [-1, 1]."""
        from torch.utils.tensorboard.summary import audio

        self.write(step=step, summary=audio(name, torch.from_numpy(samples), sample_rate))

    def close(self) -> None:
        self.stream.close()
