"""`csc score cosine` at the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from csc_cli.cli.main import main
from csc_cli.kaldi.tables import VectorWriter


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, keys in (("enroll", ["a", "b"]), ("test", ["u", "v-s1", "v-s2"])):
        with VectorWriter(f"ark,scp:{tmp_path}/{name}.ark,{tmp_path}/{name}.scp") as writer:
            for i, key in enumerate(keys):
                writer.write(key, np.eye(4)[i] + np.eye(4)[(i + 1) % 4])
    (tmp_path / "trials").write_text("a u target\nb u nontarget\n")
    return tmp_path


def run(folder: Path, *more: str, out: str | None = None):
    tables = [f"{folder}/trials", f"scp:{folder}/enroll.scp", f"{folder}/test.scp", out or f"{folder}/scores"]
    return CliRunner().invoke(main, ["score", "cosine", *tables, *more])


def test_to_a_file(files):
    result = run(files)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert (files / "scores").read_text() == "a u 1\nb u 0.5\n"


def test_commands_in_an_scp_are_refused(files):
    """Those of the command line itself are run: who wrote it knows them."""
    (files / "test.scp").write_text(f"u touch {files}/run; cat {files}/u.vec |\n")
    result = run(files, "--no-pipes")
    assert result.exit_code == 1
    assert "is a command, and --no-pipes refuses them" in result.stderr
    assert not (files / "run").exists()
    piped = f"ark:cat {files}/enroll.ark |"
    tables = [f"{files}/trials", piped, f"ark:{files}/test.ark", f"{files}/scores"]
    assert CliRunner().invoke(main, ["score", "cosine", "--no-pipes", *tables]).exit_code == 0


def test_to_standard_output_nothing_but_scores(files):
    result = run(files, "--quiet", out="-")
    assert result.exit_code == 0
    assert result.stdout == "a u 1\nb u 0.5\n"
    assert result.stderr == ""


def test_every_input_may_be_a_command(files):
    (files / "utt2streams").write_text("u u\n")
    arguments = [f"cat {files}/trials |", f"ark:cat {files}/enroll.ark |", f"scp:cat {files}/test.scp |"]
    out = f"| tr ' ' , > {files}/scores"
    result = CliRunner().invoke(
        main, ["score", "cosine", *arguments, out, "--streams", f"ark:cat {files}/utt2streams |"]
    )
    assert result.exit_code == 0, result.output
    assert (files / "scores").read_text() == "a,u,1\nb,u,0.5\n"


def test_trials_from_standard_input(files):
    arguments = ["score", "cosine", "-", f"{files}/enroll.scp", f"scp,s:{files}/test.scp", "-"]
    result = CliRunner().invoke(main, arguments, input=(files / "trials").read_bytes())
    assert result.exit_code == 0, result.output
    assert result.stdout == "a u 1\nb u 0.5\n"


def test_streams(files):
    (files / "trials").write_text("a v\nb v\n")
    (files / "utt2streams").write_text("v v-s1 v-s2\n")
    result = run(files, "--streams", f"{files}/utt2streams")
    assert result.exit_code == 0, result.output
    assert (files / "scores").read_text() == "a v 0.5\nb v 1\n"


@pytest.mark.parametrize(
    ("trials", "more", "message"),
    [
        ("a u\nc u\nd u\ne u\nf u\n", (), "no vector for 4 of 5 enrollment(s) of the trials: c, d, e, ... (4 in all)"),
        ("a u\na w\n", (), "no vector for 1 of 2 test vector(s) of the trials: w"),
        ("a\n", (), "trials:1: 1 fields"),
        ("a u\n", ("--mean", "absent.vec"), "absent.vec: cannot be read"),
        ("a u\n", ("--center-on", "nothing"), "'nothing' is no rspecifier"),
        ("a u\n", ("--mean", "x", "--center-on", "y"), "give one of them"),
    ],
)
def test_errors_are_one_line_and_a_status(files, trials, more, message):
    (files / "trials").write_text(trials)
    result = run(files, *more)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (files / "scores").exists()
