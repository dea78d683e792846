"""Tables of whole numbers: against kaldiio and Kaldi's text, and damaged."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import read_int_vectors, read_ints, write_int_vectors, write_ints


@pytest.mark.parametrize("form", ["ark", "ark,t"])
def test_whole_numbers(tmp_path: Path, form: str) -> None:
    table = {"b": 3, "a": -70000, "c": 0, "d": 2**31 - 1, "e": -(2**31)}
    write_ints(f"{form}:{tmp_path}/n", table)
    assert list(read_ints(f"{form}:{tmp_path}/n").items()) == sorted(table.items())
    write_ints(f"{form.replace('ark', 'ark,scp')}:{tmp_path}/n.ark,{tmp_path}/n.scp", table)
    assert read_ints(f"scp:{tmp_path}/n.scp") == table
    assert read_ints(f"ark:cat {tmp_path}/n |") == table


@pytest.mark.parametrize("form", ["ark", "ark,t"])
def test_lists_of_whole_numbers(tmp_path: Path, form: str) -> None:
    table = {"a": np.array([1, -2, 3], np.int32), "b": np.zeros(0, np.int32), "c": np.arange(5000, dtype=np.int32)}
    write_int_vectors(f"{form}:{tmp_path}/n", table)
    read = dict(read_int_vectors(f"ark:{tmp_path}/n"))
    assert {key: value.tolist() for key, value in read.items()} == {key: value.tolist() for key, value in table.items()}
    if form == "ark":
        known = dict(kaldiio.load_ark(f"{tmp_path}/n"))
        assert all(np.array_equal(known[key], value) for key, value in table.items())
        kaldiio.save_ark(f"{tmp_path}/k", table)
        assert (tmp_path / "k").read_bytes() == (tmp_path / "n").read_bytes()


def test_a_list_of_decisions(tmp_path: Path) -> None:
    write_int_vectors(f"ark,t:{tmp_path}/n", {"a": np.array([True, False])})
    assert (tmp_path / "n").read_text() == "a 1 0 \n"


@pytest.mark.parametrize("table", [{"a": 2**31}, {"a": -(2**31) - 1}])
def test_numbers_of_more_than_32_bits(tmp_path: Path, table: dict[str, int]) -> None:
    with pytest.raises(DataError, match="32 bits do not hold"):
        write_ints(f"ark:{tmp_path}/n", table)
    with pytest.raises(DataError, match="32 bits do not hold"):
        write_int_vectors(f"ark:{tmp_path}/n", {key: np.array([value]) for key, value in table.items()})
    with pytest.raises(DataError, match="no list of whole numbers"):
        write_int_vectors(f"ark:{tmp_path}/n", {"a": np.ones(3)})
    assert not (tmp_path / "n").exists()


DAMAGED = [
    (b"", "is empty"),
    (b"a 1\na 2\n", "'a' stands in it twice"),
    (b"a 1.5\n", "'1.5' is no whole number"),
    (b"a \0C\4", "no whole number"),
    (b"a \0B\4\1", "truncated"),
    (b"a 3000000000\n", "32 bits do not hold"),
    (b"\xef\xbb\xbfa 1\n", "byte order mark"),
    (b"a", "where an entry should begin"),
]


@pytest.mark.parametrize(
    ("data", "message"), [*DAMAGED, (b"a \n", "'' is no whole number"), (b"a \0B\2\1\0\0\0", "no whole number")]
)
def test_damaged_whole_numbers(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "n").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_ints(f"ark:{tmp_path}/n")


@pytest.mark.parametrize(
    ("data", "message"),
    [*DAMAGED, (b"a \0B\4\xff\xff\xff\x7f\4", "truncated"), (b"a \0B\4\1\0\0\0\3\1\0\0\0", "no whole numbers")],
)
def test_damaged_lists(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "n").write_bytes(data)
    with pytest.raises(DataError, match=message):
        list(read_int_vectors(f"ark:{tmp_path}/n"))
