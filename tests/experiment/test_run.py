"""`csc experiment` as a user meets it: what it runs, what it shows, what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from csc_cli.errors import CscError
from csc_cli.experiment import budget, commands, keys
from csc_cli.experiment.measure import draw_errors

Run = Callable[..., Result]


def add(place: Path, *systems: str, rest: str = "") -> None:
    """More systems, and more keys, in the grid."""
    text = (place / "grid.yaml").read_text() + "".join(f"  - {{{system}}}\n" for system in systems) + rest
    (place / "grid.yaml").write_text(text)


def cells(place: Path, trials: str = "dev") -> list[Path]:
    return sorted((place / "exp" / "cells" / trials).rglob("result.json"))


def words(shown: list[str]) -> list[str]:
    """The commands' names."""
    return [line.split()[1] for line in shown]


def rows(text: str, system: str) -> list[list[str]]:
    """The rows of a system in all tables."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(f"| {system} |")]
    return [[cell.strip() for cell in line] for line in lines]


@pytest.fixture
def done(experiment: Run, inline: list[str]) -> Result:
    """The grid, run."""
    result = experiment()
    inline.clear()
    return result


def test_from_nothing_to_the_tables(experiment: Run, inline: list[str], place: Path) -> None:
    result = experiment()
    assert words(inline) == ["train", "info", "extract", "extract", "score", "evaluate"]
    (path,) = cells(place)
    said = json.loads(path.read_text())
    assert said["place"] == {"system": "csc", "training": "six", "budget": "short", "seed": 0, "trials": "dev"}
    # 0.01 minutes of steps of 0.1 s (fixture) are 6 steps, and these were made.
    assert [part["steps"] for part in said["trainings"]] == [6]
    history = next((place / "exp/models").rglob("train.jsonl")).read_text().splitlines()
    assert json.loads(history[-1])["step"] == 6
    draws = draw_errors(place / "trials", path.parent / "scores", 50)
    first = rows(result.stdout, "csc")[0]
    assert first[:3] == ["csc", "labels", "1"]
    assert [re.match(r"[\d.]+", cell)[0] for cell in first[3:]] == [f"{100 * rate:.1f}" for rate in draws.eer]  # type: ignore[index]
    report = json.loads((place / "exp/report/dev.json").read_text())
    assert report[0]["systems"][0]["eer"]["clean"]["value"] == pytest.approx(draws.eer[0])


def test_steps_can_be_fixed_before_any_training(
    experiment: Run, inline: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(place, "name: half, config: tiny.yaml, share: 0.5", "name: tuned, config: tiny.yaml, init: [half], share: 0.5")
    text = experiment("--probe").stdout
    assert inline == [] and not list((place / "exp").rglob("model.safetensors"))
    assert "train half, six, short, seed 0: 3 steps" in text and "6 steps" in text
    assert "train tuned, six, short, seed 0: not before" in text
    monkeypatch.setattr(budget, "time_a_step", lambda *_: 0.3)  # a busy machine, later
    experiment("--only", "half")
    assert [line.split()[-1] for line in inline if line.split()[1] == "train"] == ["3"]


def test_what_is_there_is_not_run_again(experiment: Run, done: Result, inline: list[str], place: Path) -> None:
    again = experiment()
    assert inline == [] and again.stdout == done.stdout
    add(place, "name: more, config: tiny.yaml, untrained: true")
    experiment()
    assert words(inline) == ["train", "info", "extract", "extract", "score", "evaluate"]
    assert all("/more/" in line for line in inline)


def test_an_interrupted_grid_goes_on_with_the_same_steps(
    experiment: Run, inline: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = commands.Commands.run

    def broken(self: Any, folder: Path, command: Any, text: str, output: Path | None = None) -> None:
        if " score " in text:
            raise CscError("the machine went down")
        whole(self, folder, command, text, output)

    monkeypatch.setattr(commands.Commands, "run", broken)
    result = experiment(status=1)
    assert "the machine went down" in result.stderr and cells(place) == []
    assert "| csc | not run |" in result.stderr
    monkeypatch.setattr(commands.Commands, "run", whole)
    monkeypatch.setattr(budget, "time_a_step", lambda *_: pytest.fail("the steps are known"))
    inline.clear()
    experiment()
    assert words(inline) == ["extract", "extract", "score", "evaluate"] and len(cells(place)) == 1
    log = (cells(place)[0].parent / "log").read_text()
    assert log.count("already whole") == 2


def test_a_cell_without_its_proofs_is_refused(experiment: Run, done: Result, inline: list[str], place: Path) -> None:
    folder = cells(place)[0].parent
    for proof in ("log", "scores", "draws.npz", "errors/results.json"):
        (folder / proof).rename(place / "aside")
        for options in ([], ["--report"]):
            result = experiment(*options, status=1)
            assert "| csc | refused |" in result.stderr and f"{proof}: is gone" in result.stderr
            assert inline == [], "a proof is never made over"
        report = json.loads((place / "exp/report/dev.json").read_text())
        assert "eer" not in report[0]["systems"][0]
        (place / "aside").rename(folder / proof)
    assert experiment().stdout == done.stdout


def test_a_model_that_is_not_what_was_trained_is_refused(experiment: Run, done: Result, place: Path) -> None:
    folder = next((place / "exp/models").rglob("done.json")).parent
    for proof in ("log", "model/train.jsonl", "model/model.safetensors", "model/config.yaml", "steps.json"):
        before = (folder / proof).read_bytes()
        (folder / proof).write_bytes(before + b"\n")
        result = experiment("--report", status=1)
        assert "| csc | refused |" in result.stderr and f"{proof}: is not what it was" in result.stderr
        (folder / proof).write_bytes(before)


def test_a_result_of_another_key_is_refused(experiment: Run, done: Result, place: Path) -> None:
    path = cells(place)[0]
    said = json.loads(path.read_text())
    said["key"]["code"] = "0" * 64
    path.write_text(json.dumps(said))
    assert "another key than its folder" in experiment(status=1).stderr


def test_results_of_other_code_settings_or_data_are_stale(
    experiment: Run, done: Result, inline: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(what: str) -> None:
        result = experiment("--report")
        assert "| csc | stale |" in result.stdout and f"stale: other {what}" in result.stdout

    real = keys.code_digest
    with monkeypatch.context() as patch:
        patch.setattr(keys, "code_digest", lambda entries: real(entries) + "changed")
        stale("code")
        experiment()
        assert words(inline).count("train") == 1 and len(cells(place)) == 2, "beside the old one"
    with monkeypatch.context() as patch:
        patch.setattr(keys, "code_digest", lambda entries: real(entries) + "again")
        stale("code")
    config = place / "tiny.yaml"
    config.write_text(config.read_text().replace("embedding: 8", "embedding: 4"))
    stale("config")
    config.write_text(config.read_text().replace("embedding: 4", "embedding: 8"))
    assert "stale" not in experiment("--report").stdout, "as it was"
    with open(place / "trials" / "utt2cond", "a") as stream:
        stream.write("zzz clean\n")
    stale("plan")


def test_a_comment_in_the_config_is_no_change(experiment: Run, done: Result, inline: list[str], place: Path) -> None:
    (place / "tiny.yaml").write_text("# words\n" + (place / "tiny.yaml").read_text())
    experiment()
    assert inline == []


def test_code_that_changes_while_it_runs_proves_nothing(
    experiment: Run, inline: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = keys.code_digest, []

    def changing(entries: tuple[str, ...]) -> str:
        calls.append(entries)
        return real(entries) + str(len(calls))

    monkeypatch.setattr(keys, "code_digest", changing)
    result = experiment(status=1)
    assert "changed while this ran" in result.stderr and cells(place) == []


def test_what_cannot_run_is_shown_and_stops_nothing_else(experiment: Run, inline: list[str], place: Path) -> None:
    add(place, "name: later, config: later.yaml", "name: odd, config: tiny.yaml, set: [optimiser.learning_rate=1e30]")
    result = experiment(status=1)
    assert "| later | not run |" in result.stderr and "later.yaml: cannot read" in result.stderr
    assert "train odd, six, short, seed 0" in result.stderr and "| odd | not run |" in result.stderr
    assert len(cells(place)) == 1 and rows(result.stderr, "csc")[0][2] == "1"
    assert "2 of the grid's results are not there:\n  train odd" in result.stderr


def test_seeds_are_counted(experiment: Run, inline: list[str], place: Path) -> None:
    add(place, rest="seeds: [0, 1]\n")
    experiment()
    assert len(cells(place)) == 2 and all(row[1] == "2" for row in rows(experiment().stdout, "csc")[1:])
    weights = [path.read_bytes() for path in (place / "exp/models").rglob("model.safetensors")]
    assert weights[0] != weights[1]
    result = cells(place)[1]
    result.unlink()
    assert rows(experiment("--report").stdout, "csc")[0][2] == "1 of 2"


def test_dry_run_runs_nothing(experiment: Run, inline: list[str], place: Path) -> None:
    add(place, "name: later, config: later.yaml")
    text = experiment("--dry-run").stdout
    assert inline == [] and not (place / "exp").exists()
    assert "train csc, six, short, seed 0: about 0 min" in text and "score csc, six, short, seed 0 on dev" in text
    assert "cannot run later" in text


def test_only_some_systems(experiment: Run, inline: list[str], place: Path) -> None:
    add(place, "name: other, config: tiny.yaml")
    text = experiment("--only", "other").stdout
    assert all("/other/" in line for line in inline) and "| csc | not run |" in text
    assert "did you mean 'other'" in experiment("--only", "othr", status=1).stderr
    assert "--budget long: not in the grid" in experiment("--budget", "long", status=1).stderr


def test_only_some_training_sets_and_budgets(experiment: Run, inline: list[str], place: Path, csc: Run) -> None:
    csc("data", "copy", "--spk-prefix", "x-", "--utt-prefix", "x-", "others", "strangers")
    text = (place / "grid.yaml").read_text()
    text = text.replace("data: train}", "data: train}, {name: more, data: more, optional: true}")
    text = text.replace("minutes: 0.01}", "minutes: 0.01}, {name: long, macs: 1e9}")
    (place / "grid.yaml").write_text(text + "dev: strangers\n")
    assert "| csc | not run |" in experiment("--training", "six", "--budget", "short").stdout
    assert len(cells(place)) == 1 and "--dev strangers" in inline[0]
    assert "dev_eer_mixed" in next((place / "exp/models").rglob("train.jsonl")).read_text()
    # The training set that is not there is optional: no failure.
    experiment()
    assert len(cells(place)) == 2 and sum("/long/" in line for line in inline) > 0
    steps = [json.loads(path.read_text()) for path in sorted((place / "exp/models").rglob("steps.json"))]
    info = json.loads(next((place / "exp/models/csc/six/long").rglob("info.json")).read_text())
    # Forward once and backward twice through 4 mixtures of 0.5 s.
    assert steps[0]["steps"] == int(1e9 / (3 * 4 * 0.5 * info["macs_per_second"]))


def test_a_system_begins_from_parts_of_others(experiment: Run, inline: list[str], place: Path) -> None:
    add(
        place, "name: first, config: tiny.yaml, share: 0.5, part: true",
        "name: second, config: tiny.yaml, share: 0.5, init: [encoder.trunk=first]",
        "name: used, model: second, streams: best, separates: true",
    )  # fmt: skip
    result = experiment("--only", "second", "--only", "used")
    trains = [line for line in inline if line.split()[1] == "train"]
    assert [re.search(r"exp/models/(\w+)", line.split()[-3])[1] for line in trains] == ["first", "second"]  # type: ignore[index]
    assert re.search(r"--init encoder.trunk=exp/models/first/\S+/model ", trains[1])
    # 6 steps for a whole budget: 3 for each half, and the row shows what both cost together.
    assert all("--max-steps 3" in line for line in trains)
    assert rows(result.stdout, "first") == []
    assert rows(result.stdout, "second")[-1][4] == "6" and rows(result.stdout, "used")[-1][4] == "6"
    assert "SI-SNRi" in result.stdout and not list((place / "exp/cells").rglob("separated"))


SCRIPT = """
import sys
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import VectorWriter
import numpy as np
out, data = sys.argv[2], DataDir.load(sys.argv[1])
for name, keys in (("xvector", [u.id for u in data.utterances]), ("spk_xvector", data.spk2utt)):
    with VectorWriter(f"ark,scp:{out}/{name}.ark,{out}/{name}.scp") as writer:
        for key in keys:
            writer.write(key, np.random.default_rng(len(key)).normal(size=4).astype(np.float32) + ord(key[3]))
"""


def test_an_external_command_writes_the_vectors(
    experiment: Run, inline: list[str], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "make.py").write_text(SCRIPT)
    add(
        place, f"name: other, external: '{sys.executable} make.py {{data}} {{out}}', group: reference",
        rest="seeds: [0, 1]\n",
    )  # fmt: skip

    def shell(self: Any, folder: Path, command: str) -> None:
        inline.append("sh shell " + command)
        out = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        assert out.returncode == 0, out.stderr
        (folder / "log").open("a").write(command)

    monkeypatch.setattr(commands.Commands, "shell", shell)
    text = experiment("--only", "other").stdout
    assert words(inline) == ["shell", "shell", "score", "evaluate"], "once, whatever the seeds and budgets"
    assert rows(text, "other")[0][:3] == ["other", "reference", "1"]
    (place / "make.py").write_text(SCRIPT + "# changed")
    assert "stale: other code" in experiment("--report").stdout


def test_the_best_rival_on_development_is_the_baseline(experiment: Run, inline: list[str], place: Path) -> None:
    add(
        place, "name: r1, config: tiny.yaml, untrained: true, rival: true",
        "name: r2, config: tiny.yaml, rival: true, set: [seed=3]",
        "name: self, config: tiny.yaml, group: no labels, untrained: true",
    )  # fmt: skip
    text = experiment().stdout
    report = json.loads((place / "exp/report/dev.json").read_text())[0]
    rates = {row["system"]: row["eer"]["2talkers_0dB"]["value"] for row in report["systems"]}
    best = min(("r1", "r2"), key=lambda name: (rates[name], name))
    assert report["baselines"] == {"labels": best}
    ratio = next(row for row in report["systems"] if row["system"] == "csc")["eer_ratio"]["2talkers_0dB"]["value"]
    assert ratio == pytest.approx(rates["csc"] / rates[best])
    assert f"EER as a ratio to {best}" in text
    assert "eer_ratio" not in report["systems"][-1], "rows without labels are not held against rows with"
    proposed = (place / "exp/report/choices.yaml").read_text()
    assert f"system: {best}" in proposed and "thresholds:" in proposed


def test_a_deciding_condition_that_is_not_there_is_named(experiment: Run, inline: list[str], place: Path) -> None:
    add(place, rest="condition: 2talkers_1dB\n")
    assert "did you mean '2talkers_0dB'" in experiment(status=1).stderr


@pytest.mark.long
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(place: Path) -> None:
    """As processes of their own: stopped in the middle of the training, and of what comes after it."""
    text = (place / "grid.yaml").read_text().replace("minutes: 0.01", "minutes: 0.4")
    (place / "grid.yaml").write_text(text)
    command = [sys.executable, "-m", "csc_cli.cli.main", "experiment", "--device", "cpu", "grid.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    steps = None
    for until in ("model/train.jsonl", "enroll"):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not list((place / "exp").rglob(until)):
            time.sleep(0.1)
        if until == "model/train.jsonl":
            busy = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert busy.returncode == 1 and "another process is at work here" in busy.stderr
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert process.returncode == 1 and "Error: stopped; the same command goes on" in said, said
        assert cells(place) == []
        found = next((place / "exp").rglob("steps.json")).read_text()
        steps = steps or found
        assert found == steps
    last = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert last.returncode == 0 and len(cells(place)) == 1, last.stderr
    assert next((place / "exp").rglob("steps.json")).read_text() == steps
    log = next((place / "exp/models").rglob("log")).read_text()
    assert log.count("$ csc train") >= 3 and "going on from step" in log
    rows = [json.loads(line) for line in next((place / "exp").rglob("model/train.jsonl")).read_text().splitlines()]
    at = [row["step"] for row in rows if "seconds" in row]
    assert at == sorted(set(at)) and at[-1] == json.loads(steps)["steps"]
    assert (place / "exp/report/dev-six-short-sir.png").exists()
    assert (place / "exp/report/dev-six-short-course.png").exists()
