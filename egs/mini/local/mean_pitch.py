#!/usr/bin/env python3
"""Mean pitch alone as a speaker embedding: what voices made apart by pitch would be verified by.

Usage: mean_pitch.py DATA OUT

Writes what `csc extract` writes (xvector.{ark,scp}, spk_xvector.{ark,scp}, num_utts.ark), so that
`csc score cosine` can score it. An utterance's mean log F0 becomes an angle in a quarter turn, so the
cosine of two vectors falls with the difference of the two means and with nothing else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from csc_cli.errors import CscError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import VectorWriter, write_ints
from csc_cli.progress import track

SAMPLE_RATE = 8000
LOWEST_HZ, HIGHEST_HZ = 55.0, 400.0
FRAME, HOP, SIZE = 400, 80, 1024  # samples; the FFT holds twice a frame, so that nothing wraps around
FINE = 4  # lags a sample: a period between two samples would seem a lesser peak than its double
VOICED = 0.6  # least normalised autocorrelation at the period
NEARLY = 0.95  # of the highest peak: the first one as high as this is the period, not a multiple of it
HALF_OCTAVE = np.log(2) / 2


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        write_embeddings(DataDir.load(sys.argv[1]), Path(sys.argv[2]))
    except CscError as error:
        sys.exit(f"Error: {error}")


def write_embeddings(data: DataDir, out: Path) -> None:
    """One vector an utterance and one a speaker (the mean of the speaker's, made unit length)."""
    vectors = {}
    for utterance in track(data.utterances, "mean pitch", len(data.utterances)):
        samples, _ = read_audio(utterance, SAMPLE_RATE)
        vectors[utterance.id] = embed(mean_log_f0(samples))
    out.mkdir(parents=True, exist_ok=True)
    with VectorWriter(f"ark,scp:{out}/xvector.ark,{out}/xvector.scp") as writer:
        for key, vector in vectors.items():
            writer.write(key, vector)
    with VectorWriter(f"ark,scp:{out}/spk_xvector.ark,{out}/spk_xvector.scp") as writer:
        for speaker, utterances in data.spk2utt.items():
            mean = np.mean([vectors[key] for key in utterances], axis=0)
            writer.write(speaker, mean / np.linalg.norm(mean))
    write_ints(f"ark,t:{out}/num_utts.ark", {speaker: len(own) for speaker, own in data.spk2utt.items()})


def embed(log_f0: float) -> np.ndarray:
    """(2,) float32 of unit length, in the first quadrant."""
    lowest, highest = np.log(LOWEST_HZ), np.log(HIGHEST_HZ)
    angle = np.pi / 2 * (np.clip(log_f0, lowest, highest) - lowest) / (highest - lowest)
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def mean_log_f0(samples: np.ndarray) -> float:
    """Mean over the voiced frames, within half an octave of their median, of the log of F0 in Hz.

    F0 from the autocorrelation of a windowed frame over that of the window (Boersma 1993); `samples` (T,) at 8 kHz.
    The middle of the range where no frame is voiced.
    """
    samples = np.pad(samples, (0, max(0, FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP].astype(np.float64)
    frames = frames - frames.mean(axis=1, keepdims=True)
    window = np.hanning(FRAME)
    first, last = int(FINE * SAMPLE_RATE / HIGHEST_HZ), int(FINE * SAMPLE_RATE / LOWEST_HZ) + 1
    power = autocorrelation(frames * window)
    shape = autocorrelation(window)
    relative = power / np.maximum(power[:, :1], 1e-12) / (shape / shape[0])
    around = relative[:, first - 1 : last + 2]
    middle = around[:, 1:-1]
    highest = middle.max(axis=1)
    is_peak = (middle >= around[:, :-2]) & (middle > around[:, 2:]) & (middle >= NEARLY * highest[:, None])
    voiced = (highest > VOICED) & is_peak.any(axis=1) & (power[:, 0] > 1e-3 * power[:, 0].max())
    if not voiced.any():
        return float(np.log(LOWEST_HZ * HIGHEST_HZ) / 2)
    period = first + np.argmax(is_peak[voiced], axis=1)
    log_f0 = np.log(FINE * SAMPLE_RATE / period)
    return float(np.mean(log_f0[np.abs(log_f0 - np.median(log_f0)) < HALF_OCTAVE]))


def autocorrelation(frames: np.ndarray) -> np.ndarray:
    """Of each frame (..., FRAME), at lags of 1 / FINE sample from 0 to beyond the longest period."""
    return np.fft.irfft(np.abs(np.fft.rfft(frames, SIZE)) ** 2, FINE * SIZE)[..., : FINE * FRAME // 2]


if __name__ == "__main__":
    main()
