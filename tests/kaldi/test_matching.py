"""Matching by hashing against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from csc_cli.kaldi.matching import match

numbers = st.lists(st.one_of(st.integers(0, 20), st.integers(0, 2**62)), max_size=60)


@settings(max_examples=300, deadline=None)
@drawn(numbers, numbers)
def test_places_are_those_of_a_dictionary(wanted: list[int], given: list[int]) -> None:
    known: dict[int, int] = {}
    first = [known.setdefault(number, i) for i, number in enumerate(given)]
    found = match(np.array(wanted, np.int64), np.array(given, np.int64))
    assert found.first.tolist() == first
    assert found.place.tolist() == [known.get(number, -1) for number in wanted]


def test_numbers_that_share_their_low_bits() -> None:
    given = np.arange(50_000, dtype=np.int64) << 40
    order = np.random.default_rng(0).permutation(50_000)
    found = match(given[order], given)
    assert (found.place == order).all()
    assert (match(given + 1, given).place == -1).all()
