"""The parts of Kaldi's objects: real files of Kaldi's, a round trip, and damage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.objects import ObjectReader, ObjectWriter, read_array_file, reading_object, writing_object


def plda(path: Path) -> list[np.ndarray]:
    with reading_object(str(path)) as reader:
        reader.expect("<Plda>")
        parts = [reader.array() for _ in range(3)]
        reader.expect("</Plda>")
    return parts


@pytest.mark.parametrize("name", ["plda", "plda.adapted"])
def test_kaldis_plda_in_binary_and_in_text(shared: Path, name: str) -> None:
    folder = shared / "kaldi" / "reference"
    binary, text = plda(folder / name), plda(folder / f"{name}.txt")
    dim = len(binary[0])
    assert [part.shape for part in binary] == [(dim,), (dim, dim), (dim,)]
    for left, right in zip(binary, text, strict=True):
        assert left.dtype == right.dtype == np.float64
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_kaldis_files_of_one_array(shared: Path) -> None:
    folder = shared / "kaldi" / "reference"
    assert read_array_file(f"{folder}/mean.vec").shape == (24,)
    matrix = read_array_file(f"{folder}/lda.mat")
    assert matrix.shape[0] == 16
    assert np.array_equal(read_array_file(f"cat {folder}/lda.mat |"), matrix)


@pytest.mark.parametrize("binary", [True, False])
def test_what_is_written_is_read_back(tmp_path: Path, binary: bool) -> None:
    matrix = np.random.default_rng(0).standard_normal((3, 2))
    with writing_object(f"{tmp_path}/x", binary) as writer:
        writer.token("<Thing>")
        writer.integer(-7)
        writer.real(0.1)
        writer.array(matrix)
        writer.array(matrix[0])
        writer.token("</Thing>")
    with reading_object(f"{tmp_path}/x") as reader:
        assert reader.binary == binary
        reader.expect("<Thing>")
        assert (reader.integer(), reader.real()) == (-7, 0.1)
        assert reader.array().tolist() == matrix.tolist()
        assert reader.array().tolist() == matrix[0].tolist()
        assert reader.token() == "</Thing>"


@pytest.mark.parametrize(
    ("data", "method", "message"),
    [
        (b"<Other> 1", "expect", "'<Other>' stands where '<Thing>' should"),
        (b"\0B<Other> ", "expect", "'<Other>' stands where '<Thing>' should"),
        (b"", "token", "no token"),
        (b"\0B", "token", "truncated"),
        (b"\0B" + b"x" * 2000, "token", "no token"),
        (b"x", "integer", "'x' is not a whole number"),
        (b"1.5", "integer", "'1.5' is not a whole number"),
        (b"\0B\2\1\0", "integer", "2 bytes, not 4"),
        (b"\0B\4\1", "integer", "truncated"),
        (b"x", "real", "'x' is not a number"),
        (b"\0B\5", "real", "5 bytes, not 4 or 8"),
        (b"1 2", "array", "no vector or matrix"),
        (b"[ 1 2", "array", "no vector or matrix"),
        (b"[ 1 x ]", "array", "could not convert"),
        (b"\0BXX ", "array", "no vector or matrix of Kaldi's"),
        (b"\0BDV \4\xff\xff\xff\x7f", "array", "truncated"),
    ],
)
def test_damage_is_one_clear_error(data: bytes, method: str, message: str) -> None:
    reader = ObjectReader(io.BytesIO(data))
    with pytest.raises(DataError, match=message) as error:
        getattr(reader, method)(*(["<Thing>"] if method == "expect" else []))
    assert "\n" not in str(error.value) and ";" in str(error.value)


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"<Plda> ")
    with pytest.raises(DataError, match=f"^{tmp_path}/x: "), reading_object(f"{tmp_path}/x") as reader:
        reader.expect("<Other>")
    (tmp_path / "v").write_bytes(b" [ 1 nan ]\n")
    for name, message in (("v", "not finite"), ("x", "neither"), ("none", "cannot be read")):
        with pytest.raises(DataError, match=f"^{tmp_path}/{name}: .*{message}"):
            read_array_file(f"{tmp_path}/{name}")


def test_numbers_are_written_as_kaldi_writes_them() -> None:
    stream = io.BytesIO()
    writer = ObjectWriter(stream)
    writer.integer(3)
    writer.real(1.0)
    assert stream.getvalue() == b"\0B" + b"\4\3\0\0\0" + b"\x08\0\0\0\0\0\0\xf0\x3f"
