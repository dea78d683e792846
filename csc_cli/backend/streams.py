"""A test utterance of several streams (talkers): its vectors, and one score from theirs.

Legend: U utterances, V vectors, C most streams of an utterance, N trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import ConfigError

Floats = NDArray[np.float64]
Pool = Literal["max", "log-mean"]


def rows_of(keys: Sequence[Sequence[str]]) -> tuple[list[str], NDArray[np.intp]]:
    """The distinct keys (V,) of units that have several each, and each unit's rows of them (U, C), filled with -1."""
    row: dict[str, int] = {}
    rows = [[row.setdefault(key, len(row)) for key in of] for of in keys]
    width = max(map(len, rows), default=0) or 1
    return list(row), np.array([of + [-1] * (width - len(of)) for of in rows], np.intp)


def pool(scores: Floats, how: Pool) -> Floats:
    """One score of each trial from those of its streams.

    `log-mean` is the likelihood ratio of the recording where each of its C active talkers is the target
    with equal probability, log (1/C) sum_c exp(score_c): right where scores are calibrated log ratios.
    `max` is for scores of any scale.

    Args:
        scores: (..., C), minus infinity where a trial has no such stream.

    Returns:
        (...).
    """
    best = scores.max(axis=-1)
    if how == "max":
        return best
    if how == "log-mean":
        streams = (scores > -np.inf).sum(axis=-1)
        return best + np.log(np.exp(scores - best[..., None]).sum(axis=-1) / streams)
    raise ConfigError(f"--pool {how}: must be max or log-mean")
