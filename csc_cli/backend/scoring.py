"""Scores of trials from vectors: cosine. Legend: E enrollments, V test vectors, D dimensions, N trials, C streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.files import load_mean, load_vectors, mean_of
from csc_cli.backend.streams import Pool, pool, stream_rows
from csc_cli.backend.transforms import Centre, unit_length
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import read_trials, write_scores

Floats = NDArray[np.float64]
Index = NDArray[np.integer]
BLOCK = 1024  # trials at a time: both sides of a block stay in the processor's cache


def score_cosine(
    trials: str | Path,
    enroll: str,
    test: str,
    out: str | Path,
    *,
    streams: str | Path | None = None,
    mean: str | None = None,
    center_on: str | None = None,
    pooling: Pool = "max",
) -> str:
    """Write the cosine of each trial's two vectors to `out` (`-`: standard output), in the trials' order.

    Args:
        trials: two or three columns, enrollment first.
        enroll, test: rspecifiers, or paths of an scp or ark, of the vectors.
        streams: test utterance -> the vectors that are its streams; their scores are pooled by `pooling`.
        mean: a vector subtracted from both sides first.
        center_on: a table whose mean is subtracted from both sides first.

    Raises:
        DataError: keys of the trials without vector or streams, vectors of length zero (after the mean is
            subtracted) or of different dimensions, damaged files.
        ConfigError: both `mean` and `center_on`.
    """
    if mean is not None and center_on is not None:
        raise ConfigError("--mean and --center-on both name a mean; give one of them")
    pairs = read_trials(trials)
    centre = None
    if mean is not None or center_on is not None:
        centre = Centre.at(load_mean(mean) if mean is not None else mean_of(str(center_on)))
    test_keys, rows = stream_rows(list(pairs.test_ids), read_keyed(streams) if streams else None)
    e = _prepared(enroll, list(pairs.enroll_ids), "enrollment", centre)
    v = _prepared(test, test_keys, "test vector", centre)
    _agree(e, v, enroll, test)
    scores = cosine_of_streams(e, v, pairs.enroll_index, rows[pairs.test_index], pooling)
    write_scores(out, pairs, scores)
    of_streams = f", pooled by {pooling} over up to {rows.shape[1]} streams" if rows.shape[1] > 1 else ""
    return f"{len(pairs)} trials, {len(e)} enrollments, {len(pairs.test_ids)} test utterances{of_streams} -> {out}"


def cosine_of_streams(enroll: Floats, test: Floats, enroll_index: Index, rows: Index, pooling: Pool = "max") -> Floats:
    """The pooled cosine of each trial.

    Args:
        enroll, test: (E, D) and (V, D), rows of unit length.
        enroll_index: (N,) row of `enroll`.
        rows: (N, C) rows of `test`, the trial's streams, filled up with -1.

    Returns:
        (N,).
    """
    scores = np.full(rows.shape, -np.inf)
    for column, row in enumerate(rows.T):
        present = row >= 0
        scores[present, column] = dot_products(enroll, test, enroll_index[present], row[present])
    return pool(scores, pooling)


def dot_products(left: Floats, right: Floats, left_index: Index, right_index: Index) -> Floats:
    """<left[i], right[j]> for each of the N pairs (i, j): (N,)."""
    products = np.empty(len(left_index))
    for begin in range(0, len(products), BLOCK):
        block = slice(begin, begin + BLOCK)
        np.einsum("nd,nd->n", left[left_index[block]], right[right_index[block]], out=products[block])
    return products


def _prepared(name: str, keys: list[str], kind: str, centre: Centre | None) -> Floats:
    vectors = load_vectors(name, keys, kind)
    try:
        return unit_length(centre.transform(vectors) if centre else vectors, keys)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _agree(enroll: Floats, test: Floats, enroll_name: str, test_name: str) -> None:
    if enroll.shape[1] != test.shape[1]:
        raise DataError(
            f"{enroll_name} has vectors of {enroll.shape[1]} values and {test_name} of {test.shape[1]}; "
            "take both from the same model"
        )
