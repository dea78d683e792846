"""An ordered map over local processes: results come in the order of the items, whatever `nj`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import TypeVar

from csc_cli.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], nj: int = 1) -> Iterator[Result]:
    """Yield `function(item)` for each item in order, on `nj` processes.

    At most `4 nj` items are under way, so memory does not grow with the number of items.
    `function` must be picklable (a module's function or a `functools.partial` of one).

    Raises:
        ConfigError: if `nj` is less than 1.
        Whatever `function` raises, at the place of its item.
    """
    if nj < 1:
        raise ConfigError(f"--nj {nj}: must be at least 1")
    if nj == 1:
        yield from map(function, items)
        return
    # spawn, not fork: torch and numba threads do not survive a fork.
    with ProcessPoolExecutor(nj, mp_context=multiprocessing.get_context("spawn")) as pool:
        queue = iter(items)
        waiting = [pool.submit(function, item) for item in islice(queue, 4 * nj)]
        try:
            while waiting:
                result = waiting.pop(0).result()
                for item in islice(queue, 1):
                    waiting.append(pool.submit(function, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()
