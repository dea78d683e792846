"""Arks and scps damaged in every way: each is one clear error."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import VectorWriter, read_arrays, read_vectors, read_vectors_dict
from tests.kaldi.conftest import vectors, write


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
