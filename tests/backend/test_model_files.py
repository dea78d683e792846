"""Kaldi's files of models: byte for byte, and damaged at every place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.model_files import read_matrix, read_plda, write_array_file, write_plda
from csc_cli.backend.plda import Plda
from csc_cli.errors import DataError
from csc_cli.kaldi.objects import read_array_file


@pytest.mark.parametrize("name", ["plda", "plda.adapted", "plda.lda16"])
def test_kaldis_models_copied_are_the_same_bytes(reference: Path, tmp_path: Path, name: str) -> None:
    write_plda(f"{tmp_path}/copy", read_plda(name))
    assert (tmp_path / "copy").read_bytes() == (reference / name).read_bytes()


def test_text_as_kaldi_writes_it(reference: Path, tmp_path: Path) -> None:
    """The same words in the same places; the numbers are Kaldi's before it cuts them to seven digits."""
    write_plda(f"{tmp_path}/copy", read_plda("plda"), binary=False)
    ours, kaldi = ((path / name).read_text() for path, name in ((tmp_path, "copy"), (reference, "plda.txt")))
    assert [line.split(" ")[0] for line in ours.split("\n")] == [line.split(" ")[0] for line in kaldi.split("\n")]
    for a, b in zip(ours.split(), kaldi.split(), strict=True):
        assert a == b or float(a) == pytest.approx(float(b), rel=1e-6)
    again, plda = read_plda(f"{tmp_path}/copy"), read_plda("plda")
    assert all((getattr(again, part) == getattr(plda, part)).all() for part in ("mean_", "transform_", "psi_"))


def test_matrices_copied_are_the_same_bytes(reference: Path, tmp_path: Path) -> None:
    write_array_file(f"{tmp_path}/lda.mat", read_array_file("lda.mat"))
    assert (tmp_path / "lda.mat").read_bytes() == (reference / "lda.mat").read_bytes()
    assert read_matrix("lda.mat").shape == (16, 25)


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "plda"
    write_plda(str(path), Plda.of([1.0, 2], [[2.0, 1], [0, 1]], [3.0, 1]))
    return path, path.read_bytes()


@pytest.mark.parametrize("binary", [True, False])
def test_cut_at_every_place(small: tuple[Path, bytes], binary: bool) -> None:
    path, _ = small
    write_plda(str(path), read_plda(str(path)), binary=binary)
    data = path.read_bytes().rstrip()
    for size in range(len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(DataError, match=r"plda: .*; "):
            read_plda(str(path))


def test_any_byte_damaged(small: tuple[Path, bytes]) -> None:
    """It is refused, or it is a model of other numbers; never another error."""
    path, data = small
    refused = 0
    for place in range(len(data)):
        for change in (0xFF, 0x01, 0x80):
            path.write_bytes(data[:place] + bytes([data[place] ^ change]) + data[place + 1 :])
            try:
                read = read_plda(str(path))
            except DataError as error:
                refused += 1
                assert str(error).startswith(f"{path}: ")
            else:
                assert np.isfinite(read.transform_).all() and read.mean_.shape == (2,) and (read.psi_ >= 0).all()
    assert refused > 3 * 40  # tokens, types and sizes


def test_what_is_no_model(reference: Path, tmp_path: Path) -> None:
    for name in ("lda.mat", "mean.vec", "train.ark", "trials"):
        with pytest.raises(DataError, match=f"^{name}: "):
            read_plda(name)
    with pytest.raises(DataError, match=r"mean.vec: is not a matrix"):
        read_matrix("mean.vec")
    with pytest.raises(DataError, match="cannot be read"):
        read_plda(str(tmp_path / "none"))
