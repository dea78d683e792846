"""Each enrollment with each test utterance, by matrix products. Legend: E enrollments, U test utterances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.scorer import Scorer
from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.decimals import Encoded, LineWriter
from csc_cli.kaldi.specifiers import Wspecifier, is_pipe, open_output
from csc_cli.kaldi.tables import VectorWriter
from csc_cli.parallel import threaded_map

Floats = NDArray[np.float64]
BLOCK_SCORES = 1 << 22


def write_all(
    out: str | Path, scorer: Scorer, enroll_names: Sequence[str], test_names: Sequence[str], nj: int = 1
) -> str:
    """Write E x U scores: as lines `ENROLL TEST SCORE`, or to a table.

    Args:
        out: a file, `-` or a pipe for lines; a wspecifier (`ark:FILE`) for a float32 vector of U scores for each
            enrollment. Where the ark is a file, FILE.tests names the test utterances in the order of the vector.

    Returns:
        A line about what was written.

    Raises:
        DataError: a score is not finite.
    """
    enroll = np.flatnonzero(scorer.members[:, 0] >= 0)
    test = np.flatnonzero(scorer.rows[:, 0] >= 0)
    if ":" in str(out) and str(out).split(":")[0].split(",")[0] == "ark":
        _write_table(str(out), _rows(scorer, enroll, test, enroll_names, nj), [test_names[u] for u in test.tolist()])
    else:
        _write_lines(str(out), scorer, enroll, test, enroll_names, test_names, nj)
    return f"{len(enroll)} enrollments with {len(test)} test utterances -> {out}"


def _blocks(scorer: Scorer, enroll: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    size = max(1, BLOCK_SCORES // (scorer.members.shape[1] * max(len(scorer.form.right), scorer.rows.size)))
    return [enroll[start : start + size] for start in range(0, len(enroll), size)]


def _scores(scorer: Scorer, block: NDArray[np.intp], test: NDArray[np.intp], enroll_names: Sequence[str]) -> Floats:
    scores = scorer.of_all(block)
    if len(test) < scores.shape[1]:
        scores = scores[:, test]
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise DataError(f"scores of '{enroll_names[block[row]]}' that are not finite; look at its vectors")
    return scores


def _rows(
    scorer: Scorer, enroll: NDArray[np.intp], test: NDArray[np.intp], enroll_names: Sequence[str], nj: int
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    blocks = _blocks(scorer, enroll)
    scores = threaded_map(lambda block: _scores(scorer, block, test, enroll_names).astype(np.float32), blocks, nj)
    for block, part in zip(blocks, scores, strict=True):
        yield from ((enroll_names[e], row) for e, row in zip(block.tolist(), part, strict=True))


def _write_table(out: str, rows: Iterator[tuple[str, NDArray[np.float32]]], test_names: Sequence[str]) -> None:
    ark = Wspecifier.parse(out).ark
    with VectorWriter(out) as writer:
        for key, row in rows:
            writer.write(key, row)
    if ark is not None and ark != "-" and not is_pipe(ark):
        with open_atomic(f"{ark}.tests") as stream:
            stream.writelines(f"{name}\n" for name in test_names)


def _write_lines(
    out: str,
    scorer: Scorer,
    enroll: NDArray[np.intp],
    test: NDArray[np.intp],
    enroll_names: Sequence[str],
    test_names: Sequence[str],
    nj: int,
) -> None:
    writer = LineWriter(Encoded.of(enroll_names), Encoded.of(test_names))

    def lines(block: NDArray[np.intp]) -> memoryview:
        scores = _scores(scorer, block, test, enroll_names)
        return writer.lines(np.repeat(block, len(test)), np.tile(test, len(block)), scores.ravel())

    with open_output(out) as stream:
        for text in threaded_map(lines, _blocks(scorer, enroll), nj):
            stream.write(text)
