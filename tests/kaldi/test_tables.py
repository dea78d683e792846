"""Arks and scps read and written: against kaldiio both ways, and against what Kaldi wrote."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import (
    MatrixWriter,
    VectorWriter,
    read_arrays,
    read_ints,
    read_matrices,
    read_vectors,
    read_vectors_dict,
    stack_vectors,
)
from tests.kaldi.conftest import assert_same_bits, vectors, write


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kaldiio_reads_what_csc_writes(tmp_path: Path, dtype: type) -> None:
    table = vectors(dtype=dtype)
    write(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp", table)
    assert_same_bits(dict(kaldiio.load_ark(f"{tmp_path}/a.ark")), table)
    assert_same_bits(dict(kaldiio.load_scp(f"{tmp_path}/a.scp").items()), table)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csc_reads_what_kaldiio_writes(tmp_path: Path, dtype: type) -> None:
    table = vectors(dtype=dtype)
    kaldiio.save_ark(f"{tmp_path}/a.ark", table, scp=f"{tmp_path}/a.scp")
    assert_same_bits(read_vectors_dict(f"ark:{tmp_path}/a.ark"), table)
    assert_same_bits(read_vectors_dict(f"scp:{tmp_path}/a.scp"), table)


def test_text_arks_keep_every_bit_both_ways(tmp_path: Path) -> None:
    table = vectors(200)
    write(f"ark,t:{tmp_path}/a.txt", table)
    assert_same_bits(read_vectors_dict(f"ark,t:{tmp_path}/a.txt"), table)
    assert_same_bits(dict(kaldiio.load_ark(f"{tmp_path}/a.txt")), table)
    kaldiio.save_ark(f"{tmp_path}/b.txt", table, text=True)
    assert_same_bits(read_vectors_dict(f"ark:{tmp_path}/b.txt"), table)


def test_text_with_scp_and_doubles(tmp_path: Path) -> None:
    write(f"ark,scp,t:{tmp_path}/a.txt,{tmp_path}/a.scp", vectors())
    assert_same_bits(read_vectors_dict(f"scp:{tmp_path}/a.scp"), vectors())
    value = {"a": np.array([1e-5, 1.0, 1e30, 0.1])}
    write(f"ark,t:{tmp_path}/d.txt", value)
    assert np.array_equal(read_vectors_dict(f"ark:{tmp_path}/d.txt")["a"], value["a"].astype(np.float32))


def test_integers_and_lists_become_float32(tmp_path: Path) -> None:
    with VectorWriter(f"ark:{tmp_path}/a.ark") as writer:
        writer.write("a", [1, 2])  # type: ignore[arg-type]
    assert_same_bits(read_vectors_dict(f"ark:{tmp_path}/a.ark"), {"a": np.array([1, 2], dtype=np.float32)})


@pytest.mark.parametrize("name", ["train", "enroll", "test", "adapt", "enroll_spk"])
def test_what_kaldi_wrote_is_read_as_kaldiio_reads_it(shared: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared / "kaldi" / "reference"
    known = dict(kaldiio.load_ark(str(folder / f"{name}.ark")))
    assert_same_bits(read_vectors_dict(f"ark:{folder}/{name}.ark"), known)
    # The scp names its ark relative to its own folder: from there, and from elsewhere.
    assert_same_bits(read_vectors_dict(f"scp:{folder}/{name}.scp"), known)
    monkeypatch.chdir(folder)
    assert_same_bits(read_vectors_dict(f"scp:{name}.scp"), known)


def test_kaldis_text_vectors_and_counts(shared: Path) -> None:
    folder = shared / "kaldi" / "reference"
    lines = (folder / "test.centred.txt").read_text().splitlines()
    known = {line.split()[0]: [float(word) for word in line.split()[2:-1]] for line in lines}
    keys, stacked = stack_vectors(f"ark:{folder}/test.centred.txt")
    assert keys == list(known)
    assert np.array_equal(stacked, np.array(list(known.values()), dtype=np.float32))
    counts = dict(line.split() for line in (folder / "enroll_num_utts.ark").read_text().splitlines())
    assert read_ints(f"ark,t:{folder}/enroll_num_utts.ark") == {key: int(value) for key, value in counts.items()}


def test_kaldis_matrices_in_text(shared: Path) -> None:
    folder = shared / "kaldi" / "reference"
    plain = dict(read_arrays(f"scp:{folder}/feats.scp"))
    text = dict(read_arrays(f"ark:{folder}/feats.txt.ark"))
    assert list(plain) == list(text)
    for key, matrix in plain.items():
        np.testing.assert_allclose(text[key], matrix, rtol=1e-6)


def test_an_ark_is_looked_for_from_the_working_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    write("ark:sub/a.ark", {"k": np.zeros(1)})
    (tmp_path / "sub" / "a.scp").write_text("k a.ark:2\n")
    assert read_vectors_dict("scp:sub/a.scp")["k"] == 0
    write("ark:a.ark", {"k": np.ones(1)})
    assert read_vectors_dict("scp:sub/a.scp")["k"] == 1


def test_pipes_and_standard_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = vectors()
    write(f"ark:| gzip > {tmp_path}/a.ark.gz", table)
    assert_same_bits(read_vectors_dict(f"ark:gunzip -c {tmp_path}/a.ark.gz |"), table)
    (tmp_path / "p.scp").write_text("".join(f"{key} tail -c +7 {tmp_path}/{key}.ark |\n" for key in table))
    for key, vector in table.items():
        write(f"ark:{tmp_path}/{key}.ark", {key: vector})
    assert_same_bits(read_vectors_dict(f"scp:{tmp_path}/p.scp"), table)
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    write("ark:-", table)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.getvalue())))
    assert_same_bits(read_vectors_dict("ark:-"), table)


def test_matrices(tmp_path: Path) -> None:
    table = {"a": np.ones((2, 3), np.float32), "b": np.zeros((1, 4))}
    for form in ("ark", "ark,t"):
        with MatrixWriter(f"{form}:{tmp_path}/m") as writer:
            for key, matrix in table.items():
                writer.write(key, matrix)
        known = table if form == "ark" else {key: matrix.astype(np.float32) for key, matrix in table.items()}
        assert_same_bits(dict(read_matrices(f"{form}:{tmp_path}/m")), known)
        assert_same_bits(dict(kaldiio.load_ark(f"{tmp_path}/m")), known)
    with pytest.raises(DataError, match="'a' is 2 x 3, not a vector"):
        list(read_vectors(f"ark:{tmp_path}/m"))
    write(f"ark:{tmp_path}/v", {"a": np.ones(3)})
    with pytest.raises(DataError, match="'a' is 3, not a matrix"):
        list(read_matrices(f"ark:{tmp_path}/v"))
    kaldiio.save_ark(f"{tmp_path}/n", {"a": np.full((2, 2), np.inf, np.float32)})
    with pytest.raises(DataError, match="'a' has values that are not finite"):
        list(read_matrices(f"ark:{tmp_path}/n"))
    (tmp_path / "t").write_text("a [ 1 2 ; 3 4 ]\nb []\n\n\tc\t[\n 1\n]\r\n")
    assert {key: value.tolist() for key, value in read_arrays(f"ark:{tmp_path}/t")} == {
        "a": [[1, 2], [3, 4]],
        "b": [],
        "c": [[1]],
    }


def test_file_names_of_any_bytes(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x82\xac"
    os.mkdir(folder)
    write(f"ark:{tmp_path}/a.ark", {"a": np.ones(3)})
    os.rename(f"{tmp_path}/a.ark", folder + b"/a b.ark")
    (tmp_path / "a.scp").write_bytes(b"a " + folder + b"/a b.ark:2\n")
    assert read_vectors_dict(f"scp:{tmp_path}/a.scp")["a"].tolist() == [1, 1, 1]
