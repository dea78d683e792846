"""Tasks in the order in which they need each other, several at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from csc_cli.errors import CscError
from csc_cli.experiment.run import Task, schedule


def task(name: str, *needs: str) -> Task:
    return Task(name, SimpleNamespace(folder=Path(name)), tuple(map(Path, needs)))  # type: ignore[arg-type]


TASKS = [task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"), task("e"), task("f", "outside")]


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_needs_come_first_and_no_more_than_asked_for_run_at_once(jobs: int) -> None:
    running, most, ended, guard = set(), [0], [], threading.Lock()  # type: ignore[var-annotated]

    def work(task: Task) -> None:
        with guard:
            running.add(task.name)
            most[0] = max(most[0], len(running))
            assert all(str(need) in ended for need in task.needs if str(need) != "outside")
        time.sleep(0.02)
        with guard:
            running.remove(task.name)
            ended.append(task.name)

    outcome = schedule(TASKS, work, jobs)
    assert sorted(ended) == list("abcdef") and outcome.failures == []
    assert 1 <= most[0] <= jobs and (jobs == 1 or most[0] > 1)


def test_what_needs_a_failure_is_left_out_and_the_rest_is_done() -> None:
    ended = []

    def work(task: Task) -> None:
        if task.name == "b":
            raise CscError("out of luck")
        ended.append(task.name)

    outcome = schedule(TASKS, work, 2)
    assert sorted(ended) == list("acef") and outcome.failures == ["b: out of luck"]


def test_a_defect_is_raised() -> None:
    def work(task: Task) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        schedule([task("a")], work, 1)
