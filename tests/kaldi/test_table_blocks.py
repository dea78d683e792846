"""Vectors taken many at a time: the same as one by one, in any order, and whatever is among them."""

from __future__ import annotations

import random as random_module
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import read_arrays, read_vector_blocks, read_vectors, read_vectors_dict, stack_vectors
from tests.kaldi.conftest import assert_same_bits, vectors, write


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


def test_stack_asks_for_equal_dimensions(tmp_path: Path) -> None:
    write(f"ark:{tmp_path}/a.ark", {"a": np.ones(3), "b": np.ones(2)})
    with pytest.raises(DataError, match="'b' has 2 values, 'a' has 3"):
        stack_vectors(f"ark:{tmp_path}/a.ark")
