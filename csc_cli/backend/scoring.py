"""Trials become scores: the entries of `csc score`. Legend: N trials, E enrollments, U test utterances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend import kernels
from csc_cli.backend.backends import Backend, Cosine, PldaBackend
from csc_cli.backend.calibration_file import load_calibration
from csc_cli.backend.chain import Chain, chain_of
from csc_cli.backend.dense import write_all
from csc_cli.backend.forms import PairForm
from csc_cli.backend.model_files import read_plda
from csc_cli.backend.normalise import TOP_N, Normaliser, normaliser
from csc_cli.backend.plda import LengthNorm
from csc_cli.backend.scorer import Scorer
from csc_cli.backend.settings import ScoreSettings
from csc_cli.backend.sides import Side, enroll_side, test_side
from csc_cli.backend.transforms import unit_length
from csc_cli.errors import DataError
from csc_cli.kaldi.specifiers import as_rspecifier, open_output
from csc_cli.kaldi.tables import stack_vectors
from csc_cli.kaldi.trials import Pairs, ScoreLines, read_trials
from csc_cli.parallel import threaded_map

Floats = NDArray[np.float64]
ALL = "all"
BLOCK = 1 << 16  # scores of vectors at a time
SEEN_BITS = 1 << 32


def score_cosine(
    trials: str | Path, enroll: str, test: str, out: str | Path, settings: ScoreSettings | None = None
) -> str:
    """Write the cosine of each trial's two vectors to `out` (`-`: standard output), in the trials' order.

    Args:
        trials: a list of them; or `all`, each enrollment with each test utterance: see `dense.write_all`.
        enroll, test: rspecifiers, or paths of an scp or ark, of the vectors.

    Returns:
        A line about what was written.

    Raises:
        DataError: names of the trials without vectors, unless they may be skipped; vectors of length zero (after the
            mean is subtracted) or of different dimensions, damaged files.
    """
    return _score(Cosine(), trials, enroll, test, out, settings or ScoreSettings())


def score_plda(
    plda: str,
    trials: str | Path,
    enroll: str,
    test: str,
    out: str | Path,
    settings: ScoreSettings | None = None,
    *,
    length: LengthNorm = "expected",
) -> str:
    """Write the log likelihood ratio of each trial by a PLDA; as `score_cosine`.

    Args:
        plda: Kaldi's object, in a file, from a pipe or `-`.
        length: see `Plda.transform`.
    """
    return _score(PldaBackend(read_plda(plda), length), trials, enroll, test, out, settings or ScoreSettings())


def _score(
    backend: Backend, trials: str | Path, enroll_name: str, test_name: str, out: str | Path, settings: ScoreSettings
) -> str:
    pairs: Pairs | None = None if trials == ALL else read_trials(trials, settings.trials_format)
    chain = chain_of(settings)
    enroll, no_enroll = enroll_side(enroll_name, list(pairs.enroll_ids) if pairs else None, chain, settings)
    test, no_test = test_side(test_name, list(pairs.test_ids) if pairs else None, chain, settings)
    missing = "; ".join(filter(None, (no_enroll, no_test)))
    if missing and not settings.skip_missing:
        raise DataError(f"{missing}; extract them, take them out of the trials, or ask for --skip-missing")
    if enroll.vectors.shape[1] != test.vectors.shape[1]:
        message = f"vectors of {enroll.vectors.shape[1]} values and {test_name} of {test.vectors.shape[1]}"
        raise DataError(f"{enroll_name} has {message}; take both from the same model")
    enroll = _prepared(enroll, enroll_name, lambda x, keys: backend.enroll(x, enroll.counts, keys))
    test = _prepared(test, test_name, backend.test)
    scorer = _scorer(backend, enroll, test, chain, settings)
    if pairs is None:
        return write_all(out, scorer, enroll.names, test.names, settings.nj) + (f"; {missing}" if missing else "")
    left_out = ""
    if missing:
        there = (enroll.rows[:, 0] >= 0)[pairs.enroll_index] & (test.rows[:, 0] >= 0)[pairs.test_index]
        left_out = f"; {len(pairs) - np.count_nonzero(there)} trials left out: {missing}"
        pairs = Pairs(pairs.enroll_ids, pairs.test_ids, pairs.enroll_index[there], pairs.test_index[there])
    _write(out, pairs, scorer, settings.nj)
    return f"{_summary(pairs, scorer, settings)} -> {out}{left_out}"


def _prepared(side: Side, name: str, prepare: Callable[[Floats, Sequence[str]], Floats]) -> Side:
    try:
        return replace(side, vectors=prepare(side.vectors, side.keys))
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _scorer(backend: Backend, enroll: Side, test: Side, chain: Chain, settings: ScoreSettings) -> Scorer:
    attention = None
    if settings.enroll_by == "attention":
        units = unit_length(enroll.vectors, enroll.keys) * settings.attention_scale
        attention = PairForm.product(units, unit_length(test.vectors, test.keys))
    calibrate = _calibration(settings.calibration) if settings.calibration is not None else None
    return Scorer(
        backend.form(enroll.vectors, enroll.counts, test.vectors),
        enroll.rows,
        test.rows,
        settings.pooling or ("max" if calibrate is None else "log-mean"),
        _normaliser(backend, enroll, test, chain, settings),
        attention,
        calibrate,
    )


def _calibration(path: str | Path) -> Callable[[Floats], Floats]:
    calibration = load_calibration(path)
    try:
        calibration.apply(np.zeros(1))
    except DataError as error:
        advice = "pool the streams of each system first, then use csc calibrate apply or csc fuse apply"
        raise DataError(f"{path}: {error}; here it has one score alone: {advice}") from error
    return calibration.apply


def _normaliser(backend: Backend, enroll: Side, test: Side, chain: Chain, settings: ScoreSettings) -> Normaliser | None:
    if settings.norm is None or settings.cohort is None:
        return None
    keys, x = stack_vectors(as_rspecifier(settings.cohort))
    cohort = chain.transform(x, keys=keys)
    if cohort.shape[1] != test.vectors.shape[1]:
        message = f"vectors of {cohort.shape[1]} values, the test side of {test.vectors.shape[1]}"
        raise DataError(f"{settings.cohort}: has {message}; take both from the same model")
    ones = np.ones(len(cohort), np.int64)

    def of_enroll() -> PairForm:
        return backend.form(enroll.vectors, enroll.counts, backend.test(cohort, keys))

    def of_test() -> PairForm:
        return backend.form(backend.enroll(cohort, ones, keys), ones, test.vectors)

    try:
        top_n = TOP_N if settings.top_n is None else settings.top_n
        return normaliser(settings.norm, of_enroll, of_test, enroll.keys, test.keys, top_n=top_n, nj=settings.nj)
    except DataError as error:
        raise DataError(f"{settings.cohort}: {error}") from error


def _write(out: str | Path, pairs: Pairs, scorer: Scorer, nj: int) -> None:
    """Score and format block after block, on `nj` threads; the blocks do not depend on their number."""
    lines = ScoreLines(pairs, out)
    size = max(1, BLOCK // scorer.width)

    def block(start: int) -> memoryview:
        part = slice(start, start + size)
        return lines.of(start, scorer.of_pairs(pairs.enroll_index[part], pairs.test_index[part]))

    with open_output(str(out)) as stream:
        for text in threaded_map(block, range(0, len(pairs), size), nj):
            stream.write(text)


def _summary(pairs: Pairs, scorer: Scorer, settings: ScoreSettings) -> str:
    enrollments = f"{len(pairs.enroll_ids)} enrollments"
    if scorer.members.shape[1] > 1:
        enrollments += f" of up to {scorer.members.shape[1]} vectors, by {settings.enroll_by}"
    summary = f"{len(pairs)} trials, {enrollments}, {len(pairs.test_ids)} test utterances"
    if scorer.rows.shape[1] > 1:
        summary += f", pooled by {scorer.pooling} over up to {scorer.rows.shape[1]} streams"
    repeated = _repeated(pairs)
    return summary + (f"; {repeated} of the trials repeat an earlier one" if repeated else "")


def _repeated(pairs: Pairs) -> int:
    """How many trials stand in the list before."""
    cells = len(pairs.enroll_ids) * len(pairs.test_ids)
    if cells > SEEN_BITS:
        return len(pairs) - len(np.unique(pairs.enroll_index * np.int64(len(pairs.test_ids)) + pairs.test_index))
    seen = np.zeros(cells // 8 + 1, np.uint8)
    return int(kernels.count_repeated(pairs.enroll_index, pairs.test_index, len(pairs.test_ids), seen))
