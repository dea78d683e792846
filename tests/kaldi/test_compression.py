"""Compressed matrices: Kaldi's own bytes and values, both ways."""

from __future__ import annotations

import io
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import read_array, write_array
from csc_cli.kaldi.compression import METHODS
from csc_cli.kaldi.tables import read_arrays


@pytest.mark.parametrize("method", METHODS)
def test_kaldis_values_and_bytes(shared: Path, method: int) -> None:
    folder = shared / "kaldi" / "reference"
    unpacked = dict(read_arrays(f"ark:{folder}/feats.uncompressed{method}.ark"))
    packed = dict(read_arrays(f"ark:{folder}/feats.compressed{method}.ark"))
    assert list(packed) == list(unpacked)
    for key, matrix in unpacked.items():
        assert packed[key].dtype == matrix.dtype and packed[key].tobytes() == matrix.tobytes()
    ours = io.BytesIO()
    for key, matrix in read_arrays(f"ark:{folder}/feats.ark"):
        ours.write(key.encode() + b" ")
        write_array(ours, matrix, method=method)
    assert ours.getvalue() == (folder / f"feats.compressed{method}.ark").read_bytes()


def steps_apart(matrix: np.ndarray, method: int) -> np.ndarray:
    """How far apart two neighbouring values of the method lie at most, from Kaldi's description of it: (N, D)."""
    extent = float(matrix.max()) - float(matrix.min()) or 1.0 + abs(float(matrix.min()))
    fixed = {3: extent / 65535, 4: 1.0, 5: extent / 255, 6: 1.0, 7: 1 / 255}
    if method in fixed:
        return np.full(matrix.shape, fixed[method])
    if method == 1 and len(matrix) <= 8:
        return np.full(matrix.shape, extent / 65535)
    # Between the percentiles 64, 128 and 63 steps; a percentile itself is one of 65536 values.
    return np.broadcast_to((matrix.max(0) - matrix.min(0)) / 63 + 4 * extent / 65535, matrix.shape)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3), (3, 2), (4, 4), (5, 1), (8, 6), (9, 6), (200, 30)])
def test_any_shape_comes_back_within_a_step(method: int, shape: tuple[int, int]) -> None:
    draw = np.random.default_rng([method, *shape])
    matrix = draw.normal(0, [1 + 10 * column for column in range(shape[1])], shape).astype(np.float32)
    if method in (4, 6):
        matrix = np.abs(matrix).clip(0, 255)
    elif method == 7:
        matrix = draw.uniform(0, 1, shape).astype(np.float32)
    for value in (matrix, np.full(shape, 1, np.float32)):
        stream = io.BytesIO()
        assert write_array(stream, value, method=method) == stream.tell()
        stream.seek(0)
        back = read_array(stream)
        assert back.shape == shape and stream.read() == b""
        tolerance = 1e-6 * (1 + np.abs(value).max())
        assert (np.abs(back - value) <= steps_apart(value, method) + tolerance).all()
        stream.seek(0)
        loose = 0.01 if method == 4 else 1e-5 * np.abs(value).max()  # kaldiio rounds after adding -32768
        np.testing.assert_allclose(kaldiio.matio.read_kaldi(stream), back, rtol=1e-5, atol=loose)


def test_an_empty_matrix_is_not_compressed() -> None:
    stream = io.BytesIO()
    write_array(stream, np.zeros((0, 0), np.float32), method=2)
    stream.seek(0)
    assert read_array(stream).shape == (0, 0)


@pytest.mark.parametrize(
    ("matrix", "method", "message"),
    [
        (np.ones((2, 2)), 8, "method 8: Kaldi has 1 to 7"),
        (np.array([[1, np.nan]]), 2, "not finite"),
        (np.array([[1, np.inf]]), 3, "not finite"),
        (np.array([[-3e38, 3e38]], np.float32), 5, "range that float32 cannot hold"),
    ],
)
def test_what_cannot_be_compressed(matrix: np.ndarray, method: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write_array(io.BytesIO(), matrix, method=method)
