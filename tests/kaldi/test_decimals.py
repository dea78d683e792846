"""Numbers in text, against Python's own `float` and `format`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from csc_cli.kaldi.decimals import Encoded, LineWriter, match_words, parse_numbers

FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30)
# Exact ties of nine digits, powers of ten from both sides, and what leaves the range of the quick way.
EDGES = [
    0.0,
    -0.0,
    1,
    1e8,
    1e9,
    123456788.5,
    123456789.5,
    999999999.5,
    9.9999999995,
    1e-4,
    9.99999999949e-5,
    1e-13,
    1e22,
]


def written(values: list[float]) -> list[str]:
    writer = LineWriter(Encoded.of(["é", "bb"]), Encoded.of(["x" * 9]))
    rows = np.arange(len(values)) % 2
    lines = bytes(writer.lines(rows, np.zeros(len(values), np.int32), np.array(values))).decode().splitlines()
    names, numbers = zip(*(line.rsplit(" ", 1) for line in lines), strict=True)
    assert list(names) == [["é", "bb"][row] + " xxxxxxxxx" for row in rows]
    return list(numbers)


@given(FLOATS)
@example([*EDGES, *(np.nextafter(x, 0) for x in EDGES), *(np.nextafter(x, 1e99) for x in EDGES)])
def test_nine_digits(values: list[float]) -> None:
    assert written(values) == [f"{value:.9g}" for value in values]


@pytest.mark.parametrize("scale", [1e-14, 1e-6, 1e-3, 1.0, 30.0, 1e6, 1e12, 1e21])
def test_nine_digits_of_many_numbers(scale: float) -> None:
    draw = np.random.default_rng(0)
    values = [*(draw.normal(size=3000) * scale), *(draw.integers(0, 10**10, 3000) / 2 * scale)]
    assert written(values) == [f"{value:.9g}" for value in values]


def parsed(texts: list[str]) -> list[float]:
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    return parse_numbers(np.frombuffer(" ".join(texts).encode() + b" ", np.uint8), starts, ends).tolist()


@given(FLOATS, st.sampled_from([".9g", ".17g", ".6f", ".3e", "+.1f", ".0f"]))
def test_numbers_are_read_as_python_reads_them(values: list[float], form: str) -> None:
    texts = [format(value, form) for value in values]
    assert parsed(texts) == [float(text) for text in texts]


def test_odd_numbers() -> None:
    good = [
        "1",
        "-1",
        "+3",
        "1e5",
        "1E-5",
        ".5",
        "5.",
        "00012",
        "1e400",
        "12345678901234567890",
        "1e22",
        "1e23",
        "1e-23",
    ]
    good += ["9007199254740993", "1e0000005", "inf", "-inf", "9007199254740992e-22", "0e99"]
    assert parsed(good) == [float(text) for text in good]
    bad = ["1e", "1e+", ".", "-", "+", "-.", "1.2.3", "0x1", "target", "1,5", "--1", "1e5.0", "1-"]
    assert np.isnan(parsed(bad)).all()


def test_words() -> None:
    data = np.frombuffer(b"target nontarget targe targets 1", np.uint8)
    starts, ends = np.array([0, 7, 17, 23, 31]), np.array([6, 16, 22, 30, 32])
    assert match_words(data, starts, ends, (b"target", b"nontarget")).tolist() == [0, 1, -1, -1, -1]
