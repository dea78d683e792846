"""An ordered map over local processes: results come in the order of the items, whatever `nj`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

from csc_cli import progress
from csc_cli.errors import ConfigError, CscError

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], nj: int = 1) -> Iterator[Result]:
    """Yield `function(item)` for each item in order, on `nj` processes.

    At most `4 nj` items are under way, so memory does not grow with the number of items.
    `function` must be picklable (a module's function or a `functools.partial` of one).

    Raises:
        ConfigError: if `nj` is less than 1.
        CscError: if a worker process was killed.
        Whatever `function` raises, at the place of its item.
    """
    if nj < 1:
        raise ConfigError(f"--nj {nj}: must be at least 1")
    if nj == 1:
        yield from map(function, items)
        return
    # spawn, not fork: torch and numba threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(nj, context, initializer=_start_worker, initargs=(progress.is_quiet(),)) as pool:
        try:
            yield from _in_order(pool, function, items, 4 * nj)
        except BrokenProcessPool as error:
            raise CscError(f"a worker process was killed, perhaps for memory; try --nj {nj // 2 or 1}") from error


def _in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """The results in the order of the items, of which at most `ahead` are under way."""
    queue = iter(items)
    waiting = deque(pool.submit(function, item) for item in islice(queue, ahead))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(queue, 1))
            yield result
    finally:
        # future.cancel() instead can make Python before 3.11.4 wait for ever for what was cancelled (gh-94440).
        pool.shutdown(cancel_futures=True)


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """The items by `size` together, the last of them perhaps fewer (`itertools.batched` of Python 3.12).

    >>> list(batched("abcde", 2))
    [('a', 'b'), ('c', 'd'), ('e',)]
    """
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)` in a process of its own, that has loaded nothing yet.

    Raises:
        CscError: the process was killed.
        Whatever `function` raises.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_start_worker, initargs=(True,)) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise CscError("a process of its own was killed, perhaps for memory; ask for less at a time") from error


def threaded_map(function: Callable[[Item], Result], items: Iterable[Item], nj: int = 1) -> Iterator[Result]:
    """As `ordered_map`, on `nj` threads of this process: for what leaves the interpreter's lock, as compiled functions
    and matrix products do."""
    if nj < 1:
        raise ConfigError(f"--nj {nj}: must be at least 1")
    if nj == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(nj) as pool:
        yield from _in_order(pool, function, items, 2 * nj)


def _start_worker(quiet: bool) -> None:
    progress.set_quiet(quiet)
    # nj workers with as many threads as cores each would wait for each other; read when torch or numba is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Ctrl-C reaches the whole group: the parent alone answers to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A killed parent cannot stop its workers, which would wait for work for ever.
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
