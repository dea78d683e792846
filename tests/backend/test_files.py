"""Vectors by key from tables, and means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.files import load_mean, load_vectors, mean_of
from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import write_array
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import VectorWriter


@pytest.fixture
def table(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    with VectorWriter(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
        for key, vector in zip("abcdef", x, strict=True):
            writer.write(key, vector)
    return tmp_path, x


@pytest.mark.parametrize("form", ["scp:{}/x.scp", "{}/x.scp", "ark:{}/x.ark", "{}/x.ark", "ark:cat {}/x.ark |"])
def test_vectors_come_in_the_order_asked_for(table, form):
    folder, x = table
    assert (load_vectors(form.format(folder), ["d", "a", "e"], "enrollment") == x[[3, 0, 4]]).all()


def test_absent_keys_are_counted(table):
    folder, _ = table
    message = r"no vector for 4 of 5 enrollment\(s\) of the trials: p, q, r, \.\.\. \(4 in all\); "
    with pytest.raises(DataError, match=message):
        load_vectors(f"{folder}/x.scp", ["p", "a", "q", "r", "s"], "enrollment")
    with pytest.raises(DataError, match="no vector for 1 of 1"):
        load_vectors(f"{folder}/x.scp", ["p"], "enrollment")


def test_vectors_of_two_kinds(tmp_path):
    with VectorWriter(f"ark:{tmp_path}/x.ark") as writer:
        writer.write("a", np.ones(3))
        writer.write("b", np.ones(4))
    for read in (lambda name: load_vectors(name, ["a", "b"], "enrollment"), mean_of):
        with pytest.raises(DataError, match=r"'b' has 4 values, 'a' has 3"):
            read(f"{tmp_path}/x.ark")


def test_rspecifiers():
    assert as_rspecifier("exp/x.scp") == "scp:exp/x.scp"
    assert as_rspecifier("x.ark") == "ark:x.ark"
    for already in ("scp:exp/x.scp", "ark,t:x.ark", "ark:cat x.ark |", "exp/x"):
        assert as_rspecifier(already) == already


def test_means(table):
    folder, x = table
    assert mean_of(f"{folder}/x.scp") == pytest.approx(x.astype(float).mean(axis=0))
    for text in (False, True):
        with open(folder / "mean.vec", "wb") as stream:
            write_array(stream, x[0], text)
        assert load_mean(f"{folder}/mean.vec") == pytest.approx(x[0])
    with VectorWriter(f"ark:{folder}/one.ark") as writer:
        writer.write("mean", x[2])
    assert (load_mean(f"{folder}/one.ark") == x[2]).all()


def test_what_is_no_mean(table):
    folder, x = table
    with pytest.raises(DataError, match="6 vectors, not one mean; --center-on"):
        load_mean(f"{folder}/x.scp")
    with open(folder / "matrix", "wb") as stream:
        write_array(stream, x)
    with pytest.raises(DataError, match="not a vector of finite values"):
        load_mean(f"{folder}/matrix")
    (folder / "cut").write_bytes((folder / "matrix").read_bytes()[:9])
    with pytest.raises(DataError, match="cut: "):
        load_mean(f"{folder}/cut")
    with pytest.raises(DataError, match="cannot be read"):
        load_mean(f"{folder}/absent.vec")
