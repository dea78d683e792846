"""The ordered map over processes: the same results in the same order, errors and kills passed on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import connection
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from csc_cli import parallel
from csc_cli.errors import ConfigError, CscError, DataError

# Workers import the function by its module's name, which test modules do not have here: it lies in a folder of its own.
MODULE = """
import os, signal, time
from csc_cli import progress
from csc_cli.errors import DataError

def slow_first(item):
    time.sleep(0.3 if item == 0 else 0)
    return item * item

def slowest_first(item):
    time.sleep(1.5 if item == 0 else 0)
    return item

def fail_at_3(item):
    if item == 3:
        raise DataError(f"wav.scp:{item}: no such recording")
    return item

def die(item):
    os.kill(os.getpid(), signal.SIGKILL)

def quiet(item):
    return progress.is_quiet()

def pid_and_wait(folder):
    open(f"{folder}/{os.getpid()}", "w").close()
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "jobs_of_test.py").write_text(MODULE)
    sys.path.insert(0, str(folder))
    import jobs_of_test

    yield jobs_of_test
    sys.path.remove(str(folder))


@pytest.mark.parametrize("nj", [1, 2])
def test_results_come_in_the_order_of_the_items(jobs: ModuleType, nj: int) -> None:
    assert list(parallel.ordered_map(jobs.slow_first, iter(range(25)), nj)) == [item * item for item in range(25)]
    assert list(parallel.ordered_map(jobs.slow_first, [], nj)) == []


@pytest.mark.parametrize("nj", [1, 2])
def test_an_error_comes_at_the_place_of_its_item(jobs: ModuleType, nj: int) -> None:
    results = parallel.ordered_map(jobs.fail_at_3, range(10), nj)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=r"wav\.scp:3: no such recording"):
        next(results)


def test_items_are_drawn_as_they_are_needed(jobs: ModuleType) -> None:
    drawn = []

    def items() -> Iterator[int]:
        for item in range(1000):
            drawn.append(item)
            yield item

    results = parallel.ordered_map(jobs.slow_first, items(), 2)
    next(results)
    assert len(drawn) <= 4 * 2 + 1
    results.close()


def test_closing_ends_where_the_newest_item_alone_is_left(jobs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's thread hears of that item and of the end at once: it must not wait for what was cancelled."""
    hear = connection.wait

    def late(*arguments: Any) -> Any:
        heard = hear(*arguments)
        time.sleep(0.1)
        return heard

    def items() -> Iterator[int]:
        for item in range(20):
            time.sleep(0.5 if item == 8 else 0)  # all eight before are done, and nothing is under way
            yield item

    monkeypatch.setattr(connection, "wait", late)
    results = parallel.ordered_map(jobs.slowest_first, items(), 2)
    assert next(results) == 0
    closing = threading.Thread(target=results.close, daemon=True)  # type: ignore[attr-defined]
    closing.start()
    closing.join(20)
    assert not closing.is_alive()


def test_no_jobs_is_refused() -> None:
    with pytest.raises(ConfigError, match="--nj 0"):
        list(parallel.ordered_map(str, [1], 0))


def test_a_killed_worker_is_an_error_with_a_remedy(jobs: ModuleType) -> None:
    with pytest.raises(CscError, match="try --nj 1"):
        list(parallel.ordered_map(jobs.die, range(4), 2))


def test_workers_are_as_quiet_as_the_parent(jobs: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csc_cli.progress._quiet", True)
    assert list(parallel.ordered_map(jobs.quiet, range(2), 2)) == [True, True]


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
import jobs_of_test
from csc_cli.parallel import ordered_map
if __name__ == "__main__":
    list(ordered_map(jobs_of_test.pid_and_wait, [sys.argv[2]] * 2, 2))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(jobs: ModuleType, tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "pids").mkdir()
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, tmp_path / "parent.py", Path(jobs.__file__).parent, tmp_path / "pids"]
    with subprocess.Popen(command) as parent:
        wait_until(lambda: len(list((tmp_path / "pids").iterdir())) == 2 or parent.poll() is not None)
        assert parent.poll() is None
        parent.send_signal(how)
    pids = [int(path.name) for path in (tmp_path / "pids").iterdir()]
    wait_until(lambda: not any(map(alive, pids)))


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
