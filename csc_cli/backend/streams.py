"""A test utterance of several streams (talkers): its vectors, and one score from theirs.

Legend: U utterances, V vectors, C most streams of an utterance, N trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import ConfigError, DataError, some

Floats = NDArray[np.float64]
Pool = Literal["max", "log-mean"]


def stream_rows(
    utterances: Sequence[str], streams: Mapping[str, Sequence[str]] | None
) -> tuple[list[str], NDArray[np.intp]]:
    """The keys of the vectors that the utterances need (V,), and each one's rows of them, (U, C), filled up with -1.

    Without `streams` an utterance has the one vector of its own name.

    Raises:
        DataError: an utterance has no streams in the table.
    """
    if streams is None:
        return list(utterances), np.arange(len(utterances))[:, None]
    absent = [utterance for utterance in utterances if utterance not in streams]
    if absent:
        raise DataError(f"no streams for {len(absent)} test utterance(s) of the trials: {some(absent)}; extract them")
    row: dict[str, int] = {}
    rows = [[row.setdefault(stream, len(row)) for stream in streams[utterance]] for utterance in utterances]
    width = max(map(len, rows))
    return list(row), np.array([of + [-1] * (width - len(of)) for of in rows], np.intp)


def pool(scores: Floats, how: Pool) -> Floats:
    """One score of each trial from those of its streams.

    `log-mean` is the likelihood ratio of the recording where each of its C active talkers is the target
    with equal probability, log (1/C) sum_c exp(score_c): right where scores are calibrated log ratios.
    `max` is for scores of any scale.

    Args:
        scores: (N, C), minus infinity where a trial has no such stream.

    Returns:
        (N,).
    """
    best = scores.max(axis=1)
    if how == "max":
        return best
    if how == "log-mean":
        streams = np.isfinite(scores).sum(axis=1)
        return best + np.log(np.exp(scores - best[:, None]).sum(axis=1) / streams)
    raise ConfigError(f"--pool {how}: must be max or log-mean")
