"""Arks and scps: against kaldiio both ways, against what Kaldi wrote, and damaged in every way."""

from __future__ import annotations

import io
import os
import pickle
import random as random_module
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
    MatrixWriter,
    VectorWriter,
    read_arrays,
    read_ints,
    read_matrices,
    read_vector_blocks,
    read_vectors,
    read_vectors_dict,
    stack_vectors,
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


@pytest.mark.parametrize(
    ("span", "rows", "columns"),
    [
        ("2:4", range(2, 5), range(6)),
        (":", range(10), range(6)),
        ("0:0,3:5", range(1), range(3, 6)),
        (":,1:1", range(10), range(1, 2)),
        (",2:3", range(10), range(2, 4)),
        ("8:", range(8, 10), range(6)),
        (":2,:", range(3), range(6)),
        ("7:12", range(7, 10), range(6)),  # three beyond the end: Kaldi's tolerance
    ],
)
def test_ranges_of_an_scp_include_both_ends(tmp_path: Path, span: str, rows: range, columns: range) -> None:
    matrix = np.arange(60.0, dtype=np.float32).reshape(10, 6)
    kaldiio.save_ark(f"{tmp_path}/m.ark", {"k": matrix})
    kaldiio.save_ark(f"{tmp_path}/c.ark", {"k": matrix}, compression_method=2)
    write(f"ark:{tmp_path}/v.ark", {"k": np.arange(10.0)})
    for name, whole in (("m", matrix), ("c", next(read_matrices(f"ark:{tmp_path}/c.ark"))[1]), ("v", np.arange(10.0))):
        (tmp_path / "a.scp").write_text(f"k {tmp_path}/{name}.ark:2[{span}]\n")
        if name != "v":
            assert np.array_equal(dict(read_arrays(f"scp:{tmp_path}/a.scp"))["k"], whole[np.ix_(rows, columns)])
        elif "," not in span:
            assert dict(read_arrays(f"scp:{tmp_path}/a.scp"))["k"].tolist() == list(rows)


@pytest.mark.parametrize(
    "span", ["4:2", "3", "1:2:3", "10:10", "0:13", "0:1,0:6", "0:1,0:1,0:1", "0:1,3", "99999999999999999999:"]
)
def test_ranges_that_are_not_within_the_array(tmp_path: Path, span: str) -> None:
    kaldiio.save_ark(f"{tmp_path}/m.ark", {"k": np.zeros((10, 6), np.float32)})
    (tmp_path / "a.scp").write_text(f"k {tmp_path}/m.ark:2[{span}]\n")
    with pytest.raises(DataError, match=r"a.scp:1: .*range \["):
        list(read_arrays(f"scp:{tmp_path}/a.scp"))


def test_ranges_of_a_command_and_of_one_matrix_many_times(tmp_path: Path) -> None:
    matrix = np.random.default_rng(1).standard_normal((9, 4)).astype(np.float32)
    kaldiio.save_ark(f"{tmp_path}/m.ark", {"k": matrix})
    lines = [f"p tail -c +3 {tmp_path}/m.ark |[0:1]\n"] + [f"r{i} {tmp_path}/m.ark:2[{i}:{i}]\n" for i in range(9)]
    (tmp_path / "a.scp").write_text("".join(lines))
    table = dict(read_matrices(f"scp:{tmp_path}/a.scp"))
    assert np.array_equal(table.pop("p"), matrix[:2])
    assert np.array_equal(np.concatenate(list(table.values())), matrix)


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


arrays = st.builds(
    lambda seed, shape, double: np.random.default_rng(seed).standard_normal(shape).astype("f8" if double else "f4"),
    st.integers(0, 99),
    st.sampled_from([(1,), (4,), (4,), (4,), (4,), (5,), (2, 3), (0, 0), (9000,)]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(arrays, st.integers(0, 2)), min_size=1, max_size=40), st.randoms(), st.booleans())
def test_any_order_of_any_arrays_in_any_archives(
    tmp_path_factory: pytest.TempPathFactory, entries: list, random: random_module.Random, plain: bool
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    lines: dict[str, str] = {}
    for archive in range(3):
        part = {f"u{i}": array for i, (array, place) in enumerate(entries) if place == archive}
        if part:
            kaldiio.save_ark(f"{folder}/{archive}.ark", part, scp=f"{folder}/{archive}.scp")
            assert_same_bits(dict(read_arrays(f"ark:{folder}/{archive}.ark")), part)
            assert_same_bits(dict(read_arrays(f"ark:cat {folder}/{archive}.ark |")), part)
            rows = (folder / f"{archive}.scp").read_text().splitlines()
            lines |= {row.split()[0]: row for row in rows}
    keys = random.sample(list(lines), len(lines))
    blanks = [" ", "\t", "  "]
    rows = [
        lines[key] if plain else lines[key].replace(" ", random.choice(blanks)) + random.choice(blanks) for key in keys
    ]
    (folder / "all.scp").write_text("\n".join(rows) + "\n" * random.randint(0, 1))
    known = {key: entries[int(key[1:])][0] for key in keys}
    assert_same_bits(dict(read_arrays(f"scp:{folder}/all.scp")), known)
    wanted = set(keys[::3])
    assert_same_bits(
        dict(read_arrays(f"scp:{folder}/all.scp", wanted)), {key: known[key] for key in keys if key in wanted}
    )


@pytest.mark.parametrize("kind", ["scp", "ark"])
def test_thousands_of_vectors_at_once(tmp_path: Path, kind: str) -> None:
    table = {f"k{i:05d}": vector for i, vector in enumerate(vectors(20000, 30).values())}
    table["k09999"] = np.ones(31, np.float32)  # one of another size among them
    write(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp", table)
    assert_same_bits(dict(read_arrays(f"{kind}:{tmp_path}/a.{kind}")), table)
    with pytest.raises(DataError, match="'k09999' has 31 values, 'k00000' has 30"):
        stack_vectors(f"{kind}:{tmp_path}/a.{kind}")
    some = {f"k{i:05d}" for i in range(0, 9000, 7)}
    keys, stacked = stack_vectors(f"{kind}:{tmp_path}/a.{kind}", some)
    assert keys == sorted(some) and stacked.tobytes() == np.stack([table[key] for key in keys]).tobytes()
    blocks = list(read_vector_blocks(f"{kind}:{tmp_path}/a.{kind}", some))
    assert [key for names, _ in blocks for key in names] == keys
    assert np.array_equal(np.concatenate([rows for _, rows in blocks]), stacked)


def test_an_archive_that_ends_early_among_thousands(tmp_path: Path) -> None:
    write(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp", {f"k{i:05d}": np.full(8, i) for i in range(3000)})
    whole = (tmp_path / "a.ark").read_bytes()
    (tmp_path / "a.ark").write_bytes(whole[: len(whole) // 2 - 5])
    for kind in ("ark", "scp"):
        read = []
        with pytest.raises(DataError, match="truncated"):
            read.extend(key for key, _ in read_vectors(f"{kind}:{tmp_path}/a.{kind}"))
        keys = [key for key, _ in read_vectors(f"{kind},p:{tmp_path}/a.{kind}")]
        assert keys == [f"k{i:05d}" for i in range(len(keys))] and len(keys) in (1499, 1500)


def test_a_value_that_is_not_finite_among_thousands(tmp_path: Path) -> None:
    table = {f"k{i:05d}": np.full(8, i, np.float32) for i in range(3000)}
    table["k02000"][7] = np.nan
    kaldiio.save_ark(f"{tmp_path}/a.ark", table, scp=f"{tmp_path}/a.scp")
    for kind in ("ark", "scp"):
        with pytest.raises(DataError, match="'k02000' has values that are not finite"):
            list(read_vectors(f"{kind}:{tmp_path}/a.{kind}"))


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
        ("", "a.scp:2: not 'KEY FILE:OFFSET'"),
        ("b \0", "a.scp:2: "),
        ("b a\0.ark:2", "a.scp:2: "),
        ("b a.ark:99999999999999999999", "a.scp:2: a.ark:9"),
        ("b a.ark:999999999999999999", "a.scp:2: a.ark:9"),
        ("b . ", "a.scp:2: .: cannot be read: Is a directory"),
        ("b a.ark:2[5:6]", "a.scp:2: a.ark:2[5:6]: the range"),
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
    ("line", "message"),
    [(b"\xef\xbb\xbfb a.ark:2", "byte order mark"), (b"\xff a.ark:2", "not UTF-8"), (b"\xc3\xa9 a.ark:2\r", "")],
)
def test_keys_that_are_no_text(tmp_path: Path, line: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("ark:a.ark", {"a": np.ones(3)})
    (tmp_path / "a.scp").write_bytes(line + b"\n")
    if message:
        with pytest.raises(DataError, match=f"a.scp:1: .*{message}"):
            list(read_vectors("scp:a.scp"))
    else:
        assert list(read_vectors_dict("scp:a.scp")) == ["é"]


def test_file_names_of_any_bytes(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x82\xac"
    os.mkdir(folder)
    write(f"ark:{tmp_path}/a.ark", {"a": np.ones(3)})
    os.rename(f"{tmp_path}/a.ark", folder + b"/a b.ark")
    (tmp_path / "a.scp").write_bytes(b"a " + folder + b"/a b.ark:2\n")
    assert read_vectors_dict(f"scp:{tmp_path}/a.scp")["a"].tolist() == [1, 1, 1]
