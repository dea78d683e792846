"""The network on a batch of recordings: float32 and deterministic, arrays in and out.

Legend: B recordings, C streams, T samples at the model's rate, S segments, E dimensions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from csc_cli.nn.model import CscModel, SpeakerModel, load_model


class Output(NamedTuple):
    """What the network says of one recording."""

    separated: np.ndarray  # (C, T) float32, in the recording's scale
    noise: np.ndarray  # (T,) what no stream took; the recording is the sum of both
    vectors: np.ndarray  # (C, E) unit length
    segments: np.ndarray  # (C, S, E)


@lru_cache(maxsize=1)
def cached_model(directory: Path, device: str, identity: str) -> SpeakerModel:
    """The model of a directory, loaded once a process; `identity` is a checksum of what it holds."""
    return load_model(directory, device)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Let the same input give the same bytes: one thread a process, no TF32, no choice of algorithms by timing."""
    # The library of matrix products is deterministic with a workspace of fixed size alone.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, tf32 = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False), torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = tf32


def run(model: SpeakerModel, recordings: Sequence[np.ndarray], length: int) -> list[Output]:
    """The outputs of recordings of (T,) samples each, padded to `length`."""
    device = next(model.parameters()).device
    mixture = np.zeros((len(recordings), length), np.float32)
    for row, samples in enumerate(recordings):
        mixture[row, : len(samples)] = samples
    lengths = torch.tensor([max(1, len(samples)) for samples in recordings])
    with exact(device):
        encoded = model(torch.from_numpy(mixture).to(device), lengths.to(device))
        vectors = model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
    separated, noise, segments = (x.cpu().numpy() for x in (encoded.separated, encoded.noise, encoded.segments))
    unit, mask = vectors.cpu().numpy(), encoded.segment_mask.cpu().numpy()
    return [
        Output(separated[row, :, :length], noise[row, :length], unit[row], segments[row][:, mask[row]])
        for row, length in enumerate(map(len, recordings))
    ]


def read_out(model: SpeakerModel, segments: np.ndarray) -> np.ndarray:
    """One vector (E,) from segments (S, E) of any number of recordings; the query is their mean."""
    device = next(model.parameters()).device
    with exact(device):
        keys = torch.from_numpy(np.ascontiguousarray(segments)).to(device)
        mask = torch.ones(len(keys), dtype=torch.bool, device=device)
        return model.embed(keys.mean(0), keys, mask).cpu().numpy()


def attend(model: CscModel, segments: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `read_out`, with the weight of each segment: vector (E,), weights (heads, S) that add up to 1."""
    device = next(model.parameters()).device
    with exact(device):
        keys = torch.from_numpy(np.ascontiguousarray(segments)).to(device)
        read = model.readout(keys.mean(0), keys, torch.ones(len(keys), dtype=torch.bool, device=device))
        return read.vectors.cpu().numpy(), read.weights.cpu().numpy()
