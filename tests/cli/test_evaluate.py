"""`csc evaluate` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from csc_cli.cli.main import main


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("untrained", "csc"):
        (tmp_path / name).mkdir()
    keys, conditions, scores = [], [], {"untrained": [], "csc": []}
    for test in range(60):
        conditions.append(f"u{test:02d} {'clean' if test % 2 else 'mixed'}\n")
        for speaker in range(6):
            target = test % 6 == speaker
            keys.append(f"s{speaker} u{test:02d} {'target' if target else 'nontarget'}\n")
            for name, distance in (("untrained", 0.5), ("csc", 2.5)):
                scores[name].append(f"s{speaker} u{test:02d} {rng.normal() + distance * target:.5f}\n")
    (tmp_path / "trials").write_text("".join(keys))
    (tmp_path / "utt2cond").write_text("".join(conditions))
    for name, lines in scores.items():
        (tmp_path / name / "scores").write_text("".join(lines))
    return tmp_path


def run(folder: Path, *more: str):
    arguments = [f"{folder}/trials", f"{folder}/untrained/scores", f"{folder}/csc/scores", f"{folder}/out"]
    return CliRunner().invoke(main, ["evaluate", *arguments, *more])


def test_two_systems(files):
    result = run(files, "--utt2cond", f"{files}/utt2cond", "--bootstrap", "100")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (files / "out").iterdir()} == {
        "results.json",
        "results.md",
        "det.png",
        "histogram.png",
        "reliability.png",
    }
    for word in ("clean", "mixed", "all", "csc / untrained", "30 / 150", "det.png"):
        assert word in result.stdout
    conditions = json.loads((files / "out" / "results.json").read_text())["conditions"]
    # The better system is better beyond doubt: the bar that the recipes hold their results to.
    assert all(condition["comparisons"]["csc"]["eer_ratio"]["high"] < 1 for condition in conditions)


def test_names_and_tables(files):
    (files / "spk").write_text("".join(f"u{i:02d} s{i % 6} s{(i + 1) % 6}\n" for i in range(60)))
    (files / "models").write_text("".join(f"s{i} s{i}\n" for i in range(6)))
    tables = ("--utt2spk", f"{files}/spk", "--enroll-utt2spk", f"{files}/models")
    result = run(files, "--name", "before", "--name", "after", "--bootstrap", "20", *tables)
    assert result.exit_code == 0, result.output
    about = json.loads((files / "out" / "results.json").read_text())
    assert [system["name"] for system in about["systems"]] == ["before", "after"]
    assert "given table" in about["intervals"]["speakers_from"]


def test_every_input_may_be_a_command(files):
    arguments = [f"cat {files}/trials |", f"gzip -c {files}/csc/scores | gunzip -c |", f"{files}/out"]
    condition = f"cat {files}/utt2cond |"
    result = CliRunner().invoke(
        main, ["evaluate", *arguments, "--utt2cond", condition, "--name", "CSC", "--bootstrap", "0"]
    )
    assert result.exit_code == 0, result.output
    results = json.loads((files / "out" / "results.json").read_text())
    assert results["systems"] == [{"name": "CSC", "path": arguments[1]}]
    assert [part["name"] for part in results["conditions"]] == ["clean", "mixed", "all"]
    assert arguments[1] in (files / "out" / "results.md").read_text()


def test_operating_points_and_pdf(files):
    points = ("--p-target", "0.01", "--p-target", "0.1", "--c-miss", "10", "--c-miss", "1")
    result = run(files, "--bootstrap", "20", "--pdf", *points)
    assert result.exit_code == 0, result.output
    about = json.loads((files / "out" / "results.json").read_text())
    assert about["operating_points"] == [
        {"p_target": 0.01, "c_miss": 10.0, "c_fa": 1.0}, {"p_target": 0.1, "c_miss": 1.0, "c_fa": 1.0},
    ]  # fmt: skip
    for word in ("minDCF(0.01, 10, 1)", "minDCF(0.1)", "actDCF(0.1)", "Cllr", f"SHA-256 {about['trials']['sha256']}"):
        assert word in result.stdout
    for name in ("det", "histogram", "reliability"):
        assert (files / "out" / f"{name}.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("damage", "more", "message"),
    [
        (lambda f: (f / "csc" / "scores").write_text("s0 u00 1.0\n"), (), "359 trials have no score"),
        (lambda f: (f / "csc" / "scores").write_text("s0 u00 high\n"), (), "is not a finite number"),
        (lambda f: (f / "csc" / "scores").write_bytes(b"\xff\xfe\0"), (), "csc/scores:1: "),
        (lambda f: (f / "trials").write_text(""), (), "is empty"),
        (lambda f: (f / "utt2cond").write_text("u00 clean\n"), ("--utt2cond",), "no condition for 59 test utterance"),
        (lambda f: None, ("--name", "one"), "need as many different names"),
        (lambda f: None, ("--p-target", "2"), "must lie between 0 and 1"),
    ],
)
def test_errors_are_one_line_and_a_status(files, damage, more, message):
    damage(files)
    more = (*more, f"{files}/utt2cond") if more == ("--utt2cond",) else more
    result = run(files, *more)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (files / "out").exists()
