"""`csc threshold` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Nontargets score 0, 1, ..., 9; targets 5.5, 6.5, ..., 14.5."""
    keys = [f"a u{i} nontarget\n" for i in range(10)] + [f"a v{i} target\n" for i in range(10)]
    scores = [f"a u{i} {i}\n" for i in range(10)] + [f"a v{i} {i + 5.5}\n" for i in range(10)]
    (tmp_path / "trials").write_text("".join(keys))
    (tmp_path / "scores").write_text("".join(reversed(scores)))
    return tmp_path


def test_a_table(files, csc):
    result = csc("threshold", "--far", "0.1", "--frr", "0", "--p-target", "0.5", files / "trials", files / "scores")
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["wanted", "threshold", "FAR %", "FRR %", "false alarms", "misses"]
    assert cells[2] == ["FAR <= 0.1", "8.25", "10.000", "30.000", "1 / 10", "3 / 10"]
    assert cells[3] == ["FRR <= 0", "5.25", "40.000", "0.000", "4 / 10", "0 / 10"]
    assert cells[4][0] == "least cost, prior 0.5"


def test_json(files, csc):
    result = csc("threshold", "--json", "--far", "0", files / "trials", files / "scores")
    (found,) = json.loads(result.stdout)
    assert 9 < found["threshold"] <= 9.5
    assert found["rates"][-1] == {
        "condition": "all", "targets": 10, "nontargets": 10, "misses": 4, "false_alarms": 0, "frr": 0.4, "far": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "nothing is wanted"), (("--far", "2"), "--far 2: a share"), (("--c-miss", "2"), "--c-miss is given 1 times")],
)
def test_errors(files, csc, arguments, message):
    result = csc("threshold", *arguments, files / "trials", files / "scores", status=1)
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
