"""A test set is scored only after what was chosen on development is committed, and each scoring is logged."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]
CHOICES = """\
goals:
  - {system: csc, condition: 2talkers_0dB, ratio: 1000}
  - {system: csc, condition: clean, difference: -1000}
baselines: [{group: labels, system: rival}]
scoring: cosine, the best stream
settings: as in the config
thresholds: [{system: csc, value: 0.25}]
"""


def git(place: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    run = subprocess.run(["git", "-C", str(place), *who, *arguments], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.fixture
def grid(place: Path, inline: list[str]) -> Path:
    text = (place / "grid.yaml").read_text()
    text = text.replace("trials:\n", "trials:\n  - {name: held, folder: trials, use: test}\n")
    rival = "  - {name: rival, config: tiny.yaml, rival: true, untrained: true}\n"
    (place / "grid.yaml").write_text(text + rival + "choices: choices.yaml\ntest_log: log.md\n")
    return place


@pytest.fixture
def repository(grid: Path) -> Path:
    (grid / "choices.yaml").write_text(CHOICES)
    git(grid, "init", "-q")
    git(grid, "add", "grid.yaml", "choices.yaml", "tiny.yaml")
    git(grid, "commit", "-q", "-m", "chosen")
    return grid


def test_development_alone_is_scored_by_default(grid: Path, experiment: Run) -> None:
    assert "held" not in experiment().stdout
    assert not (grid / "exp/cells/held").exists() and not (grid / "log.md").exists()


def test_without_choices_a_test_set_is_refused(grid: Path, experiment: Run, inline: list[str]) -> None:
    assert "choices.yaml: not found" in experiment("--test", status=1).stderr
    text = (grid / "grid.yaml").read_text()
    (grid / "grid.yaml").write_text(text.replace("choices: choices.yaml\n", ""))
    assert "--test needs `choices`" in experiment("--test", status=1).stderr
    assert inline == []


@pytest.mark.parametrize("file", ["choices.yaml", "grid.yaml", "tiny.yaml"])
def test_what_is_not_committed_as_it_is_is_refused(
    repository: Path, experiment: Run, inline: list[str], file: str
) -> None:
    path = repository / file
    path.write_text(path.read_text() + "# later\n")
    assert f"{file}: not committed as it is" in experiment("--test", status=1).stderr
    git(repository, "rm", "-q", "--cached", file)
    assert f"{file}: not committed as it is" in experiment("--test", status=1).stderr
    assert inline == [] and not (repository / "log.md").exists()


def test_each_scoring_is_logged(repository: Path, experiment: Run) -> None:
    text = experiment("--test").stdout
    commit = git(repository, "rev-parse", "--short=12", "HEAD").strip()
    (line,) = [line for line in (repository / "log.md").read_text().splitlines() if line.startswith("| 2")]
    assert "| grid.yaml | held |" in line and "| 2 | csc, rival |" in line and line.endswith(f"| {commit} |")
    assert "## held" in text and "## dev" in text
    assert "csc, 2talkers_0dB: ratio to rival" in text and "interval below 1: " in text
    assert "csc, clean: difference to rival" in text and "below -1000 %: not reached" in text
    assert "csc, seed 0, from 0.25 on: clean " in text
    experiment("--test")
    assert (repository / "log.md").read_text().count("\n| 2") == 1, "nothing new was scored"
    (repository / "tiny.yaml").write_text((repository / "tiny.yaml").read_text().replace("warmup: 2", "warmup: 1"))
    git(repository, "commit", "-qam", "another")
    experiment("--test")
    assert (repository / "log.md").read_text().count("\n| 2") == 2


def test_choices_of_systems_that_are_not_there_are_refused(repository: Path, experiment: Run) -> None:
    (repository / "choices.yaml").write_text(CHOICES.replace("system: rival", "system: rivel"))
    assert "no system 'rivel'; did you mean 'rival'" in experiment("--report", status=1).stderr
