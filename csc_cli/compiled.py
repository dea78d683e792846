"""Functions compiled by numba, kept on disk so that only the first call of all pays for it.

A module of compiled functions holds everything that they call: numba does not notice when a function
that it took from another file has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function | None = None, **options: Any) -> Any:
    """`numba.njit`, without the interpreter's lock, and with a cache where there is a place for it.

    numba writes the cache beside the module, else below the user's cache folder (or NUMBA_CACHE_DIR).
    Where none of them can be written, each process compiles for itself.
    """

    def wrap(function: Function) -> Any:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            return numba.njit(nogil=True, **options)(function)

    return wrap(function) if function is not None else wrap
