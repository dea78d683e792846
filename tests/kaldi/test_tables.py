"""Arks and scps: against kaldiio both ways, against what Kaldi wrote, and damaged in every way."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import (
    VectorWriter,
    read_arrays,
    read_ints,
    read_vectors,
    read_vectors_dict,
    stack_vectors,
    write_ints,
)


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


def test_ranges_of_an_scp_include_both_ends(tmp_path: Path) -> None:
    write(f"ark:{tmp_path}/a.ark", {"k": np.arange(10.0)})
    for span, expected in {"2:4": [2, 3, 4], ":": list(range(10)), "0:0": [0]}.items():
        (tmp_path / "a.scp").write_text(f"k {tmp_path}/a.ark:2[{span}]\n")
        assert read_vectors_dict(f"scp:{tmp_path}/a.scp")["k"].tolist() == expected
    for span in ("4:2", "3", "1:2,3:4", "1:2:3"):
        (tmp_path / "a.scp").write_text(f"k {tmp_path}/a.ark:2[{span}]\n")
        with pytest.raises(DataError, match=r"a.scp:1: .*range"):
            read_vectors_dict(f"scp:{tmp_path}/a.scp")


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


def test_many_archives_by_one_scp(tmp_path: Path) -> None:
    table = vectors(60)
    for number, (key, vector) in enumerate(table.items()):
        write(f"ark:{tmp_path}/{number % 40}.{number // 40}.ark", {key: vector})
    rows = [f"{key} {tmp_path}/{n % 40}.{n // 40}.ark:{len(key) + 1}\n" for n, key in enumerate(table)]
    (tmp_path / "a.scp").write_text("".join(rows))
    assert_same_bits(read_vectors_dict(f"scp:{tmp_path}/a.scp"), table)


@pytest.mark.parametrize("kind", ["ark", "scp"])
def test_a_key_given_twice_is_refused(tmp_path: Path, kind: str) -> None:
    for name in ("a", "b"):
        write(f"ark,scp:{tmp_path}/{name}.ark,{tmp_path}/{name}.scp", {"x": np.ones(2), name: np.ones(2)})
    for end in ("ark", "scp"):
        both = (tmp_path / f"a.{end}").read_bytes() + (tmp_path / f"b.{end}").read_bytes()
        (tmp_path / f"both.{end}").write_bytes(both)
    with pytest.raises(DataError, match="'x' stands in it twice"):
        list(read_vectors(f"{kind}:{tmp_path}/both.{kind}"))
    with pytest.raises(DataError, match="'a' is written twice"), VectorWriter(f"ark:{tmp_path}/c.ark") as writer:
        writer.write("a", np.ones(2))
        writer.write("a", np.ones(2))
    assert not (tmp_path / "c.ark").exists()


class Bomb:
    def __reduce__(self) -> tuple:
        return (Path("/nonexistent/csc-was-unpickled").touch, ())


@pytest.mark.parametrize("kind", ["ark", "scp"])
def test_pickles_are_refused_unread(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.ark").write_bytes(b"x PKL" + pickle.dumps(Bomb()))
    (tmp_path / "a.scp").write_text(f"x {tmp_path}/a.ark:2\n")
    with pytest.raises(DataError, match="a pickle, which could run code"):
        list(read_arrays(f"{kind}:{tmp_path}/a.{kind}"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"a", "where an entry should begin"),
        (b"\xff\xfe ", "where an entry should begin"),
        (b"x" * 10000, "where an entry should begin"),
        (b"utt1\nutt2 [ 1 ]\n", "where an entry should begin"),
        (b"a ", "'a': ends before its value"),
        (b"a \0BFV \4\3\0\0\0\0\0", "'a': truncated: 2 of 12 bytes"),
        (b"a \0BFV \4\xff\xff\xff\xff", "'a': a size of -1"),
        (b"a \0BFV \4\xff\xff\xff\x7f1234", "'a': truncated: 4 of 8589934588 bytes"),
        (b"a \0BFM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f", "'a': truncated: 0 of"),
        (b"a \0BFV \3\3\0\0\0", "'a': a size of 3"),
        (b"a \0BXX \4\3\0\0\0", "the type b'XX' is no vector"),
        (b"a \0BCM " + b"\0" * 8 + b"\xff\xff\xff\x7f\xff\xff\xff\x7f", "'a': truncated"),
        (b"a \0BFV \4\0\0\0\0", "'a' is 0, not a vector"),
        (b"a \0BFM \4\1\0\0\0\4\1\0\0\0" + b"\0" * 4, "'a' is 1 x 1, not a vector"),
        (b"a \0BFV \4\1\0\0\0\0\0\xc0\x7f", "'a' has values that are not finite"),
        (b"a  [ 1 2\n", "'a': truncated: no ']'"),
        (b"a  [ 1 x ]\n", "'a': could not convert"),
        (b"a  [ 1 2 ] 3\n", "'a': is no text vector"),
        (b"a  [\n 1 2\n 3 ]\n", "'a': rows of unequal length"),
        (b"a  [ ]\n", "'a' is 0, not a vector"),
        (b"a  [ 1 nan ]\n", "'a' has values that are not finite"),
        (b"a RIFF....", "'a': holds audio"),
        (b"a fLaC....", "'a': holds audio"),
        (b"a AUDIO1234", "'a': holds audio"),
        (b"a NPY1234", "'a': holds an array of numpy's"),
        (b"a \x1f\x8b\x08\0", "'a': is compressed by gzip"),
        (b"a \0B\4\1\0\0\0\4\1\0\0\0", "'a': holds whole numbers"),
        (b"a  [ 1_0 ]\n", "'a': could not convert"),
    ],
)
def test_a_damaged_ark_is_one_clear_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.ark").write_bytes(data)
    with pytest.raises(DataError) as error:
        list(read_vectors(f"ark:{tmp_path}/a.ark"))
    assert message in str(error.value) and f"{tmp_path}/a.ark" in str(error.value)
    assert ";" in str(error.value) and "\n" not in str(error.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_gives_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    text = data.draw(st.booleans())
    write(f"ark{',t' if text else ''}:{folder}/a.ark", vectors(3, 4))
    content = bytearray((folder / "a.ark").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (folder / "a.ark").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        list(read_vectors(f"ark:{folder}/a.ark"))
    except DataError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b", "a.scp:2: not 'KEY FILE:OFFSET'"),
        ("b none.ark:5", "a.scp:2: none.ark: cannot be read: No such file"),
        ("b a.ark:3", "a.scp:2: a.ark:3: "),
        ("b a.ark:9999", "a.scp:2: a.ark:9999: ends before its value"),
        ("b exit 7 |", "a.scp:2: 'exit 7' ended with status 7"),
    ],
)
def test_a_bad_line_of_an_scp_is_named(
    tmp_path: Path, line: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write("ark:a.ark", {"a": np.ones(3)})
    (tmp_path / "a.scp").write_text(f"a a.ark:2\n{line}\nc a.ark:2\n")
    with pytest.raises(DataError) as error:
        list(read_vectors("scp:a.scp"))
    assert str(error.value).startswith(message)
    if ":" in line:  # skipping must be asked for, and is counted
        assert list(read_vectors_dict("scp,p:a.scp")) == ["a", "c"]
        assert "1 entries could not be read" in capsys.readouterr().err


def test_stack_asks_for_equal_dimensions(tmp_path: Path) -> None:
    write(f"ark:{tmp_path}/a.ark", {"a": np.ones(3), "b": np.ones(2)})
    with pytest.raises(DataError, match="'b' has 2 values, 'a' has 3"):
        stack_vectors(f"ark:{tmp_path}/a.ark")


@pytest.mark.parametrize(
    ("key", "vector", "message"),
    [
        ("a b", [1.0], "cannot be a key"),
        ("", [1.0], "cannot be a key"),
        ("a", [], "shape"),
        ("a", [[1.0]], "shape"),
        ("a", [np.nan], "not finite"),
        ("a", [np.inf], "not finite"),
    ],
)
def test_what_must_not_be_written(tmp_path: Path, key: str, vector: list, message: str) -> None:
    with pytest.raises(DataError, match=message), VectorWriter(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        writer.write("sound", np.ones(1))
        writer.write(key, np.array(vector))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["ark", "ark,t"])
def test_whole_numbers(tmp_path: Path, form: str) -> None:
    table = {"b": 3, "a": -70000, "c": 0}
    write_ints(f"{form}:{tmp_path}/n", table)
    assert list(read_ints(f"{form}:{tmp_path}/n").items()) == sorted(table.items())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"a 1\na 2\n", "'a' stands in it twice"),
        (b"a 1.5\n", "'1.5' is no whole number"),
        (b"a \n", "'' is no whole number"),
        (b"a \0B\4\1", "no whole number"),
    ],
)
def test_damaged_whole_numbers(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "n").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_ints(f"ark:{tmp_path}/n")
