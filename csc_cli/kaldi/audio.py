"""Recordings: any format of libsndfile, pipes, segments, channels; each error names its file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from csc_cli import dsp
from csc_cli.errors import AudioError
from csc_cli.files import atomic_path
from csc_cli.kaldi.sources import RESTORE, opened, place_of
from csc_cli.kaldi.specifiers import is_pipe, unwritable
from csc_cli.progress import note

if TYPE_CHECKING:
    from csc_cli.kaldi.datadir import Utterance

OVERSHOOT_S = 0.5
"""A segment may end so much after its recording; it is then cut there (Kaldi's extract-segments does so)."""
PIECE = 1 << 22
UNKNOWN_LENGTH = 1 << 62
LOSSLESS = ("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW")  # FLAC is PCM


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
    where = place_of(source)
    with opened(source) as stream:
        rate = stream.samplerate
        if sample_rate is not None and rate != sample_rate and not resample:
            raise AudioError(f"{where}: is at {rate} Hz, not {sample_rate} Hz; resample it, or allow resampling")
        start, stop = _span(source, _header(stream), where)
        samples = _samples(stream, start, stop, _channel(source, stream.channels, where), where)
    if sample_rate is not None and rate != sample_rate:
        return dsp.resample(samples, rate, sample_rate), sample_rate
    return samples, rate


def read_part(utterance: Utterance, sample_rate: int, start: int, stop: int) -> np.ndarray | None:
    """Samples `start` to `stop` of an utterance, as `read_audio` would give them, without reading the others.

    None where that cannot be: the recording is of another rate than `sample_rate`, a command, or of a lossy format,
    whose samples depend on those before. Fewer samples where the utterance ends before `stop`.

    Raises:
        AudioError: as `read_audio`.
    """
    if is_pipe(utterance.recording):
        return None
    where = place_of(utterance)
    with opened(utterance) as stream:
        if stream.samplerate != sample_rate or not stream.subtype.startswith(LOSSLESS):
            return None
        begin, end = _span(utterance, _header(stream), where)
        channel = _channel(utterance, stream.channels, where)
        first, last = begin + start, min(begin + stop, end)
        if first >= last:
            return np.zeros(0, dtype=np.float32)
        return _samples(stream, first, last, channel, where)


def read_header(source: Utterance | str | Path) -> Header:
    """Rate, frames and channels of the whole recording, from its header. Errors as `read_audio`."""
    with opened(source) as stream:
        return _header(stream)


def scan(source: Utterance | str | Path) -> Header:
    """Read a whole recording to its end, all channels, holding a piece at a time; its header, with the frames
    that there are. Errors as `read_audio`."""
    where = place_of(source)
    with opened(source) as stream:
        header = _header(stream)
        _, stop = _span(source if isinstance(source, (str, Path)) else source.recording, header, where)
        frames = 0
        for piece in _pieces(stream, 0, stop, where):
            _check_finite(piece, where)
            frames += len(piece)
    return Header(header.sample_rate, frames, header.channels)


def check_fits(source: Utterance | str | Path, header: Header) -> None:
    """Raises AudioError where a recording with this header has no samples, or not the segment or channel asked for."""
    where = place_of(source)
    _span(source, header, where)
    _channel(source, header.channels, where)


def frames_of(source: Utterance | str | Path, header: Header) -> int:
    """Samples, at its own rate, of an utterance whose recording has this header. Errors as `check_fits`."""
    start, stop = _span(source, header, place_of(source))
    return stop - start


def duration_s(source: Utterance | str | Path) -> float:
    """Seconds of the utterance or recording, from its header. Errors as `read_audio`."""
    header = read_header(source)
    return frames_of(source, header) / header.sample_rate


def length_samples(source: Utterance | str | Path, sample_rate: int) -> int:
    """The number of samples that `read_audio(source, sample_rate)` gives, from the header."""
    header = read_header(source)
    return dsp.resampled_length(frames_of(source, header), header.sample_rate, sample_rate)


def _header(stream: soundfile.SoundFile) -> Header:
    return Header(stream.samplerate, stream.frames, stream.channels)


def _span(source: Utterance | str | Path, header: Header, where: str) -> tuple[int, int]:
    """First frame and the frame after the last."""
    if not header.frames:
        raise AudioError(f"{where}: has no samples; {RESTORE}")
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


def _pieces(stream: soundfile.SoundFile, start: int, stop: int, where: str) -> Iterator[np.ndarray]:
    """Frames (t, channels) from `start` to `stop`, in pieces, so that a damaged header cannot make us allocate
    what is not there."""
    read = 0
    try:
        if start:
            stream.seek(start)
        while read < stop - start:
            piece = stream.read(min(stop - start - read, PIECE), dtype="float32", always_2d=True)
            if not len(piece):
                break
            read += len(piece)
            yield piece
    except soundfile.LibsndfileError as error:
        message = error.error_string.strip().rstrip(".")
        raise AudioError(f"{where}: is damaged or truncated ({message}); restore it or remove it") from error
    if not read or (read < stop - start and stop < UNKNOWN_LENGTH):
        raise AudioError(f"{where}: is truncated: {read} of {stop - start} samples are there; restore it or remove it")


def _samples(stream: soundfile.SoundFile, start: int, stop: int, channel: int, where: str) -> np.ndarray:
    """The frames from `start` to `stop` of one channel (T,), all finite."""
    pieces = [np.ascontiguousarray(piece[:, channel]) for piece in _pieces(stream, start, stop, where)]
    samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    _check_finite(samples, where)
    return samples


def _check_finite(samples: np.ndarray, where: str) -> None:
    if not np.isfinite(samples).all():
        raise AudioError(f"{where}: has samples that are not finite; convert the recording again")


def _channel(source: Utterance | str | Path, channels: int, where: str) -> int:
    channel = 0 if channels == 1 or isinstance(source, (str, Path)) else source.channel
    if channel >= channels:
        raise AudioError(f"{where}: has {channels} channels, no channel {channel + 1}; correct reco2file_and_channel")
    return channel


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
    data = encode_audio(path, samples, sample_rate, subtype=subtype, clip=clip)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise AudioError(str(unwritable(path, error))) from error


def encode_audio(
    path: str | Path, samples: np.ndarray, sample_rate: int, *, subtype: str = "PCM_16", clip: bool = False
) -> bytes:
    """The bytes of the file that `write_audio` writes; its errors, but for those of the disk.

    In memory: libsndfile does not tell each failure of a disk when it closes a file.
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
    stream = io.BytesIO()
    try:
        soundfile.write(stream, data, sample_rate, subtype=subtype, format=kind)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: cannot be written: {error.error_string}; choose another format") from error
    return stream.getvalue()


def _check_samples(samples: np.ndarray, path: str | Path) -> None:
    if samples.ndim != 1 or not samples.size:
        raise AudioError(f"{path}: an array of shape {samples.shape} is no mono recording; give samples (T,)")
    if not np.isfinite([samples.min(), samples.max()]).all():  # NaN is the least and the most of anything
        raise AudioError(f"{path}: there are samples that are not finite; look at what made them")


def _check_clipping(samples: np.ndarray, path: str | Path, clip: bool) -> None:
    if samples.min() >= -1.0 and samples.max() <= 1.0:
        return
    over = np.count_nonzero(np.abs(samples) > 1.0)
    if not clip:
        peak = float(np.abs(samples).max())
        raise AudioError(f"{path}: {over} samples beyond full scale (peak {peak:.3g}); lower the level or write FLOAT")
    note(f"{path}: {over} samples clipped")
