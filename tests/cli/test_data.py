"""`csc data validate`: status, streams, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import soundfile

Csc = Callable[..., click.testing.Result]


def test_a_sound_directory(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir()
    result = csc("data", "validate", path)
    assert result.stdout == f"{path}: no faults\n"
    assert json.loads(csc("data", "validate", "--json", path).stdout) == []
    csc("data", "validate", "--read-audio", "--quiet", path)


def test_all_faults_and_status_1(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir()
    (path / "wav" / "spk0-utt0.wav").unlink()
    (path / "wav" / "spk1-utt1.wav").write_bytes(b"")
    (path / "utt2spk").write_text((path / "utt2spk").read_text().replace("\n", "\r\n"))
    result = csc("data", "validate", path, status=1)
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{path}/wav.scp:1", f"{path}/wav.scp:4", f"{path}/utt2spk:1"]
    assert all("; " in line for line in lines)
    assert f"Error: {path}: faults: 3" in result.stderr and "Traceback" not in result.output
    rows = json.loads(csc("data", "validate", "--json", path, status=1).stdout)
    assert [row["line"] for row in rows] == [1, 4, 1]
    assert set(rows[0]) == {"path", "line", "message", "remedy"}


def test_only_reading_to_the_end_finds_a_truncated_flac(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(suffix=".flac")
    recording = path / "wav" / "spk1-utt0.flac"
    soundfile.write(recording, np.random.default_rng(0).uniform(-0.5, 0.5, 50000), 8000)
    recording.write_bytes(recording.read_bytes()[:30000])
    csc("data", "validate", path)
    result = csc("data", "validate", "--read-audio", path, status=1)
    assert f"{path}/wav.scp:3: " in result.stdout and "truncated" in result.stdout


def test_no_folder(csc: Csc, tmp_path: Path) -> None:
    assert "does not exist" in csc("data", "validate", tmp_path / "none", status=2).stderr


def test_subset_combine_and_copy(csc: Csc, make_data_dir: Callable[..., Path], tmp_path: Path) -> None:
    path = make_data_dir(speakers=3)
    out = [tmp_path / name for name in ("part", "renamed", "both")]
    assert csc("data", "subset", "--first", path, 2, out[0]).stdout == f"{out[0]}: 2 of 6 utterances, 1 of 3 speakers\n"
    csc("data", "copy", "--utt-prefix", "x-", "--spk-prefix", "x-", path, out[1])
    result = csc("data", "combine", out[2], *out[:2])
    assert result.stdout == f"{out[2]}: 8 utterances of 4 speakers (sources: 2 with 8)\n"
    assert csc("data", "validate", "--read-audio", out[2]).stdout.endswith("no faults\n")


def test_a_subset_is_asked_for_in_one_way(csc: Csc, make_data_dir: Callable[..., Path], tmp_path: Path) -> None:
    path, out = make_data_dir(), tmp_path / "out"
    (tmp_path / "list").write_text("spk0\n")
    for arguments in (
        ["--first", "--last", path, "2", out],
        ["--first", "--spk-list", tmp_path / "list", path, out],
        ["--spk-list", tmp_path / "list", path, "2", out],
        [path, out],
        [path, "two", out],
    ):
        assert csc("data", "subset", *arguments, status=2).stderr.startswith("Usage: ")
    csc("data", "subset", path, "9", out, status=1)
    csc("data", "subset", "--spk-list", tmp_path / "list", path, out)
