"""Opening a recording: a file, a wav within an archive (`FILE:OFFSET`), or a command; each error says which one."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from csc_cli.errors import AudioError, DataError
from csc_cli.kaldi.pipes import output_of, refused
from csc_cli.kaldi.specifiers import is_pipe, split_offset

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

# What writers put in a wav header when they do not know the length.
STREAMED = (0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFF000)
RESTORE = "restore it or remove it from wav.scp"


def place_of(source: Utterance | str | Path) -> str:
    """The recording in a message: its line in wav.scp and the utterance where they are known, and its name."""
    if isinstance(source, (str, Path)):
        return f"'{source}'" if is_pipe(str(source)) else str(source)
    line = f"{source.scp}:{source.line}: " if source.line else ""
    return f"{line}utterance '{source.id}': {place_of(source.recording)}"


@contextmanager
def opened(source: Utterance | str | Path) -> Iterator[soundfile.SoundFile]:
    """The recording of an utterance, opened; its errors are `AudioError`s."""
    name = str(source) if isinstance(source, (str, Path)) else source.recording
    where = place_of(source)
    data: str | io.RawIOBase | io.BytesIO = name
    if is_pipe(name):
        data = io.BytesIO(_output_of(name, where))
    elif not os.path.exists(name) and split_offset(name)[1]:
        data = Part(*split_offset(name), where)
    else:
        _check_file(name, where)
    try:
        stream = soundfile.SoundFile(data)
    except soundfile.LibsndfileError as error:
        message = error.error_string.strip().rstrip(".")
        raise AudioError(f"{where}: cannot be read as audio ({message}); convert it to wav or flac") from error
    except TypeError:
        # soundfile takes names in .raw for samples without a header.
        raise AudioError(f"{where}: raw samples do not say their rate; convert it to wav or flac") from None
    with stream:
        yield stream


def _output_of(name: str, where: str) -> bytes:
    if refused():
        raise AudioError(f"{where}: is a command, and --no-pipes refuses them; write its output to a file")
    with tempfile.TemporaryFile() as said:
        why = "status 0"
        try:
            command = name.removesuffix("|").strip()
            with output_of(command, stdin=subprocess.DEVNULL, stderr=said.fileno()) as stream:
                data = stream.read()
        except DataError as error:
            # pipes names the command, which `where` has done already.
            data, why = b"", str(error).rpartition("; ")[0].replace(f"'{command}' ", "").replace("ended with ", "")
        if data:
            return data
        said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    why += f", '{lines[-1]}'" if lines else ""
    raise AudioError(f"{where}: the command gives no audio ({why}); run it by itself to see why")


class Part(io.RawIOBase):
    """The bytes of a file from an offset on, as Kaldi's wav-copy puts recordings into archives."""

    def __init__(self, path: str, offset: int, where: str) -> None:
        _check_file(path, where, offset)
        self.offset = offset
        self.stream = open(path, "rb")  # noqa: SIM115 (closed with this object)
        self.stream.seek(offset)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        return self.stream.readinto(buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.stream.seek(offset + (self.offset if whence == os.SEEK_SET else 0), whence) - self.offset

    def tell(self) -> int:
        return self.stream.tell() - self.offset

    def close(self) -> None:
        self.stream.close()
        super().close()


def _check_file(name: str, where: str, offset: int = 0) -> None:
    """Refuse a file that cannot be read, has nothing at `offset`, or fewer samples than its wav header says."""
    try:
        size = os.stat(name).st_size - offset
        with open(name, "rb") as stream:
            stream.seek(offset)
            start = stream.read(4096)
    except OSError as error:
        raise AudioError(f"{where}: cannot be read: {error.strerror}; {RESTORE}") from error
    except ValueError as error:  # a NUL within the name
        raise AudioError(f"{where!r}: cannot be read: {error}; correct the name in wav.scp") from error
    if size <= 0:
        raise AudioError(f"{where}: {f'ends before byte {offset}' if offset else 'is an empty file'}; {RESTORE}")
    declared = _wav_size(start)
    if declared is not None and declared > size:
        raise AudioError(f"{where}: is truncated: {size} of {declared} bytes are there; {RESTORE}")


def _wav_size(start: bytes) -> int | None:
    """Bytes up to the end of the samples by the header of a wav file; libsndfile accepts a file that has fewer."""
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        return None
    position = 12
    while position + 8 <= len(start):
        (size,) = struct.unpack_from("<I", start, position + 4)
        if start[position : position + 4] == b"data":
            return None if size in STREAMED else position + 8 + size
        position += 8 + size + size % 2
    return None
