"""Streams as wav files, written piece by piece."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile

from csc_cli.files import atomic_path
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.progress import note


def file_name(utterance: str) -> str:
    """A name for the utterance's wav that stays in its folder: '%', '/' and a first '.' are escaped as in a URL.

    >>> file_name("spk/../a.b")
    'spk%2F..%2Fa.b.wav'
    """
    name = utterance.replace("%", "%25").replace("/", "%2F")
    return (f"%2E{name[1:]}" if name.startswith(".") else name) + ".wav"


class StreamWriter:
    """Mono wav files, one a stream; they appear when the block ends well, or not at all.

    16-bit samples by default, which is what Kaldi reads; what lies beyond full scale is clipped, with a note.
    With `unrounded` 32-bit floats, for measuring: 16 bits make zeros of a stream below -90 dB of full scale.
    """

    def __init__(self, paths: list[Path], sample_rate: int, unrounded: bool = False) -> None:
        self.paths, self.sample_rate, self.unrounded = paths, sample_rate, unrounded
        self.clipped = np.zeros(len(paths), np.int64)

    def __enter__(self) -> StreamWriter:
        with ExitStack() as stack:
            try:
                self.files = [stack.enter_context(self._open(path, stack)) for path in self.paths]
            except OSError as error:
                raise unwritable(self.paths[0], error) from error
            self.stack = stack.pop_all()
        return self

    @property
    def subtype(self) -> str:
        """The format of a sample in libsndfile's words."""
        return "FLOAT" if self.unrounded else "PCM_16"

    def _samples(self, streams: np.ndarray) -> np.ndarray:
        """(C, T) in [-1, 1] as they are written."""
        if self.unrounded:
            return streams.astype(np.float32)
        scaled = np.rint(streams * 32768.0)
        self.clipped += ((scaled > 32768) | (scaled < -32768)).sum(1)
        return np.clip(scaled, -32768, 32767).astype(np.int16)

    def _open(self, path: Path, stack: ExitStack) -> soundfile.SoundFile:
        temporary = stack.enter_context(atomic_path(path))
        return soundfile.SoundFile(temporary, "w", self.sample_rate, 1, self.subtype, format="WAV")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)
        for path, count in zip(self.paths, self.clipped, strict=True):
            if count and kind is None:
                note(f"{path}: {count} samples clipped")

    def write(self, streams: np.ndarray) -> None:
        """Append (C, T) samples.

        Raises:
            DataError: the disk is full.
        """
        for path, file, samples in zip(self.paths, self.files, self._samples(streams), strict=True):
            try:
                file.write(samples)
            except (OSError, soundfile.LibsndfileError) as error:
                failed = error if isinstance(error, OSError) else OSError(0, str(error))
                raise unwritable(path, failed) from error
