"""Models in Kaldi's own files: `plda`, `transform.mat`, `mean.vec`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.plda import Plda
from csc_cli.errors import DataError
from csc_cli.kaldi.arrays import write_array
from csc_cli.kaldi.objects import read_array_file, reading_object, writing_object
from csc_cli.kaldi.specifiers import open_output

Floats = NDArray[np.float64]


def read_plda(name: str) -> Plda:
    """A `<Plda>`, binary or text, from a file, a pipe or `-`.

    Raises:
        DataError: with the name, for a damaged file or impossible values.
    """
    with reading_object(name) as reader:
        reader.expect("<Plda>")
        mean, transform, psi = reader.array(), reader.array(), reader.array()
        reader.expect("</Plda>")
        return Plda.of(mean, transform, psi)


def write_plda(name: str, plda: Plda, *, binary: bool = True) -> None:
    """Write a `<Plda>`, whole or not at all: in double precision as Kaldi does, or in text that reads back the same."""
    with writing_object(name, binary) as writer:
        writer.token("<Plda>")
        for part in (plda.mean_, plda.transform_, plda.psi_):
            writer.array(part)
        writer.token("</Plda>")


def read_matrix(name: str) -> Floats:
    """A matrix in a file of its own, as float64.

    Raises:
        DataError: the file is damaged, or holds something else.
    """
    matrix = read_array_file(name, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(f"{name}: is not a matrix; give a transform as ivector-compute-lda writes it")
    return np.asarray(matrix, np.float64)


def write_array_file(name: str, array: NDArray[np.floating], *, binary: bool = True) -> None:
    """Write one vector or matrix to a file of its own, whole or not at all."""
    with open_output(name) as stream:
        write_array(stream, array, text=not binary)
