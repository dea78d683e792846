"""Text tables: what is read, what is refused and where, what is written."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.text import parse, read_keyed, read_map, write_map


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table"


def test_values_are_the_rest_of_the_line(table: Path) -> None:
    table.write_bytes(b"a  one  two \nb\tthree\nc sox in.wav -t wav - |")
    assert read_map(table) == {"a": "one  two", "b": "three", "c": "sox in.wav -t wav - |"}
    assert read_keyed(table) == {"a": ["one", "two"], "b": ["three"], "c": ["sox", "in.wav", "-t", "wav", "-", "|"]}


@pytest.mark.parametrize("space", ["\u3000", "\u00a0", "\x85", "\u2028", "\x1f"])
def test_white_space_of_other_scripts_is_part_of_a_value(table: Path, space: str) -> None:
    """As for awk and Kaldi, which know blanks and tabs alone; a file may have such a name."""
    table.write_bytes(f"a {space}日{space}本.wav{space} \nb x\n".encode())
    assert read_map(table) == {"a": f"{space}日{space}本.wav{space}", "b": "x"}


def test_order_is_that_of_bytes(table: Path) -> None:
    keys = ["B", "a", "é", "日", "\U0001f600"]
    assert keys == sorted(keys, key=lambda key: key.encode())
    table.write_text("".join(f"{key} x\n" for key in keys), encoding="utf-8")
    assert parse(table).faults == []
    table.write_text("".join(f"{key} x\n" for key in reversed(keys)), encoding="utf-8")
    assert "4 such places" in parse(table).faults[0].message
    assert parse(table, in_order=False).faults == []


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"a x\nb y\na z\n", 3, "'a' stands on line 1 already"),
        (b"a x\r\nb y\r\n", 1, "2 lines end in CR LF"),
        (b"a x\n\nb y\n", 2, "an empty line"),
        (b"a x\n   \nb y\n", 2, "an empty line"),
        (b"a x\nb\n", 2, "'b' has no value"),
        (b"a x\nb \xe9\n", 2, "not UTF-8"),
        (b"a x\nb y\0z\n", 2, "NUL"),
        (b"a x\nb y\rc z\n", 2, "CR"),
        ("a x\nb\u00a0c y\n".encode(), 2, "white space other than blank and tab"),
        (b"a x\nb\x1cc y\n", 2, "white space other than blank and tab"),
    ],
)
def test_a_fault_has_its_line_and_a_remedy(table: Path, data: bytes, line: int, message: str) -> None:
    table.write_bytes(data)
    faults = parse(table, in_order=False).faults
    assert [fault.line for fault in faults] == [line]
    assert message in faults[0].message and faults[0].remedy
    with pytest.raises(DataError, match=f"^{table}:{line}: .*; "):
        read_map(table)


def test_all_faults_of_a_file_are_listed(table: Path) -> None:
    table.write_bytes(b"b x\r\na y\n\nb z\nc\n")
    assert [fault.line for fault in parse(table).faults] == [1, 3, 4, 5, 2]


def test_missing_and_empty_files(table: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_map(table)
    table.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_map(table)
    with pytest.raises(DataError, match="directory"):
        read_map(table.parent)


def test_values_may_be_asked_to_be_optional(table: Path) -> None:
    table.write_bytes(b"a\nb HELLO\n")
    assert read_map(table, values=False) == {"a": "", "b": "HELLO"}


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)


@given(st.dictionaries(words, st.lists(words, min_size=1, max_size=3), min_size=1))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, table: dict[str, list[str]]) -> None:
    path = tmp_path_factory.mktemp("text") / "table"
    write_map(path, dict(random.Random(0).sample(list(table.items()), len(table))))
    assert parse(path).faults == []
    assert read_keyed(path) == table


@pytest.mark.parametrize(("key", "value"), [("a b", "x"), ("", "x"), ("a", "x\ny"), ("a\n", "x")])
def test_what_a_line_cannot_hold_is_refused(table: Path, key: str, value: str) -> None:
    with pytest.raises(DataError, match="cannot be a line"):
        write_map(table, {key: value})
    assert list(table.parent.iterdir()) == []
