"""What the tests of the back-end share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from csc_cli.kaldi.tables import VectorWriter


@pytest.fixture
def reference(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what Kaldi's own programs computed, as working folder: its scp files are meant from there."""
    folder = shared / "kaldi" / "reference"
    if not folder.is_dir():
        pytest.skip("no Kaldi reference in the shared test data")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str, Mapping[str, np.ndarray]], str]:
    """Write vectors to NAME.ark; returns its path."""

    def write(name: str, vectors: Mapping[str, np.ndarray]) -> str:
        with VectorWriter(f"ark,scp:{tmp_path}/{name}.ark,{tmp_path}/{name}.scp") as writer:
            for key, vector in vectors.items():
                writer.write(key, vector)
        return f"{tmp_path}/{name}.ark"

    return write


def two_covariance(
    draw: np.random.Generator, within: np.ndarray, between: np.ndarray, mean: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the PLDA model, and the speaker of each: speaker k has counts[k] of them."""
    centres = draw.multivariate_normal(mean, between, len(counts))
    speakers = np.repeat(np.arange(len(counts)), counts)
    return centres[speakers] + draw.multivariate_normal(np.zeros(len(mean)), within, len(speakers)), speakers


def covariance(draw: np.random.Generator, dim: int, scale: float = 1.0) -> np.ndarray:
    """A positive definite matrix."""
    factor = draw.normal(size=(dim, 2 * dim))
    return scale * factor @ factor.T / (2 * dim)
