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


ROWS = [f"spk{i} utt{i % 3}" for i in range(6)]
LISTS = {
    "trials": (read_trials, "".join(f"{row} {'non' * (i % 2)}target\n" for i, row in enumerate(ROWS)).encode()),
    "scores": (read_scores, "".join(f"{row} {i / 7:.9g}\n" for i, row in enumerate(ROWS)).encode()),
}


def model(path: Path, kind: str, binary: bool) -> Callable[[str], object]:
    """Write a small PLDA, LDA transform or mean; returns what reads it."""
    if kind == "plda":
        write_plda(str(path), Plda.of([1.0, 2], [[2.0, 1], [0, 1]], [3.0, 1]), binary=binary)
        return read_plda
    write_array_file(str(path), np.ones((2, 3) if kind == "lda" else 3), binary=binary)
    return read_matrix if kind == "lda" else load_mean


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("kind", ["plda", "lda", "mean"])
def test_a_model_cut_off_anywhere_is_refused(tmp_path: Path, kind: str, binary: bool) -> None:
    reader = model(tmp_path / "file", kind, binary)
    whole = (tmp_path / "file").read_bytes()
    for end in range(len(whole if binary else whole.rstrip())):
        assert read(reader, tmp_path / "file", whole[:end]) is None, end


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_cut_off_anywhere_is_refused_or_has_the_lines_that_are_left(tmp_path: Path, kind: str) -> None:
    reader, whole = LISTS[kind]
    assert read(reader, tmp_path / "file", b"") is None
    for end in range(whole.index(b"\n"), len(whole)):  # the first line says how many columns there are
        pairs = read(reader, tmp_path / "file", whole[:end])
        last = whole[:end].split(b"\n")[-1]
        if pairs is not None:
            assert (
                list(zip(pairs.enroll, pairs.test, strict=True))
                == [  # type: ignore[attr-defined]
                    tuple(row.split())
                    for row in ROWS[: len(pairs)]  # type: ignore[arg-type]
                ]
            )
        else:  # a line that is not whole; but a score that has lost digits is one all the same
            assert last and (len(last.split()) < 3 or kind == "trials")


KINDS = [(kind, binary) for kind in ("plda", "lda", "mean") for binary in (True, False)]


@pytest.mark.parametrize(("kind", "binary"), [*KINDS, *((kind, False) for kind in LISTS)])
def test_one_byte_changed_anywhere(tmp_path: Path, kind: str, binary: bool) -> None:
    if kind in LISTS:
        reader, whole = LISTS[kind]
    else:
        reader = model(tmp_path / "file", kind, binary)
        whole = (tmp_path / "file").read_bytes()
    for place in range(len(whole)):
        for value in (0, 10, 32, 120, 255, whole[place] ^ 1):
            read(reader, tmp_path / "file", changed(whole, [(place, value)]))


@pytest.mark.parametrize("kind", ["plda", "lda", "trials"])
def test_what_is_damaged_leaves_no_scores(tmp_path: Path, csc, table, kind: str) -> None:
    """A file of the command cut off anywhere: status 1, a line, and what was written before stays as it was."""
    draw = np.random.default_rng(0)
    vectors = table("x", {name: draw.normal(size=3) for name in ("a", "b", "c")})
    (tmp_path / "trials").write_text("a b target\na c nontarget\n")
    write_plda(f"{tmp_path}/plda", Plda.of([1.0, 2], [[2.0, 1], [0, 1]], [3.0, 1]))
    write_array_file(f"{tmp_path}/lda", draw.normal(size=(2, 3)).astype(np.float32))
    whole = (tmp_path / kind).read_bytes()
    (tmp_path / "scores").write_text("as it was\n")
    for end in range(0, len(whole) - 1, 1 if kind == "trials" else 5):
        (tmp_path / kind).write_bytes(whole[:end])
        arguments = "--transform", tmp_path / "lda", tmp_path / "plda", tmp_path / "trials", vectors, vectors
        result = csc("score", "plda", *arguments, tmp_path / "scores", status=None)
        if kind == "trials" and result.exit_code == 0:
            # Whole lines are left: of two columns, or with the key.
            assert whole[:end].split() in ([b"a", b"b"], [b"a", b"b", b"target"])
            (tmp_path / "scores").write_text("as it was\n")
            continue
        assert result.exit_code == 1 and len(result.stderr.splitlines()) == 1, (end, result.stderr)
        assert (tmp_path / "scores").read_text() == "as it was\n"


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
