"""Tables of vectors, written, and compared bit by bit."""

from __future__ import annotations

import numpy as np

from csc_cli.kaldi.tables import VectorWriter


def vectors(count: int = 5, dim: int = 7, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Any bit patterns that are finite, subnormal numbers and -0 among them."""
    bits = np.random.default_rng(3).integers(0, 256, (count, dim * np.dtype(dtype).itemsize), dtype=np.uint8)
    values = np.where(np.isfinite(bits.view(dtype)), bits.view(dtype), 0).astype(dtype)
    values[0, :3] = [0, -0.0, np.finfo(dtype).smallest_subnormal]
    return {f"utt-{i}": row for i, row in enumerate(values)}


def write(wspecifier: str, table: dict[str, np.ndarray]) -> None:
    with VectorWriter(wspecifier) as writer:
        for key, vector in table.items():
            writer.write(key, vector)


def assert_same_bits(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert list(left) == list(right)
    for key in left:
        assert left[key].dtype == right[key].dtype
        assert left[key].tobytes() == right[key].tobytes(), key
