"""Compiled functions, where their cache can be kept and where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numba
import pytest

from csc_cli.compiled import compiled


def add(a: int, b: int) -> int:
    return a + b


def test_a_cache_is_asked_for_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def without_a_folder(*, cache: bool = False, **options: Any) -> Callable[[Any], Any]:
        asked.append({"cache": cache, **options})
        if cache:  # what numba raises where neither the package nor the user's cache folder can be written
            raise RuntimeError("cannot cache function 'add': no locator available")
        return numba.njit(**options)

    monkeypatch.setattr("csc_cli.compiled.numba", SimpleNamespace(njit=without_a_folder))
    assert compiled(add)(2, 3) == 5
    assert compiled(fastmath=True)(add)(2, 3) == 5
    assert [call["cache"] for call in asked] == [True, False, True, False]
    assert all(call["nogil"] for call in asked) and asked[3]["fastmath"]
