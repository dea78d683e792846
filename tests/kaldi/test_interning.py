"""Lines to codes, against Python's own split and dictionary."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csc_cli.kaldi.interning import BadLineError, Names, split_fields

BLANKS = st.text(" \t\r\x0b\0", min_size=1, max_size=3)
NAMES = st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=40), st.lists(BLANKS, min_size=4, max_size=4))
def test_as_split_and_a_dictionary(rows: list[tuple[str, str, str]], blanks: list[str]) -> None:
    lines = ["".join(blank + name for blank, name in zip(["", *blanks], row)) + blanks[3] for row in rows]
    data = np.frombuffer("".join(line + "\n" for line in lines).encode(), np.uint8)
    fields = split_fields(data, 3)
    for column, expected in enumerate(zip(*rows, strict=True)):
        names = Names(slots=4)
        codes = names.codes(data, fields, column)
        assert list(names.decode()) == list(dict.fromkeys(expected))
        assert names.decode()[codes].tolist() == list(expected)
        texts = [data[a:b].tobytes().decode() for a, b in zip(fields.starts[column], fields.ends[column])]
        assert texts == list(expected)


def test_names_grow_over_many_blocks() -> None:
    draw = np.random.default_rng(0)
    names, seen = Names(slots=4), []
    for _ in range(5):
        block = [f"speaker-{i:x}" * (1 + i % 3) for i in draw.integers(0, 5000, 2000)]
        data = np.frombuffer("".join(f"{name} x\n" for name in block).encode(), np.uint8)
        codes = names.codes(data, split_fields(data, 2), 0)
        assert names.decode()[codes].tolist() == block
        seen += block
    assert list(names.decode()) == list(dict.fromkeys(seen))


@pytest.mark.parametrize(
    ("bad", "line"), [("a b\n\nc d\n", 1), ("a b\nc\n", 1), ("a b c\na b\n", 0), ("a b\nc d e f", 1)]
)
def test_the_first_line_of_another_width(bad: str, line: int) -> None:
    text = bad.removesuffix("\n") + "\n"
    with pytest.raises(BadLineError) as error:
        split_fields(np.frombuffer(text.encode(), np.uint8), 2)
    assert error.value.line == line
    assert error.value.start == [match.start() for match in re.finditer("^", text, re.MULTILINE)][line]
