"""`csc data validate`: status, streams, JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import click.testing
import numpy as np
import pytest
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


def test_fix_and_what_is_left_to_do(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(speakers=3)
    (path / "wav" / "spk0-utt0.wav").write_bytes(b"")
    (path / "text").write_text("spk1-utt0 B\nspk0-utt1 A\nspk2-utt0 C\nspk2-utt1 C\n")
    result = csc("data", "fix", path)
    assert f"{path}/wav.scp:1: {path}/wav/spk0-utt0.wav: is an empty file\n" in result.stdout
    assert "kept 4 of 6 utterances, 3 of 3 speakers; changed" in result.stdout
    assert "no faults" in csc("data", "validate", "--read-audio", "--require", "text", path).stdout
    rows = "spk0-utt1 x\nspk1-utt0 spk1\nspk2-utt0 spk2\nspk2-utt1 spk2\n"
    (path / "utt2spk").write_text(rows)
    result = csc("data", "fix", path, status=1)
    assert (
        "make the speaker id the beginning of each utterance id" in result.stderr and "Traceback" not in result.output
    )
    csc("data", "fix", "--no-spk-sort", "--no-audio", path)
    csc("data", "validate", "--no-spk-sort", path)


def test_split_and_stats(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(speakers=3)
    assert csc("data", "split", path, 2).stdout == f"{path}/split2: 2 parts of 2 to 4 utterances\n"
    assert "4 parts of 1 to 2 utterances" in csc("data", "split", "--per-utt", path, 4).stdout
    assert csc("data", "validate", path / "split4utt" / "3").stdout.endswith("no faults\n")
    csc("data", "split", path, 4, status=1)
    assert "6 utterances of 3 speakers in 6 recordings" in csc("data", "stats", path).stdout
    stats = json.loads(csc("data", "stats", "--json", path).stdout)
    assert (stats["utterances"], stats["sample_rates"], stats["seconds"]["total"]) == (6, {"8000": 6}, 6.0)


def test_options_of_validate(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir()
    (path / "wav" / "spk0-utt0.wav").unlink()
    csc("data", "validate", path, status=1)
    csc("data", "validate", "--no-audio", "--no-feats", "--no-text", path)
    assert (
        "feats.scp: is missing"
        in csc("data", "validate", "--no-audio", "--require", "feats.scp", path, status=1).stdout
    )
    (path / "wav.scp").unlink()
    csc("data", "validate", path, status=1)
    csc("data", "validate", "--no-wav", path)
    (path / "text").write_text("".join(f"spk{s}-utt{u} A\u00a0B\n" for s in range(2) for u in range(2)))
    csc("data", "validate", "--no-wav", path, status=1)
    csc("data", "validate", "--no-wav", "--non-print", path)


def test_worker_processes_find_the_same(csc: Csc, make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(suffix=".flac")
    for name in ("spk0-utt1", "spk1-utt0"):
        (path / "wav" / f"{name}.flac").write_bytes(b"no audio")
    one = csc("data", "validate", path, status=1).stdout
    assert csc("data", "validate", "--nj", "2", path, status=1).stdout == one and len(one.splitlines()) == 2


@pytest.mark.parametrize(
    "command", ["validate", "fix", "stats", "simulate", "trials", "extract", "separate", "train", "import"]
)
def test_commands_in_wav_scp_can_be_refused(
    csc: Csc, make_data_dir: Callable[..., Path], make_model_dir: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    path, ran, out = make_data_dir(), tmp_path / "ran", tmp_path / "out"
    text = (path / "wav.scp").read_text()
    (path / "wav.scp").write_text(re.sub(r" (.*)", rf" touch {ran}; cat \1 |", text))
    (path / "spk1.scp").write_bytes((path / "wav.scp").read_bytes())
    arguments = {
        "import": ["mixtures", "import", "--no-pipes", path, out],
        "extract": ["extract", "--no-pipes", make_model_dir(), path, out],
        "separate": ["separate", "--no-pipes", make_model_dir(name="other"), path, out],
        "train": ["train", "--no-pipes", "conf/train/csc-mini.yaml", path, out],
        "simulate": ["simulate", "--no-pipes", "--num", "1", "--write-audio", path, out],
        "trials": ["trials", "--no-pipes", path, out],
    }.get(command, ["data", command, "--no-pipes", path])
    result = csc(*arguments, status=1)
    assert "--no-pipes refuses them" in result.output
    assert not ran.exists() and os.environ.get("CSC_NO_PIPES", "0") == "0"
