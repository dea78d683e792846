"""Damaged trials, scores, models and vectors: they are read, or refused with one clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csc_cli.backend.files import load_mean
from csc_cli.backend.model_files import read_matrix, read_plda, write_array_file, write_plda
from csc_cli.backend.plda import Plda
from csc_cli.backend.scoring import score_cosine, score_plda
from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import write_array
from csc_cli.kaldi.trials import read_scores, read_trials

FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(reader: Callable[[str], object], path: Path, data: bytes) -> object | None:
    """What is read, or None where it is refused: in one line that names the file, and no other error."""
    path.write_bytes(data)
    try:
        return reader(str(path))
    except DataError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        return None


def changed(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    """The bytes at some places (modulo the length) replaced."""
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(data)] = value
    return bytes(damaged)


CHANGES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4)


@FOLDER
@given(st.binary(max_size=200))
def test_any_bytes_as_pairs(tmp_path: Path, data: bytes) -> None:
    for reader in (read_trials, read_scores, lambda path: read_trials(path, "voxceleb")):
        pairs = read(reader, tmp_path / "file", data)
        if pairs is not None:
            assert len(pairs) == len(data.removesuffix(b"\n").split(b"\n"))  # type: ignore[arg-type]


@FOLDER
@given(CHANGES)
def test_damaged_pairs(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    rows = [f"spk{i} utt{i % 3}" for i in range(20)]
    for reader, data in (
        (read_trials, "".join(f"{row} {'non' * (i % 2)}target\n" for i, row in enumerate(rows))),
        (read_scores, "".join(f"{row} {i / 7:.9g}\n" for i, row in enumerate(rows))),
    ):
        pairs = read(reader, tmp_path / "file", changed(data.encode(), changes))
        if pairs is not None:
            assert all(pairs.enroll) and all(pairs.test)  # type: ignore[attr-defined]


@FOLDER
@given(CHANGES, st.booleans())
def test_damaged_models(tmp_path: Path, changes: list[tuple[int, int]], binary: bool) -> None:
    path = tmp_path / "file"
    write_plda(str(path), Plda.of([1.0, 2], [[2.0, 1], [0, 1]], [3.0, 1]), binary=binary)
    plda = read(read_plda, path, changed(path.read_bytes(), changes))
    if plda is not None:
        assert np.isfinite(plda.transform_).all() and (plda.psi_ >= 0).all()  # type: ignore[attr-defined]
    for reader, array in ((read_matrix, np.ones((2, 3))), (load_mean, np.ones(3))):
        write_array_file(str(path), array, binary=binary)
        values = read(reader, path, changed(path.read_bytes(), changes))
        assert values is None or np.isfinite(values).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_is_named(tmp_path: Path, bad: float) -> None:
    with open(tmp_path / "x.ark", "wb") as stream:
        for key, vector in (("a", [1.0, 2.0]), ("b", [1.0, bad]), ("c", [2.0, 1.0])):
            stream.write(f"{key} ".encode())
            write_array(stream, np.array(vector, np.float32))
    (tmp_path / "trials").write_text("a b\na c\n")
    name = f"{tmp_path}/x.ark"
    with pytest.raises(DataError, match="'b' has values that are not finite"):
        score_cosine(tmp_path / "trials", name, name, tmp_path / "scores")
    write_plda(f"{tmp_path}/plda", Plda.of(np.zeros(2), np.eye(2), np.ones(2)))
    with pytest.raises(DataError, match="'b' has values that are not finite"):
        score_plda(f"{tmp_path}/plda", tmp_path / "trials", name, name, tmp_path / "scores")
    assert not (tmp_path / "scores").exists()
