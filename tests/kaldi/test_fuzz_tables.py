"""Every reader of tables, fed with damage: either it reads, or it says in one line what is wrong."""

from __future__ import annotations

import io
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi import archives, opened, scripts, text
from csc_cli.kaldi.access import open_table
from csc_cli.kaldi.arrays import write_array
from csc_cli.kaldi.lines import HashedLines, LineFile, SortedLines
from csc_cli.kaldi.objects import ObjectReader, ObjectWriter
from csc_cli.kaldi.specifiers import Rspecifier, Wspecifier, split_range
from csc_cli.kaldi.tables import read_arrays
from csc_cli.kaldi.values import read_int, read_int_vector, read_numbers


def arrays(text: bool = False, method: int = 0, axes: int = 2, dtype: str = "f4") -> bytes:
    draw, stream = np.random.default_rng(0), io.BytesIO()
    for key in ("a", "bb", "ccc", "d"):
        stream.write(key.encode() + b" ")
        write_array(stream, draw.standard_normal((3, 2)[-axes:]).astype(dtype), text, method)
    return stream.getvalue()


def plda(binary: bool) -> bytes:
    stream = io.BytesIO()
    writer = ObjectWriter(stream, binary)
    writer.token("<Plda>")
    writer.integer(7)
    writer.real(0.5)
    for shape in ((2,), (2, 2)):
        writer.array(np.ones(shape))
    writer.token("</Plda>")
    return stream.getvalue()


def buffered(data: bytes) -> IO[bytes]:
    return io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]


def read_ark(data: bytes) -> None:
    list(archives.read_blocks(buffered(data), "ark"))


def read_values(read: Callable[[IO[bytes]], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        stream = buffered(data)
        while archives.read_key(stream, "ark"):
            read(stream)

    return run


def read_plda(data: bytes) -> None:
    reader = ObjectReader(io.BytesIO(data))
    reader.expect("<Plda>")
    reader.integer()
    reader.real()
    reader.array()
    reader.array()
    reader.expect("</Plda>")


def parse_scp(data: bytes) -> None:
    lines, fault = scripts.parse_lines(data.splitlines(keepends=True), 1, "scp")
    assert len(lines.keys) == len(lines.names) == len(lines.places.codes) == len(lines.numbers)
    if fault:
        raise fault


def find_lines(data: bytes) -> None:
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.flush()
        file = LineFile("scp", stream)
        for index in (SortedLines(file), HashedLines(file)):
            for key in (b"utt1", b"utt5", b"x"):
                index.find(key)


def parse_table(data: bytes) -> None:
    for fault in text._parse(Path("text"), data, True, True).faults:
        assert fault.remedy and "\n" not in str(fault)


SCP = b"".join(b"utt%d some/where.ark:%d\n" % (i, 17 + 100 * i) for i in range(6))
# What is whole, and how it is read.
READERS: dict[str, tuple[bytes, Callable[[bytes], None]]] = {
    "float vectors": (arrays(axes=1), read_ark),
    "double vectors": (arrays(axes=1, dtype="f8"), read_ark),
    "float matrices": (arrays(), read_ark),
    "double matrices": (arrays(dtype="f8"), read_ark),
    "CM": (arrays(method=2), read_ark),
    "CM2": (arrays(method=3), read_ark),
    "CM3": (arrays(method=5), read_ark),
    "text vectors": (arrays(True, axes=1), read_ark),
    "text matrices": (arrays(True), read_ark),
    "whole numbers": (b"a \0B\4\1\0\0\0b \0B\4\xff\0\0\1", read_values(read_int)),
    "whole numbers in text": (b"a 1\nb -20\n", read_values(read_int)),
    "lists": (b"a \0B\4\2\0\0\0\4\1\0\0\0\4\2\0\0\0b \0B\4\0\0\0\0", read_values(read_int_vector)),
    "lists in text": (b"a 1 2 3\nb \nc 4\n", read_values(read_int_vector)),
    "decisions": (arrays(axes=1) + b"e \0B\4\1\0\0\0\4\1\0\0\0", read_values(read_numbers)),
    "decisions in text": (b"a  [ 1 0 ]\nb 1 0\n", read_values(read_numbers)),
    "object": (plda(True), read_plda),
    "object in text": (plda(False), read_plda),
    "scp": (SCP, parse_scp),
    "scp by key": (SCP, find_lines),
    "text table": (b"a one two\nb three\nc\tfour\n", parse_table),
}


def outcome(name: str, data: bytes) -> str:
    """`read`, or what is wrong in one line."""
    try:
        READERS[name][1](data)
    except DataError as error:
        assert "\n" not in str(error) and str(error)
        return str(error)
    return "read"


@pytest.mark.parametrize("name", READERS)
def test_what_is_whole_is_read(name: str) -> None:
    assert outcome(name, READERS[name][0]) == "read"


KEYS = (b"a \0B", b"b \0B", b"bb \0B", b"ccc \0B", b"d \0B", b"e \0B")
BINARY = [name for name in READERS if b"\0B" in READERS[name][0]]


@pytest.mark.parametrize("name", BINARY)
def test_truncated_at_every_byte(name: str) -> None:
    data = READERS[name][0]
    # Only where an entry ends does nothing tell that another should follow.
    starts = set() if name == "object" else {data.find(key) for key in KEYS}
    for length in range(len(data)):
        assert outcome(name, data[:length]) != "read" or length in starts


@pytest.mark.parametrize("name", READERS)
def test_every_value_of_every_byte(name: str) -> None:
    data = READERS[name][0]
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        for value in rng.choice(256, 12, replace=False).tolist():
            outcome(name, data[:place] + bytes([value]) + data[place + 1 :])


@pytest.mark.parametrize("name", BINARY)
def test_a_hostile_size_allocates_nothing(name: str) -> None:
    data = READERS[name][0]
    tracemalloc.start()
    for place in range(len(data) - 3):
        for size in (b"\xff\xff\xff\x7f", b"\0\0\0\x40", b"\xff\xff\xff\xff"):
            outcome(name, data[:place] + size + data[place + 4 :])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e6  # two buffers of 1 MB


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, left out, doubled or put in another place; perhaps the end cut off."""
    result = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        place, size = int(rng.integers(0, len(result) + 1)), int(rng.integers(1, 9))
        kind = rng.integers(0, 4)
        if kind == 0:
            result[place : place + size] = rng.bytes(size)
        elif kind == 1:
            del result[place : place + size]
        elif kind == 2:
            result[place:place] = result[place : place + size]
        else:
            other = int(rng.integers(0, len(result) + 1))
            result[other:other] = result[place : place + size]
    return bytes(result[: int(rng.integers(0, len(result) + 1))] if rng.random() < 0.3 else result)


def fuzz(cases: int, seed: int) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    names = list(READERS)
    for case in range(cases):
        name = names[case % len(names)]
        yield outcome(name, damaged(READERS[name][0], rng))


def test_any_damage() -> None:
    results = list(fuzz(10_000, 0))
    assert 500 < results.count("read") < 9500


@pytest.mark.long
def test_a_million_cases_of_damage() -> None:
    assert sum(result == "read" for result in fuzz(1_000_000, 1)) > 50_000


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    for name in READERS:
        outcome(name, data)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789:,[]-+x", max_size=12), st.sampled_from([(3,), (3, 4), (0, 0)]))
def test_any_range(span: str, shape: tuple[int, ...]) -> None:
    _, parsed = split_range(f"a.ark:5[{span}]")
    try:
        part = opened.part(np.zeros(shape), parsed if parsed is not None else "")
        assert part.size <= np.prod(shape)
    except DataError as error:
        assert "\n" not in str(error)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=12), st.sampled_from(["ark:", "scp:", "ark,t:", "ark,scp:", "s,cs,ark:", ""]))
def test_any_specifier(name: str, kind: str) -> None:
    for parse in (Rspecifier.parse, Wspecifier.parse):
        try:
            parse(kind + name)
        except DataError as error:
            assert ";" in str(error)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(st.sampled_from(["a", "b ", "a.ark:2", ":", "[0:1]", "\t", "\n", "9" * 30]), st.text(max_size=3))
    )
)
def test_any_scp(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    folder = tmp_path_factory.mktemp("scp")
    (folder / "a.ark").write_bytes(arrays(axes=1))
    lines = "".join(words).replace("|", "").replace("-", "")  # no command is run, nothing read from a terminal
    (folder / "x.scp").write_text(lines, encoding="utf-8", errors="replace", newline="\n")
    before = os.getcwd()
    os.chdir(folder)
    try:
        for read in (
            lambda: list(read_arrays("scp:x.scp")),
            lambda: find_in_table("scp:x.scp"),
            lambda: find_in_table("scp,s:x.scp"),
        ):
            try:
                read()
            except DataError as error:
                assert "x.scp" in str(error)
    finally:
        os.chdir(before)


def find_in_table(rspecifier: str) -> None:
    with open_table(rspecifier) as table:
        for key in ("a", "b", ""):
            table.find(key)
