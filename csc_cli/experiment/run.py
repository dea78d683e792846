"""Everything that a grid lacks, in the order in which one thing needs another, several at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from csc_cli.errors import ConfigError, CscError, nearest
from csc_cli.experiment import choices, report, scoring, training
from csc_cli.experiment.cell import Cell, Impossible, Place, Planner, Training
from csc_cli.experiment.commands import Commands, Stopped
from csc_cli.experiment.grid import Grid, TrialSet, load_grid
from csc_cli.history import HISTORY
from csc_cli.progress import note

POLL_S = 0.5  # a signal is answered that soon


@dataclass(frozen=True)
class Task:
    """A training or a cell, and the tasks that must have ended well before."""

    name: str
    work: Training | Cell
    needs: tuple[Path, ...] = ()


@dataclass
class Outcome:
    """What became of the tasks."""

    failures: list[str] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)
    done: set[Path] = field(default_factory=set)


def run_experiment(
    path: Path,
    *,
    test: bool = False,
    only: Sequence[str] = (),
    training_sets: Sequence[str] = (),
    budgets: Sequence[str] = (),
    jobs: int = 1,
    nj: int = 1,
    device: str = "auto",
    dry_run: bool = False,
    report_only: bool = False,
    probe_only: bool = False,
) -> str:
    """Train and score what a grid lacks, then write its tables and figures; the entry of `csc experiment`.

    Args:
        test: score the test sets, too; they need a committed file of choices, and the scoring is logged.
        only, training_sets, budgets: names of what is run; the rest is shown as it is. Without names all.
        jobs: trainings and cells at once.
        nj: processes of each extraction and separation.
        probe_only: fix the steps of the trainings whose budget is in minutes, and train nothing.

    Returns:
        The tables, in Markdown; with `dry_run` what would be run, with `probe_only` the steps.

    Raises:
        ConfigError: the grid is unfit, or the choices are not committed.
        CscError: at the end, where something failed or is refused; the rest is done and written.
        Stopped: Ctrl-C or SIGTERM; the same command goes on.
    """
    grid = load_grid(path)
    chosen = Chosen(grid, only, training_sets, budgets)
    planner = Planner(grid)
    cells = [cell for trials in trial_sets(grid, test) for cell in planner.cells(trials)]
    wanted = [cell for cell in cells if chosen.has(cell.place)]
    possible = [cell for cell in wanted if isinstance(cell, Cell)]
    tasks = [task for task in tasks_of(possible) if not is_done(task.work)]
    if dry_run:
        return "\n".join(forecast(tasks, [cell for cell in wanted if isinstance(cell, Impossible)]))
    if probe_only:
        return "\n".join(probe(tasks, grid, jobs, device))
    outcome = Outcome()
    if not report_only:
        if test:
            choices.log_test(path, grid, [task.work for task in tasks if isinstance(task.work, Cell)])
        outcome = perform(tasks, grid, jobs, nj, device)
        outcome.failures += [
            f"{cell}: {cell.reason}" for cell in wanted if isinstance(cell, Impossible) and not cell.excused
        ]
    text, refused = report.write_report(grid, planner)
    problems = [*outcome.failures, *(line for line in refused if line not in outcome.failures)]
    if problems:
        note(text)
        raise CscError("\n".join([f"{len(problems)} of the grid's results are not there:", *indented(problems)]))
    return text


class Chosen:
    """Which systems, training sets and budgets are run."""

    def __init__(self, grid: Grid, only: Sequence[str], training_sets: Sequence[str], budgets: Sequence[str]) -> None:
        """Raises ConfigError for a name that the grid does not have."""
        self.names = (only, training_sets, budgets)
        known_names = {
            "--only": [system.name for system in grid.systems],
            "--training": [training.name for training in grid.training],
            "--budget": [budget.name for budget in grid.budgets],
        }
        for names, (option, known) in zip(self.names, known_names.items(), strict=True):
            for name in names:
                if name not in known:
                    raise ConfigError(f"{option} {name}: not in the grid; {nearest(name, known)}")

    def has(self, place: Place) -> bool:
        """Whether a cell is run; one that depends on no training set or budget goes with each."""
        parts = (place.system, place.training, place.budget)
        return all(not names or part is None or part in names for names, part in zip(self.names, parts, strict=True))


def trial_sets(grid: Grid, test: bool) -> list[TrialSet]:
    """Those of development, and with `test` all."""
    found = [trials for trials in grid.trials if test or trials.use == "development"]
    if not found:
        raise ConfigError("trials: none is for development; only --test scores the others")
    return found


def tasks_of(cells: Iterable[Cell]) -> list[Task]:
    """Each training once, before what needs it."""
    tasks: dict[Path, Task] = {}
    for cell in cells:
        for work in scoring.trainings(cell):
            needs = tuple(other.folder for other in work.initial)
            tasks.setdefault(work.folder, Task(f"train {work.place}", work, needs))
        needs = (cell.training.folder,) if cell.training else ()
        tasks[cell.folder] = Task(f"score {cell}", cell, needs)
    return list(tasks.values())


def is_done(work: Training | Cell) -> bool:
    """Whether there is a result, be it proved or not: one that is not is refused, never made over."""
    return training.is_done(work) if isinstance(work, Training) else (work.folder / scoring.RESULT).exists()


def forecast(tasks: Iterable[Task], impossible: Iterable[Impossible]) -> Iterator[str]:
    """What would be run, a line each, with the minutes that trainings may still take."""
    total = 0.0
    for task in tasks:
        minutes = minutes_left(task.work) if isinstance(task.work, Training) else None
        total += minutes or 0.0
        yield f"{task.name}" + ("" if minutes is None else f": about {minutes:.0f} min")
    for cell in impossible:
        yield f"cannot run {cell}: {cell.reason}"
    yield f"about {total:.0f} min of training in all, without extraction and trainings by MACs"


def minutes_left(work: Training) -> float | None:
    """Of a budget in minutes; None for one in MACs."""
    if work.budget is None:
        return 0.0
    if work.budget.minutes is None:
        return None
    _, seconds = training.trained(work.model / HISTORY)
    return max(0.0, work.budget.minutes * work.system.share - seconds / 60)


def probe(tasks: Sequence[Task], grid: Grid, jobs: int, device: str) -> Iterator[str]:
    """Fix the steps of trainings whose budget is in minutes, at most `jobs` at once; a line for each.

    One that begins from a training that is not done yet is left for later: its probe needs the weights.
    """
    timed = []
    for task in tasks:
        if isinstance(task.work, Training) and task.work.budget is not None and task.work.budget.minutes is not None:
            if all(training.is_done(other) for other in task.work.initial):
                timed.append(replace(task, needs=()))
            else:
                yield f"{task.name}: not before what it begins from is trained"

    def work(task: Task, commands: Commands) -> None:
        if isinstance(task.work, Training):
            training.fix_steps(task.work, grid, commands, device)

    outcome = carry_out(timed, grid, jobs, work)
    if outcome.failures:
        raise CscError("\n".join(outcome.failures))
    for task in timed:
        if isinstance(task.work, Training):
            yield f"{task.name}: {training.fix_steps(task.work, grid, Commands(grid.threads), device)} steps"


def perform(tasks: Sequence[Task], grid: Grid, jobs: int, nj: int, device: str) -> Outcome:
    """Run the tasks, at most `jobs` at once. What fails is noted, and what needs it is left out.

    Raises:
        Stopped: Ctrl-C or SIGTERM.
    """

    def work(task: Task, commands: Commands) -> None:
        if isinstance(task.work, Training):
            training.train(task.work, grid, commands, device)
        else:
            scoring.score(task.work, grid, commands, device, nj)

    return carry_out(tasks, grid, jobs, work)


def carry_out(tasks: Sequence[Task], grid: Grid, jobs: int, action: Callable[[Task, Commands], None]) -> Outcome:
    """`action` for each task, at most `jobs` at once; errors as `perform`."""
    commands = Commands(grid.threads)

    def work(task: Task) -> None:
        if commands.stopping.is_set():
            raise Stopped("stopped")
        note(task.name)
        try:
            action(task, commands)
        except (CscError, OSError):
            raise
        except BaseException:  # a defect: what runs beside it must not go on for hours before it is seen
            commands.stop()
            raise

    with stopped_by_signals(commands):
        outcome = schedule(tasks, work, jobs)
    if commands.stopping.is_set():
        raise Stopped("stopped; the same command goes on from there")
    return outcome


def schedule(tasks: Sequence[Task], work: Callable[[Task], None], jobs: int) -> Outcome:
    """Call `work` for each task whose needs are met, in order, on `jobs` threads."""
    outcome, waiting = Outcome(), list(tasks)
    ours = {task.work.folder for task in tasks}
    running: dict[Future[None], Task] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            for task in list(waiting):
                unmet = [need for need in task.needs if need in ours and need not in outcome.done]
                if any(need in outcome.failed for need in unmet):
                    waiting.remove(task)
                    outcome.failed.add(task.work.folder)
                elif not unmet and len(running) < jobs:
                    waiting.remove(task)
                    running[pool.submit(work, task)] = task
            finished, _ = wait(running, POLL_S, FIRST_COMPLETED)
            for future in finished:
                settle(running.pop(future), future, outcome)
    return outcome


def settle(task: Task, future: Future[None], outcome: Outcome) -> None:
    """Note how a task ended. Raises what is no user's error."""
    try:
        future.result()
        outcome.done.add(task.work.folder)
    except (CscError, OSError) as error:
        outcome.failed.add(task.work.folder)
        if not isinstance(error, Stopped):
            outcome.failures.append(f"{task.name}: {error}")
            note(outcome.failures[-1])


@contextmanager
def stopped_by_signals(commands: Commands) -> Iterator[None]:
    """While it lasts, Ctrl-C and SIGTERM stop the commands in place of this process."""

    def stop(_number: int, _frame: Any) -> None:
        note("stopping: what runs saves what is done")
        commands.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
