"""Vectors from Kaldi's tables and files, as the back-end takes them. Legend: N keys, D dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError, some
from csc_cli.kaldi.objects import read_array_file
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import read_vector_blocks, read_vectors

Floats = NDArray[np.float64]


def find_vectors(
    name: str, keys: Sequence[str], alias: Callable[[str], str] | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """The vectors (N, D) of the N `keys`, in their order, and which of them (N,) the table has.

    Args:
        name: an rspecifier, or the path of an scp or ark; the table may have many more.
        alias: another name that a key may have in the table.

    Raises:
        DataError: vectors of different dimensions, values that are not finite, or a damaged table.
    """
    row = {key: index for index, key in enumerate(keys)}
    if alias is not None:
        for index, key in enumerate(keys):
            row.setdefault(alias(key), index)
    found = np.zeros(len(keys), bool)
    vectors = np.zeros((len(keys), 0))
    for names, block in read_vector_blocks(as_rspecifier(name), row):
        if not vectors.shape[1]:
            vectors = np.zeros((len(keys), block.shape[1]))
        rows = [row[key] for key in names]
        vectors[rows] = block
        found[rows] = True
    return vectors, found


def load_vectors(name: str, keys: Sequence[str], kind: str) -> Floats:
    """As `find_vectors`, and all keys must be there.

    Args:
        kind: what a key is, for the message ("enrollment").

    Raises:
        DataError: keys that are not in the table: how many, the first three.
    """
    vectors, found = find_vectors(name, keys)
    if not found.all():
        raise DataError(f"{absent(name, keys, found, kind)}; extract them, or take them out of the trials")
    return vectors


def absent(name: str, keys: Sequence[str], found: NDArray[np.bool_], kind: str) -> str:
    """A clause that says how many of the keys have no vector, and names the first three."""
    without = [keys[i] for i in np.flatnonzero(~found).tolist()]
    missing = f"no vector for {len(without)} of {len(keys)} {kind}(s) of the trials"
    return f"{as_rspecifier(name)}: {missing}: {some(without)}"


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
    mean = read_array_file(name, np.float64)
    if mean.ndim != 1 or not mean.size:
        raise DataError(f"{name}: is not a vector of finite values; give a mean as ivector-mean writes it")
    return np.asarray(mean, np.float64)


def mean_of(name: str) -> Floats:
    """The mean (D,) of a table's vectors, read block by block.

    Raises:
        DataError: the table is damaged or empty, or its vectors are of different dimensions.
    """
    total, count = np.zeros(0), 0
    for _, block in read_vector_blocks(as_rspecifier(name)):
        total = (total if count else np.zeros(block.shape[1])) + block.sum(axis=0, dtype=np.float64)
        count += len(block)
    return total / count
