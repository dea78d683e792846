#!/usr/bin/env python3
"""Vectors of Resemblyzer, a pretrained speaker encoder (GE2E), in the place of `csc extract`.

Usage: resemblyzer_vectors.py DATA OUT

DATA is a Kaldi data directory; OUT gets xvector.{ark,scp} and spk_xvector.{ark,scp} (the mean over a speaker's
utterances). Resemblyzer's own way with a recording is kept: 16 kHz, its volume, long silences cut out. Where it finds
no speech at all, the recording is taken as it is. Needs `pip install resemblyzer "setuptools<81"`; its wheel has the
weights, of a training on thousands of speakers elsewhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from csc_cli.errors import CscError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.tables import VectorWriter
from csc_cli.progress import track

RATE = 16_000
SHORTEST = RATE // 10  # of what is left of a recording without its silences, in samples


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        from resemblyzer import VoiceEncoder
    except ImportError as error:
        sys.exit(f'Error: {error}; pip install resemblyzer "setuptools<81"')
    try:
        data = DataDir.load(sys.argv[1])
        encoder = VoiceEncoder("cpu", verbose=False)
        vectors = {item.id: embed(encoder, item) for item in track(data.utterances, "embedding")}
        speakers = {name: np.mean([vectors[id] for id in ids], axis=0) for name, ids in data.spk2utt.items()}
        out = Path(sys.argv[2])
        write(out, "xvector", vectors)
        write(out, "spk_xvector", speakers)
    except CscError as error:
        sys.exit(f"Error: {error}")


def embed(encoder: object, utterance: Utterance) -> np.ndarray:
    """The vector (256,) of an utterance, of unit length."""
    from resemblyzer import preprocess_wav

    samples, _ = read_audio(utterance, RATE)
    speech = preprocess_wav(samples.astype(np.float32))
    return encoder.embed_utterance(speech if len(speech) >= SHORTEST else samples)  # type: ignore[attr-defined]


def write(out: Path, name: str, vectors: dict[str, np.ndarray]) -> None:
    with VectorWriter(f"ark,scp:{out / name}.ark,{out / name}.scp") as writer:
        for key in sorted(vectors):
            writer.write(key, vectors[key].astype(np.float32))


if __name__ == "__main__":
    main()
