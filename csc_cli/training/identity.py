"""Which utterances a training began with, kept small enough for each checkpoint."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from csc_cli.errors import some
from csc_cli.kaldi.datadir import DataDir


def digest(data: DataDir, surroundings: str = "") -> str:
    """A checksum of ids and speakers, wherever the recordings lie, and of what surrounds the talkers."""
    return hashlib.sha256(("\n".join(_lines(data)) + surroundings).encode()).hexdigest()


def fingerprints(data: DataDir) -> Tensor:
    """(N,) int64: the first eight bytes of the SHA-256 of each line of utt2spk."""
    sums = b"".join(hashlib.sha256(line.encode()).digest()[:8] for line in _lines(data))
    return torch.from_numpy(np.frombuffer(sums, "<i8").astype(np.int64))


def difference(old: Tensor, data: DataDir) -> str:
    """How the utterances differ from those whose fingerprints are given; another speaker makes another utterance."""
    own, before = fingerprints(data).numpy(), old.numpy()
    if np.array_equal(own, before):
        return "the same utterances, but other recordings of noise or rooms"
    new = [utterance.id for utterance, known in zip(data.utterances, np.isin(own, before), strict=True) if not known]
    gone = int((~np.isin(before, own)).sum())
    counts = f"{len(before)} utterances then, {len(own)} now"
    named = f"{len(new)} of them new or with another speaker ({some(new)})" if new else "none of them new"
    return f"{counts}, {named}, {gone} gone"


def _lines(data: DataDir) -> list[str]:
    return [f"{utterance.id} {utterance.speaker}" for utterance in data.utterances]
