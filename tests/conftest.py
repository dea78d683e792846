"""Fixtures that all tests may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data: CSC_SHARED, or a folder `shared` beside the checkout; skips without it."""
    root = Path(os.environ.get("CSC_SHARED") or Path(__file__).resolve().parents[2] / "shared")
    if not root.is_dir():
        pytest.skip(f"no shared test data at {root} (set CSC_SHARED)")
    return root
