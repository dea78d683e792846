"""What interrupted, earlier and concurrent runs leave in a folder of mixtures."""

from __future__ import annotations

import fcntl
import random
import shutil
import subprocess
import sys
import time

import pytest

from csc_cli.errors import DataError
from csc_cli.mixtures import journal, tables
from csc_cli.mixtures.simulate import simulate_data_dir
from tests.mixtures.conftest import CONFIG, LOUD, contents, interrupt


def test_a_journal_whose_files_are_gone_goes_on_from_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "write_tables", interrupt)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        simulate_data_dir(data.path, out, CONFIG, count=5, audio=True)
    (out / "spk1" / "mix0000002.wav").unlink()
    monkeypatch.undo()
    simulate_data_dir(data.path, out, CONFIG, count=5, audio=True)
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, count=5, audio=True)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_clearing_that_is_interrupted_is_not_taken_for_a_part(data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, LOUD, count=3, audio=True)
    shutil.rmtree(out / "spk1")
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, count=3, audio=True)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_of_an_earlier_version_is_left_alone(data, tmp_path):
    out = tmp_path / "out"
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    (out / "sha256sums").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_two_runs_do_not_write_to_one_folder(data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_tables", interrupt)
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    with open(out / journal.PART, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another run is writing there"):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)


@pytest.mark.long
@pytest.mark.parametrize("nj", [1, 2])
def test_killed_at_any_moment_and_rerun_makes_the_same_bytes(data, tmp_path, nj):
    options = ["--set", "overlap=[0.3,1.0]", "--num", "120", "--write-audio", "--quiet"]
    command = [sys.executable, "-m", "csc_cli.cli.main", "simulate", *options, "--nj", str(nj), str(data.path)]
    began = time.monotonic()
    subprocess.run([*command, tmp_path / "whole"], check=True)
    whole_s = time.monotonic() - began
    draw, kills = random.Random(nj), 0
    print("seed", nj)
    while True:
        run = subprocess.Popen([*command, tmp_path / "out"])
        try:
            assert run.wait(timeout=draw.uniform(0.3, 0.9) * whole_s) == 0
            break
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
    assert kills
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
