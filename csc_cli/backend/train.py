"""Models from tables of vectors: the entries of `csc lda` and `csc plda`. Legend: N vectors, D dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.adapt import AdaptConfig, adapt, mean_and_covariance
from csc_cli.backend.chain import Chain, chain_of
from csc_cli.backend.lda import LDA
from csc_cli.backend.model_files import read_plda, write_array_file, write_plda
from csc_cli.backend.plda import Plda
from csc_cli.backend.settings import ChainSettings
from csc_cli.backend.statistics import SpeakerStatistics
from csc_cli.backend.vectors import missing_vectors
from csc_cli.errors import DataError, some
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import read_keyed, read_vector_blocks


def train_lda(
    vectors: str,
    utt2spk: str | Path,
    out: str,
    lda: LDA,
    settings: ChainSettings | None = None,
    *,
    binary: bool = True,
    skip_missing: bool = False,
) -> str:
    """Fit `lda` on the utterances of `utt2spk` and write its matrix, with the offset as last column.

    Raises:
        DataError: utterances without vectors, unless they may be skipped; what `LDA.fit_statistics` refuses.
    """
    of = {utterance: fields[0] for utterance, fields in read_keyed(utt2spk).items()}
    statistics, missing = _statistics(vectors, of, settings, skip_missing)
    try:
        lda.fit_statistics(statistics)
    except DataError as error:
        raise DataError(f"{vectors} by {utt2spk}: {error}") from error
    write_array_file(out, lda.matrix_.astype(np.float32), binary=binary)
    return f"LDA from {statistics.means.shape[1]} to {lda.dim} dimensions, {_size(statistics)} -> {out}{missing}"


def train_plda(
    spk2utt: str | Path,
    vectors: str,
    out: str,
    plda: Plda,
    settings: ChainSettings | None = None,
    *,
    binary: bool = True,
    skip_missing: bool = False,
) -> str:
    """Fit `plda` on the utterances of `spk2utt` and write it.

    Raises:
        DataError: utterances without vectors, unless they may be skipped; an utterance of two speakers; what
            `Plda.fit_statistics` refuses.
    """
    speakers = read_keyed(spk2utt)
    of = {utterance: speaker for speaker, utterances in speakers.items() for utterance in utterances}
    if len(of) < sum(map(len, speakers.values())):
        both = [utt for spk, utts in speakers.items() for utt in utts if of[utt] != spk]
        raise DataError(f"{spk2utt}: {some(both) or 'some utterances'} stand in it twice; keep one of the two")
    statistics, missing = _statistics(vectors, of, settings, skip_missing)
    try:
        plda.fit_statistics(statistics)
    except DataError as error:
        raise DataError(f"{vectors} by {spk2utt}: {error}") from error
    write_plda(out, plda, binary=binary)
    return f"PLDA of {plda.dim} dimensions, {_size(statistics)} -> {out}{missing}"


def adapt_plda(
    plda: str,
    vectors: str,
    out: str,
    config: AdaptConfig,
    settings: ChainSettings | None = None,
    *,
    binary: bool = True,
) -> str:
    """Adapt a PLDA to the mean and covariance of a table's vectors.

    Raises:
        DataError: a damaged file, or vectors of another dimension.
    """
    old = read_plda(plda)
    blocks = _chained(as_rspecifier(vectors), chain_of(settings or ChainSettings()))
    mean, covariance, count = mean_and_covariance(x for _, x in blocks)
    write_plda(out, adapt(old, mean, covariance, config), binary=binary)
    return f"PLDA adapted to {count} vectors -> {out}"


def copy_plda(plda: str, out: str, *, smoothing: float = 0.0, binary: bool = True) -> str:
    """Write a PLDA again, smoothed, in binary or text.

    Raises:
        DataError: a damaged file.
    """
    copied = read_plda(plda)
    if smoothing:
        copied = copied.smoothed(smoothing)
    write_plda(out, copied, binary=binary)
    return f"PLDA of {copied.dim} dimensions -> {out}"


def _statistics(
    vectors: str, speaker_of: Mapping[str, str], settings: ChainSettings | None, skip_missing: bool
) -> tuple[SpeakerStatistics, str]:
    """Of the vectors that have a speaker; and a clause about utterances without a vector."""
    rspecifier = as_rspecifier(vectors)
    number = {speaker: i for i, speaker in enumerate(dict.fromkeys(speaker_of.values()))}
    seen: set[str] = set()

    def blocks() -> Iterator[tuple[NDArray[np.floating], NDArray[np.integer]]]:
        for keys, x in _chained(rspecifier, chain_of(settings or ChainSettings()), speaker_of):
            seen.update(keys)
            yield x, np.array([number[speaker_of[key]] for key in keys])

    gathered = SpeakerStatistics.gather(blocks(), len(number))
    return gathered, missing_vectors(rspecifier, list(speaker_of), seen, skip_missing)


def _chained(
    rspecifier: str, chain: Chain, wanted: Mapping[str, str] | None = None
) -> Iterator[tuple[Sequence[str], NDArray[np.floating]]]:
    for keys, x in read_vector_blocks(rspecifier, wanted):
        try:
            yield keys, chain.transform(x, keys=keys)
        except DataError as error:
            raise DataError(f"{rspecifier}: {error}") from error


def _size(statistics: SpeakerStatistics) -> str:
    return f"{statistics.total} utterances of {len(statistics.counts)} speakers"
