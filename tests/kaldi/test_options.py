"""Kaldi's option files."""

from __future__ import annotations

from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.options import read_options


def test_options(tmp_path: Path) -> None:
    (tmp_path / "vad.conf").write_text(
        "# a comment\n--vad-energy-threshold=5.5  # more\n\n--snip-edges\n--name= a=b \n"
    )
    known = ["vad_energy_threshold", "snip_edges", "name"]
    assert read_options(tmp_path / "vad.conf", known) == {
        "vad_energy_threshold": "5.5",
        "snip_edges": "true",
        "name": "a=b",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--a=1\nb=2\n", r"conf:2: 'b=2' is no option; write --name=value"),
        ("--b=2\n", r"conf:1: no option '--b'; known: a"),
        ("--a=1\n--a=2\n", r"conf:2: the option '--a' comes twice"),
        ("-- a=1\n", r"conf:1: '-- a=1' is no option"),
        ("\udcff", "conf: cannot be read"),
    ],
)
def test_damaged_options(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message):
        read_options(tmp_path / "conf", ["a"])
