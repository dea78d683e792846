"""Recordings: any format of libsndfile, pipes, segments, channels; each error names its file."""

from __future__ import annotations

import io
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from csc_cli import dsp
from csc_cli.errors import AudioError
from csc_cli.files import atomic_path
from csc_cli.kaldi.specifiers import is_pipe, unwritable
from csc_cli.progress import note

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

OVERSHOOT_S = 0.5
"""A segment may end so much after its recording; it is then cut there (Kaldi's extract-segments does so)."""
PIECE = 1 << 22
UNKNOWN_LENGTH = 1 << 62
# What writers put in a wav header when they do not know the length.
STREAMED = (0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFF000)


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording's header says: Hz, frames, channels."""

    sample_rate: int
    frames: int
    channels: int


def read_audio(
    source: Utterance | str | Path, sample_rate: int | None = None, *, resample: bool = True
) -> tuple[np.ndarray, int]:
    """The samples of an utterance, or of a whole recording, and their rate.

    Args:
        source: an `Utterance`, a file, or a command that ends in `|`.
        sample_rate: Hz wanted; None takes the recording's own.
        resample: whether another rate is converted or refused.

    Returns:
        float32 (T,) in [-1, 1] for fixed-point files, T > 0, all finite; and its rate in Hz.

    Raises:
        AudioError: names the file and says what to do, for one that is missing, empty, truncated,
            no audio, not finite, of another rate (where refused), or shorter than its segment.
    """
    where = _where(source)
    with _opened(source) as stream:
        rate = stream.samplerate
        if sample_rate is not None and rate != sample_rate and not resample:
            raise AudioError(f"{where}: is at {rate} Hz, not {sample_rate} Hz; resample it, or allow resampling")
        start, stop = _span(source, _header(stream), where)
        samples = _read(stream, start, stop, where)
    samples = _one_channel(samples, source, where)
    if not np.isfinite(samples).all():
        raise AudioError(f"{where}: has samples that are not finite; convert the recording again")
    if sample_rate is not None and rate != sample_rate:
        return dsp.resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def read_header(source: Utterance | str | Path) -> Header:
    """Rate, frames and channels of the whole recording, from its header. Errors as `read_audio`."""
    with _opened(source) as stream:
        return _header(stream)


def duration_s(source: Utterance | str | Path) -> float:
    """Seconds of the utterance or recording, from its header. Errors as `read_audio`."""
    header = read_header(source)
    start, stop = _span(source, header, _where(source))
    return (stop - start) / header.sample_rate


def length_samples(source: Utterance | str | Path, sample_rate: int) -> int:
    """The number of samples that `read_audio(source, sample_rate)` gives, from the header."""
    header = read_header(source)
    start, stop = _span(source, header, _where(source))
    return dsp.resampled_length(stop - start, header.sample_rate, sample_rate)


def _where(source: Utterance | str | Path) -> str:
    if isinstance(source, (str, Path)):
        return f"'{source}'" if is_pipe(str(source)) else str(source)
    return f"utterance '{source.id}': {_where(source.recording)}"


@contextmanager
def _opened(source: Utterance | str | Path) -> Iterator[soundfile.SoundFile]:
    name = str(source) if isinstance(source, (str, Path)) else source.recording
    where = _where(source)
    data: io.BytesIO | str = io.BytesIO(_output_of(name, where)) if is_pipe(name) else name
    if isinstance(data, str):
        _check_file(data, where)
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


def _output_of(command: str, where: str) -> bytes:
    result = subprocess.run(command.removesuffix("|"), shell=True, capture_output=True)
    if result.returncode or not result.stdout:
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()
        why = f"status {result.returncode}" + (f", '{said[-1]}'" if said else "")
        raise AudioError(f"{where}: the command gives no audio ({why}); run it by itself to see why")
    return result.stdout


def _check_file(name: str, where: str) -> None:
    try:
        size = os.stat(name).st_size
        with open(name, "rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        raise AudioError(f"{where}: cannot be read: {error.strerror}; restore it or remove it from wav.scp") from error
    if not size:
        raise AudioError(f"{where}: is an empty file; restore it or remove it from wav.scp")
    declared = _wav_size(start)
    if declared is not None and declared > size:
        message = f"is truncated: {size} of {declared} bytes are there"
        raise AudioError(f"{where}: {message}; restore it or remove it from wav.scp")


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


def _header(stream: soundfile.SoundFile) -> Header:
    return Header(stream.samplerate, stream.frames, stream.channels)


def _span(source: Utterance | str | Path, header: Header, where: str) -> tuple[int, int]:
    """First frame and the frame after the last."""
    if not header.frames:
        raise AudioError(f"{where}: has no samples; restore it or remove it from wav.scp")
    if isinstance(source, (str, Path)) or (source.start_s == 0 and source.end_s is None):
        return 0, header.frames
    seconds = header.frames / header.sample_rate
    end_s = seconds if source.end_s is None else source.end_s
    if source.start_s >= seconds or end_s > seconds + OVERSHOOT_S:
        message = f"the segment {source.start_s:g} to {end_s:g} s lies outside the recording of {seconds:.3f} s"
        raise AudioError(f"{where}: {message}; correct segments")
    start = min(round(source.start_s * header.sample_rate), header.frames)
    stop = min(round(end_s * header.sample_rate), header.frames)
    if start >= stop:
        raise AudioError(f"{where}: the segment {source.start_s:g} to {end_s:g} s has no samples; correct segments")
    return start, stop


def _read(stream: soundfile.SoundFile, start: int, stop: int, where: str) -> np.ndarray:
    """Frames (T, channels), in pieces, so that a damaged header cannot make us allocate what is not there."""
    pieces: list[np.ndarray] = []
    try:
        if start:
            stream.seek(start)
        left = stop - start
        while left > 0:
            piece = stream.read(min(left, PIECE), dtype="float32", always_2d=True)
            if not len(piece):
                break
            pieces.append(piece)
            left -= len(piece)
    except soundfile.LibsndfileError as error:
        message = error.error_string.strip().rstrip(".")
        raise AudioError(f"{where}: is damaged or truncated ({message}); restore it or remove it") from error
    read = sum(map(len, pieces))
    if not read or (read < stop - start and stop < UNKNOWN_LENGTH):
        raise AudioError(f"{where}: is truncated: {read} of {stop - start} samples are there; restore it or remove it")
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _one_channel(samples: np.ndarray, source: Utterance | str | Path, where: str) -> np.ndarray:
    channels = samples.shape[1]
    channel = 0 if channels == 1 or isinstance(source, (str, Path)) else source.channel
    if channel >= channels:
        raise AudioError(f"{where}: has {channels} channels, no channel {channel + 1}; correct reco2file_and_channel")
    return np.ascontiguousarray(samples[:, channel])


def write_audio(
    path: str | Path, samples: np.ndarray, sample_rate: int, *, subtype: str = "PCM_16", clip: bool = False
) -> None:
    """Write mono `samples` (T,), whole or not at all, in the format that the name's ending says.

    PCM_16 holds what `read_audio` gives of a 16-bit file without a change of a bit.

    Args:
        subtype: of libsndfile, such as PCM_16, PCM_24, FLOAT.
        clip: whether samples beyond [-1, 1] are clipped, with a note, or refused.

    Raises:
        AudioError: no samples, samples not finite, or beyond full scale and not to be clipped; a
            format that does not exist; a file that cannot be written.
    """
    samples = np.asarray(samples, dtype=np.float32)
    kind = Path(path).suffix[1:].upper()
    if not soundfile.check_format(kind, subtype):
        raise AudioError(
            f"{path}: there is no '{kind}' with {subtype}; end the name in .wav or .flac, or choose PCM_16"
        )
    _check_samples(samples, path)
    if subtype.startswith("PCM"):
        _check_clipping(samples, path, clip)
    data = samples
    if subtype == "PCM_16":
        # By ourselves: libsndfile multiplies by 32767 but divides by 32768.
        data = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767).astype(np.int16)
    try:
        with atomic_path(path) as temporary:
            soundfile.write(temporary, data, sample_rate, subtype=subtype, format=kind)
    except OSError as error:
        raise AudioError(str(unwritable(path, error))) from error
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path}: cannot be written: {error.error_string}; free space or choose another place"
        ) from error


def _check_samples(samples: np.ndarray, path: str | Path) -> None:
    if samples.ndim != 1 or not samples.size:
        raise AudioError(f"{path}: an array of shape {samples.shape} is no mono recording; give samples (T,)")
    if not np.isfinite(samples).all():
        raise AudioError(f"{path}: there are samples that are not finite; look at what made them")


def _check_clipping(samples: np.ndarray, path: str | Path, clip: bool) -> None:
    over = np.count_nonzero(np.abs(samples) > 1.0)
    if over and not clip:
        peak = float(np.abs(samples).max())
        raise AudioError(f"{path}: {over} samples beyond full scale (peak {peak:.3g}); lower the level or write FLOAT")
    if over:
        note(f"{path}: {over} samples clipped")
