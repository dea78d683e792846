"""Vectors from Kaldi's tables and files, as the back-end takes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError, some
from csc_cli.kaldi.arrays import read_array
from csc_cli.kaldi.specifiers import as_rspecifier, open_input
from csc_cli.kaldi.tables import read_vectors

Floats = NDArray[np.float64]


def load_vectors(name: str, keys: Sequence[str], kind: str) -> Floats:
    """The vectors (N, D) of the N `keys`, in their order, from a table that may have many more.

    Args:
        name: an rspecifier, or the path of an scp or ark.
        kind: what a key is, for the message ("enrollment").

    Raises:
        DataError: keys that are not in the table (how many, the first three), vectors of different dimensions,
            or a damaged table.
    """
    rspecifier = as_rspecifier(name)
    row = {key: index for index, key in enumerate(keys)}
    found = np.zeros(len(row), bool)
    vectors: Floats | None = None
    for key, vector in read_vectors(rspecifier):
        if key not in row:
            continue
        if vectors is None:
            vectors = np.empty((len(row), vector.size))
        if vector.size != vectors.shape[1]:
            raise DataError(
                f"{rspecifier}: '{key}' has {vector.size} values, those before it {vectors.shape[1]}; "
                "give vectors of one kind"
            )
        vectors[row[key]] = vector
        found[row[key]] = True
    absent = [key for key in keys if not found[row[key]]]
    if absent or vectors is None:
        raise DataError(
            f"{rspecifier}: no vector for {len(absent)} of {len(keys)} {kind}(s) of the trials: {some(absent)}; "
            "extract them, or take them out of the trials"
        )
    return vectors


def load_mean(name: str) -> Floats:
    """A mean (D,): one vector in a file of its own, as Kaldi's `ivector-mean` writes it, or a table of one.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    rspecifier = as_rspecifier(name)
    if rspecifier.startswith(("ark", "scp")) and ":" in rspecifier:
        vectors = list(read_vectors(rspecifier))
        if len(vectors) > 1:
            raise DataError(
                f"{rspecifier}: {len(vectors)} vectors, not one mean; --center-on takes the mean of a table"
            )
        return np.asarray(vectors[0][1], np.float64)
    with open_input(name) as stream:
        try:
            mean = read_array(stream)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    if mean.ndim != 1 or not mean.size or not np.isfinite(mean).all():
        raise DataError(f"{name}: is not a vector of finite values; give a mean as ivector-mean writes it")
    return np.asarray(mean, np.float64)


def mean_of(name: str) -> Floats:
    """The mean (D,) of a table's vectors, read one at a time.

    Raises:
        DataError: the table is damaged or empty, or its vectors are of different dimensions.
    """
    rspecifier = as_rspecifier(name)
    total, count = np.zeros(0), 0
    for key, vector in read_vectors(rspecifier):
        total = np.zeros(vector.size) if not count else total
        if vector.size != total.size:
            raise DataError(f"{rspecifier}: '{key}' has {vector.size} values, those before it {total.size}")
        total += vector
        count += 1
    return total / count
