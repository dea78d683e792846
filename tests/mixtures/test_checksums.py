"""Checksums of mixtures on disk: those of sha256sum, and what they find."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from csc_cli.errors import DataError
from csc_cli.mixtures.checksums import check_sums
from tests.mixtures.conftest import contents


def test_the_checksums_are_those_of_sha256sum(loud_mixtures):
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "sha256sums"], cwd=loud_mixtures, check=True)
    listed = {line.split("  ", 1)[1] for line in (loud_mixtures / "sha256sums").read_text().splitlines()}
    there = {name for name in contents(loud_mixtures) if not name.endswith(".scp")}
    assert there - listed == {"sha256sums", "simulate.json"}
    assert listed <= there


def test_check_names_each_file_that_is_not_what_was_written(loud_mixtures, tmp_path, csc):
    out = tmp_path / "mix"
    shutil.copytree(loud_mixtures, out)
    assert "are what was written" in csc("mixtures", "check", "--nj", 2, out).stdout
    data = bytearray((out / "spk2" / "mix0000003.wav").read_bytes())
    data[-1] ^= 1
    (out / "spk2" / "mix0000003.wav").write_bytes(data)
    (out / "wav" / "mix0000001.wav").unlink()
    lines = (out / "mix.jsonl").read_text().splitlines(keepends=True)
    (out / "mix.jsonl").write_text("".join(lines[:-1]))
    result = csc("mixtures", "check", out, status=1)
    sums = (out / "sha256sums").read_text().splitlines()
    named = {"spk2/mix0000003.wav", "wav/mix0000001.wav", "mix.jsonl"}
    where = {f"{out / 'sha256sums'}:{1 + [line[66:] for line in sums].index(name)}: {name} " for name in named}
    assert len(result.stdout.splitlines()) == 3
    assert all(any(line.startswith(place) for place in where) for line in result.stdout.splitlines())
    assert "3 of " in result.stderr


@pytest.mark.parametrize("damage", ["gone", "empty", "word", "cut", "outside"])
def test_damaged_checksums_are_named(loud_mixtures, tmp_path, damage):
    path = tmp_path / "sha256sums"
    text = (loud_mixtures / "sha256sums").read_text()
    changed = {"empty": "", "word": "x" + text, "cut": text[:-3], "outside": text.replace("wav/", "../", 1)}
    if damage != "gone":
        path.write_text(changed[damage])
    with pytest.raises(DataError, match="sha256sums"):
        check_sums(tmp_path)


def test_a_plan_that_was_cut_is_named(loud_mixtures, data, tmp_path, csc):
    text = (loud_mixtures / "mix.jsonl").read_text()
    shutil.copy(loud_mixtures / "sha256sums", tmp_path)
    (tmp_path / "mix.jsonl").write_text(text[:-40])
    said = csc("simulate", "--plan", tmp_path / "mix.jsonl", data.path, tmp_path / "out", status=1).stderr
    assert f"{tmp_path}/mix.jsonl:6: not a line of JSON" in said
    # Cut between two lines nothing but the checksum can tell.
    (tmp_path / "mix.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]))
    said = csc("simulate", "--plan", tmp_path / "mix.jsonl", data.path, tmp_path / "out").stderr
    assert "has it lost lines?" in said
