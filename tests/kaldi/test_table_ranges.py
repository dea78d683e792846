"""Ranges of rows and columns that an scp names."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.tables import read_arrays, read_matrices
from tests.kaldi.conftest import write


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
