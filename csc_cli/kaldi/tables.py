"""Tables of vectors and matrices: Kaldi's arks and scps, read in their order; what else tables hold, by name.

Random access is in `access`, writing in `writers`, whole numbers and words in `values`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi import archives, scripts
from csc_cli.kaldi.archives import Block
from csc_cli.kaldi.keys import Unique
from csc_cli.kaldi.specifiers import Rspecifier, open_input
from csc_cli.kaldi.text import read_keyed, read_map, write_map
from csc_cli.kaldi.values import read_int_vectors, read_ints, write_int_vectors, write_ints
from csc_cli.kaldi.writers import MatrixWriter, VectorWriter
from csc_cli.progress import note

__all__ = [
    "MatrixWriter",
    "VectorWriter",
    "read_arrays",
    "read_int_vectors",
    "read_ints",
    "read_keyed",
    "read_map",
    "read_matrices",
    "read_vector_blocks",
    "read_vectors",
    "read_vectors_dict",
    "stack_vectors",
    "write_int_vectors",
    "write_ints",
    "write_map",
]


def read_vectors(rspecifier: str, keys: Container[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, vector (D,)) of `scp:`, `ark:` or `ark,t:`, file, pipe or `-`, in the table's order.

    A file that an scp names is looked for from the working folder, as Kaldi does, then from the
    scp's own folder. A vector may be a view of its neighbours' block: copy the few that you keep of many.

    Args:
        keys: those wanted; None: all. What others of an scp name is not opened.

    Raises:
        DataError: with the place, for a missing or damaged file, a key given twice, a matrix,
            a pickle, a value that is not finite, or an empty table.
    """
    for block in _blocks(rspecifier, keys):
        _check_vectors(block, rspecifier)
        yield from zip(block.keys, block.arrays)


def read_vectors_dict(rspecifier: str, keys: Container[str] | None = None) -> dict[str, np.ndarray]:
    """As `read_vectors`, all at once."""
    return dict(read_vectors(rspecifier, keys))


def read_vector_blocks(rspecifier: str, keys: Container[str] | None = None) -> Iterator[tuple[list[str], np.ndarray]]:
    """Yield (N keys, their vectors (N, D)), some hundred at a time where they can be had so; as `read_vectors`,
    and the dimensions must agree."""
    first: tuple[str, int] | None = None
    for block in _blocks(rspecifier, keys):
        _check_vectors(block, rspecifier)
        dim = len(block.arrays[0])
        first = first or (block.keys[0], dim)
        if dim != first[1]:
            message = f"'{block.keys[0]}' has {dim} values, '{first[0]}' has {first[1]}"
            raise DataError(f"{rspecifier}: {message}; give vectors of one kind")
        yield block.keys, np.asarray(block.arrays)


def stack_vectors(rspecifier: str, keys: Container[str] | None = None) -> tuple[list[str], np.ndarray]:
    """Keys and the matrix (N, D) of their vectors; as `read_vectors`, and the dimensions must agree."""
    blocks = list(read_vector_blocks(rspecifier, keys))
    if not blocks:
        return [], np.zeros((0, 0), np.float32)
    return [key for names, _ in blocks for key in names], np.concatenate([rows for _, rows in blocks])


def read_matrices(rspecifier: str, keys: Container[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, matrix (N, D)), plain or compressed; as `read_vectors`, a vector or an empty matrix is an error."""
    for key, matrix in read_arrays(rspecifier, keys):
        if matrix.ndim != 2 or not matrix.size:
            raise DataError(f"{rspecifier}: '{key}' is {_shape(matrix)}, not a matrix; give a table of matrices")
        if not np.isfinite(matrix).all():
            raise DataError(f"{rspecifier}: '{key}' has values that are not finite; compute it again or leave it out")
        yield key, matrix


def read_arrays(rspecifier: str, keys: Container[str] | None = None) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (key, vector or matrix); as `read_vectors`, without its checks of shape and values."""
    for block in _blocks(rspecifier, keys):
        yield from zip(block.keys, block.arrays)


def _blocks(rspecifier: str, wanted: Container[str] | None) -> Iterator[Block]:
    """The entries, none twice, at least one if all are wanted; each block of one kind of array."""
    parsed = Rspecifier.parse(rspecifier)
    unique = Unique(rspecifier)
    for block in scripts.read_blocks(parsed, wanted) if parsed.kind == "scp" else _of_ark(parsed):
        unique.add(block.keys)
        if wanted is None or parsed.kind == "scp":
            yield block
        elif chosen := [i for i, key in enumerate(block.keys) if key in wanted]:
            yield _chosen(block, chosen)
    if not unique.count and wanted is None:
        raise DataError(f"{rspecifier}: is empty; it has no entries")


def _of_ark(ark: Rspecifier) -> Iterator[Block]:
    with open_input(ark.rxfilename) as stream:
        try:
            yield from archives.read_blocks(stream, ark.rxfilename)
        except DataError as error:
            if not ark.permissive:
                raise
            note(f"{error}; what follows is left out, as 'p' asks")


def _chosen(block: Block, indices: list[int]) -> Block:
    keys = [block.keys[i] for i in indices]
    if isinstance(block.arrays, np.ndarray):
        return Block(keys, block.arrays[indices])
    return Block(keys, [block.arrays[i] for i in indices])


def _check_vectors(block: Block, rspecifier: str) -> None:
    if isinstance(block.arrays, np.ndarray):
        if np.isfinite(block.arrays).all():
            return
    else:
        for key, vector in zip(block.keys, block.arrays):
            if vector.ndim != 1 or not vector.size:
                raise DataError(f"{rspecifier}: '{key}' is {_shape(vector)}, not a vector; give a table of vectors")
    for key, vector in zip(block.keys, block.arrays):
        if not np.isfinite(vector).all():
            raise DataError(f"{rspecifier}: '{key}' has values that are not finite; compute it again or leave it out")


def _shape(values: np.ndarray) -> str:
    return " x ".join(map(str, values.shape))
