"""Steps of a budget: from a timed probe or from counted work, found once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csc_cli.errors import CscError
from csc_cli.experiment import budget, size
from csc_cli.experiment.cell import Key, Place, Training
from csc_cli.experiment.grid import Budget, ProbeConfig, System, TrainingSet


class Clock:
    """Stands for the commands: a training whose steps take `seconds` after a slow beginning."""

    def __init__(self, seconds: float, macs: float | None = None) -> None:
        self.seconds, self.macs, self.calls = seconds, macs, []  # type: ignore[var-annotated]

    def csc(self, _folder: Path, *arguments: Any, output: Path | None = None) -> None:
        self.calls.append(arguments)
        if arguments[0] == "info":
            settings = {"batch": {"utterances": 8, "conditions": 2}, "mixtures": {"crop_s": 2.5}, "optimiser": {}}
            facts = {"settings": settings, "macs_per_second": self.macs, "macs_per_second_by_part": {}}
            assert output is not None
            output.write_text(json.dumps(facts))
            return
        steps, target = arguments[-1], next(word for word in arguments if isinstance(word, Path))
        target.mkdir()
        every = next((int(word.split("=")[1]) for word in arguments if "log_every" in str(word)), 1)
        at = {*range(every, steps + 1, every), steps} if steps else set()
        rows = [{"step": step, "seconds": round(100 + self.seconds * step, 1), "loss": 1.0} for step in sorted(at)]
        (target / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def training(folder: Path, share: float = 1.0, **amount: float) -> Training:
    key = Key("", "", "")
    of = Budget("b", **amount) if amount else None
    system = System("csc", config="csc.yaml", share=share)
    return Training(Place("csc", "all", "b", 0), key, folder, system, TrainingSet("all", "data"), of, 0, ())


@pytest.mark.parametrize("seconds", [3.0, 0.25, 0.004])
def test_a_step_is_timed_without_the_beginning(tmp_path: Path, seconds: float) -> None:
    clock = Clock(seconds)
    found = budget.time_a_step(tmp_path, ProbeConfig(warmup=10, steps=30), clock, ["train"])  # type: ignore[arg-type]
    # Tenths of a second in the history: the probe is long enough for them to count little.
    assert found == pytest.approx(seconds, rel=0.06)
    assert not (tmp_path / "probe").exists()


def test_steps_of_minutes_are_found_once(tmp_path: Path) -> None:
    work = training(tmp_path, share=0.5, minutes=10)
    assert budget.fixed_steps(work, ProbeConfig(), Clock(1.0), ["train"]) == 300  # type: ignore[arg-type]
    slower = Clock(2.0)
    assert budget.fixed_steps(work, ProbeConfig(), slower, ["train"]) == 300  # type: ignore[arg-type]
    assert slower.calls == []


def test_steps_of_macs_are_counted(tmp_path: Path) -> None:
    # 16 mixtures of 2.5 s are 40 s of audio; forward once, backward twice.
    each = 40 * 3 * 1e9
    commands = Clock(1.0, macs=1e9)
    work = training(tmp_path, macs=10.5 * each)
    assert budget.fixed_steps(work, ProbeConfig(), commands, ["train"]) == 10  # type: ignore[arg-type]
    assert [call[0] for call in commands.calls] == ["info"]


def test_a_budget_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CscError, match="single step"):
        budget.fixed_steps(training(tmp_path, minutes=0.01), ProbeConfig(), Clock(1.0), ["train"])  # type: ignore[arg-type]


def test_no_budget_means_no_steps(tmp_path: Path) -> None:
    assert budget.fixed_steps(training(tmp_path), ProbeConfig(), Clock(1.0), []) == 0  # type: ignore[arg-type]


def test_frozen_parts_have_no_backward_pass() -> None:
    by_part = {"filterbank": 1.0, "trunk": 2.0, "separation head": 3.0, "embedder": 10.0, "total": 16.0}
    batch = {"batch": {"utterances": 4, "conditions": 1}, "mixtures": {"crop_s": 0.5}}

    def macs(*frozen: str) -> float:
        settings = {**batch, "optimiser": {"frozen": list(frozen)}}
        return size.macs_of_step({"settings": settings, "macs_per_second": 16.0, "macs_per_second_by_part": by_part})

    seconds = 4 * 0.5
    assert macs() == seconds * 3 * 16
    assert macs("encoder") == seconds * (6 + 3 * 10)
    assert macs("encoder.trunk") == seconds * (2 + 3 * 14)
