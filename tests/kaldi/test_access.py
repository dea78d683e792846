"""Random access: the same arrays as by reading all, whatever the order; what is held; what is refused."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.access import open_table
from csc_cli.kaldi.tables import VectorWriter


@pytest.fixture
def table(tmp_path: Path) -> dict[str, np.ndarray]:
    """A table with sorted keys of unequal length at tmp_path/a.ark, a.scp; its scp shuffled at r.scp."""
    draw = np.random.default_rng(0)
    keys = sorted({f"k{number:x}" for number in draw.integers(0, 1 << 40, 500)} | {"é", "\U0001f600"})
    arrays = {key: draw.standard_normal(int(draw.integers(1, 9))).astype(np.float32) for key in keys}
    with VectorWriter(f"ark,scp:{tmp_path}/a.ark,{tmp_path}/a.scp") as writer:
        for key, array in arrays.items():
            writer.write(key, array)
    lines = (tmp_path / "a.scp").read_text().splitlines(keepends=True)
    (tmp_path / "r.scp").write_text("".join(random.Random(0).sample(lines, len(lines))))
    return arrays


@pytest.mark.parametrize("rspecifier", ["scp:r.scp", "scp,s:a.scp", "scp:cat r.scp |", "ark:a.ark", "ark:cat a.ark |"])
def test_every_key_is_found_in_any_order(
    tmp_path: Path, table: dict[str, np.ndarray], rspecifier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_table(rspecifier) as access:
        for key in random.Random(1).sample(list(table), len(table)) * 2:
            found = access.find(key)
            assert found is not None and found.tobytes() == table[key].tobytes()
        for key in ("", "k", "zzz", "a", "é!", next(iter(table)) + "x"):
            assert access.find(key) is None


def test_sorted_ark_asked_in_order(tmp_path: Path, table: dict[str, np.ndarray]) -> None:
    keys = sorted([*list(table)[::3], "between", "k", "\U0010fffe"])
    with open_table(f"ark,s,cs:cat {tmp_path}/a.ark |") as access:
        for key in keys:
            for found in (access.find(key), access.find(key)):
                assert (found is None) == (key not in table)
                assert found is None or np.array_equal(found, table[key])
        with pytest.raises(DataError, match="although 'cs' says"):
            access.find("a")


def test_what_is_said_of_the_order_must_hold(tmp_path: Path, table: dict[str, np.ndarray]) -> None:
    kaldiio.save_ark(f"{tmp_path}/w.ark", {key: np.ones(1, np.float32) for key in "acb"}, scp=f"{tmp_path}/w.scp")
    with open_table(f"ark,s,cs:{tmp_path}/w.ark") as access, pytest.raises(DataError, match="although 's' says"):
        access.find("d")
    with open_table(f"scp,s:{tmp_path}/r.scp") as access, pytest.raises(DataError, match=r"r.scp:\d+: .*although 's'"):
        for key in table:
            access.find(key)


def test_once_forgets(tmp_path: Path, table: dict[str, np.ndarray]) -> None:
    key = next(iter(table))
    with open_table(f"ark,o:{tmp_path}/a.ark") as access:
        assert access.find(key) is not None
        assert access.find(key) is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("", "a.scp: is empty"),
        ("\ufeffa x.ark:2\n", "a.scp:1: .*byte order mark"),
        ("a x.ark:2\n\nb x.ark:2\n", "a.scp:2: an empty line"),
        ("b x.ark:2\na x.ark:2\nb x.ark:2\n", "a.scp:3: the key 'b' stands in it twice"),
    ],
)
def test_a_bad_scp_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "a.scp").write_text(lines)
    with pytest.raises(DataError, match=message), open_table(f"scp:{tmp_path}/a.scp"):
        pass


@pytest.mark.parametrize("options", ["scp", "scp,s"])
def test_a_bad_entry_is_named_when_it_is_asked_for(tmp_path: Path, options: str) -> None:
    (tmp_path / "a.scp").write_text("a none.ark:2\nb\nc none.ark:2\n")
    with open_table(f"{options}:{tmp_path}/a.scp") as access:
        with pytest.raises(DataError, match=r"a.scp:3: none.ark: cannot be read"):
            access.find("c")
        with pytest.raises(DataError, match=r"a.scp:2: not 'KEY FILE:OFFSET'"):
            access.find("b")
    with open_table(f"{options},p:{tmp_path}/a.scp") as access:
        assert access.find("b") is None and access.find("c") is None


def test_the_last_line_may_have_no_end(tmp_path: Path) -> None:
    kaldiio.save_ark(f"{tmp_path}/x.ark", {key: np.full(1, ord(key), np.float32) for key in "abc"})
    (tmp_path / "a.scp").write_text(
        "".join(f"{key} {tmp_path}/x.ark:{2 + 16 * i}\n" for i, key in enumerate("abc"))[:-1]
    )
    for options in ("scp", "scp,s"):
        with open_table(f"{options}:{tmp_path}/a.scp") as access:
            assert [float(access.find(key)[0]) for key in "abc"] == [97, 98, 99]  # type: ignore[index]


def test_little_is_held_of_a_long_scp(tmp_path: Path) -> None:
    count = 200_000
    kaldiio.save_ark(f"{tmp_path}/x.ark", {"x": np.ones(3, np.float32)})
    (tmp_path / "a.scp").write_text("".join(f"speaker-utterance-{i:09d} {tmp_path}/x.ark:2\n" for i in range(count)))
    for options, most in (("scp", 17 * count + 1.3e6), ("scp,s", 1.3e6)):  # a buffer is 1 MB
        tracemalloc.start()
        with open_table(f"{options}:{tmp_path}/a.scp") as access:
            held = tracemalloc.get_traced_memory()[0]
            assert access.find("speaker-utterance-000123456") is not None
        tracemalloc.stop()
        assert held < most
