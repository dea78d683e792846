"""Tables of vectors averaged, centred, scaled, projected: the entries of `csc vector`, as Kaldi's `ivector-*` programs.

Legend: N vectors, D dimensions, K speakers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.chain import Chain
from csc_cli.backend.files import load_mean, mean_of
from csc_cli.backend.model_files import read_matrix, write_array_file
from csc_cli.backend.statistics import add_by_group
from csc_cli.backend.transforms import Affine, Centre, LengthNorm, Transform
from csc_cli.errors import DataError, some
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import VectorWriter, read_keyed, read_vector_blocks, stack_vectors, write_ints

Floats = NDArray[np.float64]
Block = tuple[list[str], NDArray[np.floating]]


def mean_vector(vectors: str, out: str, *, binary: bool = False) -> str:
    """Write the mean of a table's vectors to a file of its own (`ivector-mean`, two arguments).

    Raises:
        DataError: a damaged or empty table, or vectors of different dimensions.
    """
    mean = mean_of(vectors)
    write_array_file(out, mean, binary=binary)
    return f"the mean, {len(mean)} dimensions -> {out}"


def speaker_means(
    spk2utt: str | Path, vectors: str, out: str, num_utts: str | None = None, *, skip_missing: bool = False
) -> str:
    """Write each speaker's mean and, where asked, of how many utterances it is (`ivector-mean`, three or four).

    Raises:
        DataError: utterances without vectors, unless they may be skipped; a damaged table.
    """
    speakers = read_keyed(spk2utt)
    sums, counts, missing = sums_by_speaker(speakers, as_rspecifier(vectors), skip_missing)
    kept = np.flatnonzero(counts).tolist()
    names = list(speakers)
    with VectorWriter(out) as writer:
        for k in kept:
            writer.write(names[k], (sums[k] / counts[k]).astype(np.float32))
    if num_utts is not None:
        write_ints(num_utts, {names[k]: int(counts[k]) for k in kept})
    left_out = f", {len(names) - len(kept)} speakers left out" if len(kept) < len(names) else ""
    return f"{len(kept)} speakers of {counts.sum()} utterances{left_out} -> {out}{missing}"


def sums_by_speaker(
    speakers: dict[str, list[str]], rspecifier: str, skip_missing: bool
) -> tuple[Floats, NDArray[np.int64], str]:
    """The sums (K, D) of the speakers' vectors, how many there are (K,), and a clause about those missing.

    Raises:
        DataError: utterances without vectors, unless they may be skipped, or none with one.
    """
    of: dict[str, list[int]] = {}
    for k, utterances in enumerate(speakers.values()):
        for utterance in utterances:
            of.setdefault(utterance, []).append(k)
    sums, counts = np.zeros((len(speakers), 0)), np.zeros(len(speakers), np.int64)
    seen: set[str] = set()
    for keys, block in read_vector_blocks(rspecifier, of):
        if not sums.shape[1]:
            sums = np.zeros((len(speakers), block.shape[1]))
        # An utterance may be in the lists of several.
        rows, groups = zip(*((row, k) for row, key in enumerate(keys) for k in of[key]), strict=True)
        add_by_group(block[list(rows)].astype(np.float64), np.array(groups), sums, counts)
        seen.update(keys)
    return sums, counts, missing_vectors(rspecifier, list(of), seen, skip_missing)


def missing_vectors(rspecifier: str, wanted: Sequence[str], seen: set[str], skip: bool) -> str:
    """A clause about the utterances that have no vector; empty if all have one.

    Raises:
        DataError: some have none, unless they may be skipped; or none has one.
    """
    lacking = [utterance for utterance in wanted if utterance not in seen]
    if not lacking:
        return ""
    clause = f"{rspecifier}: no vector for {len(lacking)} of {len(wanted)} utterance(s): {some(lacking)}"
    if not skip or len(lacking) == len(wanted):
        raise DataError(f"{clause}; extract them, or ask for --skip-missing")
    return f"; {clause}"


def subtract_mean(mean: str | None, vectors: str, out: str) -> str:
    """Write a table's vectors less `mean`, or less their own mean (`ivector-subtract-global-mean`).

    Raises:
        DataError: a damaged table, or a mean of another dimension.
    """
    if mean is not None:
        return _rewrite(vectors, out, Centre.at(load_mean(mean)))
    keys, x = stack_vectors(as_rspecifier(vectors))
    return _write([(keys, Centre().fit(x).transform(x))], out)


def normalize_length(vectors: str, out: str, *, scaleup: bool = True) -> str:
    """Write a table's vectors scaled to length sqrt(D), or 1 (`ivector-normalize-length`).

    Raises:
        DataError: a damaged table, or a vector of length zero.
    """
    return _rewrite(vectors, out, LengthNorm(scaleup=scaleup))


def transform(matrix: str, vectors: str, out: str) -> str:
    """Write a table's vectors projected by a matrix, with or without an offset (`ivector-transform`).

    Raises:
        DataError: a damaged table, or a matrix for another dimension.
    """
    return _rewrite(vectors, out, Affine.of(read_matrix(matrix)))


def _rewrite(vectors: str, out: str, part: Transform) -> str:
    rspecifier = as_rspecifier(vectors)

    def blocks() -> Iterator[Block]:
        for keys, x in read_vector_blocks(rspecifier):
            try:
                yield keys, Chain([part]).transform(x, keys=keys)
            except DataError as error:
                raise DataError(f"{rspecifier}: {error}") from error

    return _write(blocks(), out)


def _write(blocks: Iterable[Block], out: str) -> str:
    count = dim = 0
    with VectorWriter(out) as writer:
        for keys, x in blocks:
            for key, vector in zip(keys, x.astype(np.float32), strict=True):
                writer.write(key, vector)
            count, dim = count + len(keys), x.shape[1]
    return f"{count} vectors of {dim} dimensions -> {out}"
