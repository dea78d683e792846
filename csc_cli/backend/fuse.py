"""`csc calibrate` and `csc fuse`: from score files and trials to a calibration, and from scores to ratios."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from csc_cli.backend import calibration_file
from csc_cli.backend.calibrate import Calibration, Floats
from csc_cli.backend.logistic import cost
from csc_cli.backend.quality import QualityTables, measures
from csc_cli.errors import ConfigError, DataError, some
from csc_cli.files import sha256
from csc_cli.kaldi.speakers import all_speakers
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import Scores, Trials, join_file, read_key, read_scores, write_scores


def train(
    trials: str | Path,
    scores: Sequence[str | Path],
    out: str | Path,
    *,
    names: Sequence[str] = (),
    prior: float = 0.5,
    enroll_utt2spk: str | Path | None = None,
    utt2spk: str | Path | None = None,
    quality: QualityTables | None = None,
) -> str:
    """Learn a calibration of one score file, or a fusion of several, on `trials`; write it to `out`.

    Args:
        names: of the systems; without them score files are called by their numbers, 1, 2, ...
        prior: of a target, at which the ratios are to cost least.
        enroll_utt2spk, utt2spk: enrollment or test utterance -> one or more speakers, to be kept in `out`.

    Returns:
        The formula, and Cllr before and after on these trials.

    Raises:
        DataError: damaged files, missing or extra trials, or trials that cannot be learned from (`logistic.fit`).
        ConfigError: an impossible setting.
    """
    calibration = Calibration(prior=prior)
    names = _names(names, len(scores))
    key, target = read_key(trials, "calibration needs it")
    given = {name: join_file(key, path, trials) for name, path in zip(names, scores, strict=True)}
    quality_of = measures(key, quality or QualityTables())
    try:
        calibration.fit(given, target, quality_of)
    except DataError as error:
        raise DataError(f"{', '.join(map(str, scores))} on {trials}: {error}") from error
    llr = calibration.apply(*given.values(), quality=quality_of)
    before = {name: _cllr(values, target) for name, values in given.items()}
    after = _cllr(llr, target)
    targets = int(target.sum())
    calibration_file.save(out, calibration, _speakers(key, enroll_utt2spk, utt2spk), {
        "trials": Path(trials).name, "sha256": sha256(trials) if Path(trials).is_file() else None,
        "targets": targets, "nontargets": len(key) - targets, "cllr_before": before, "cllr_after": after,
        **({"enrollments": sorted(key.enroll_ids.tolist())} if enroll_utt2spk else {}),
    })  # fmt: skip
    was = ", ".join(f"{value:.4f}" + (f" ({name})" if len(before) > 1 else "") for name, value in before.items())
    return f"{_formula(calibration)}\nCllr on the {len(key)} trials of training: {was} -> {after:.4f}; written to {out}"


def apply(
    calibration: str | Path,
    scores: Sequence[str | Path],
    out: str | Path,
    *,
    names: Sequence[str] = (),
    enroll_utt2spk: str | Path | None = None,
    utt2spk: str | Path | None = None,
    quality: QualityTables | None = None,
    shared_speakers: bool = False,
) -> str:
    """Write the log likelihood ratios of score files to `out` (`-`: standard output), in the order of the first.

    Args:
        names: of the systems, in the order of `scores`; without them the order is that of training.
        shared_speakers: go on where speakers of these scores took part in training.

    Raises:
        DataError: damaged files, score files of different trials, speakers that took part in training, another
            number of systems, missing measures of quality.
        ConfigError: names that are not those of training.
    """
    stored = calibration_file.load(calibration)
    pairs = read_scores(scores[0])
    if not shared_speakers:
        heard = _speakers(pairs, enroll_utt2spk, utt2spk)
        _refuse_shared(stored, heard, set(pairs.enroll_ids), bool(enroll_utt2spk), calibration)
    columns = [pairs.score, *(join_file(pairs, path, scores[0]) for path in scores[1:])]
    systems = list(stored.calibration.weights_)
    if names:
        if sorted(names) != sorted(systems) or len(names) != len(columns):
            raise ConfigError(f"--name {', '.join(names)}: the systems of {calibration} are {', '.join(systems)}")
        columns = [columns[list(names).index(system)] for system in systems]
    try:
        llr = stored.calibration.apply(*columns, quality=measures(pairs, quality or QualityTables()))
    except DataError as error:
        raise DataError(f"{calibration}: {error}") from error
    write_scores(out, pairs, llr)
    return f"{len(pairs)} log likelihood ratios, {_formula(stored.calibration)} -> {out}"


def _names(names: Sequence[str], count: int) -> list[str]:
    if not names:
        return [str(index + 1) for index in range(count)] if count > 1 else ["score"]
    if len(names) != count or len(set(names)) != count:
        raise ConfigError(f"--name: {count} score file(s) need as many different names; given: {', '.join(names)}")
    return list(names)


def _speakers(pairs: Trials | Scores, enroll_utt2spk: str | Path | None, utt2spk: str | Path | None) -> set[str]:
    tables = (read_keyed(path) if path else None for path in (enroll_utt2spk, utt2spk))
    return all_speakers(pairs, *tables)


def _refuse_shared(
    stored: calibration_file.Stored, heard: set[str], enrollments: set[str], named: bool, calibration: str | Path
) -> None:
    """By the names of speakers; and where a table named them on one side alone, by the ids of enrollments."""
    shared, of = stored.speakers & heard, f"{len(heard)} speakers"
    if not shared and named != stored.named:
        shared, of = stored.enrollments & enrollments, f"{len(enrollments)} enrollments"
    if shared:
        raise DataError(
            f"{len(shared)} of {of} of these scores took part in training {calibration}: "
            f"{some(sorted(shared))}; train on other speakers, or say --shared-speakers and take the results for what "
            "they are"
        )


def _cllr(llr: Floats, target: Any) -> float:
    return cost(llr, target, 0.5) / float(np.log(2))


def _formula(calibration: Calibration) -> str:
    terms = {**calibration.weights_, **{f"log {name}": w for name, w in calibration.quality_weights_.items()}}
    text = " ".join(f"{weight:+.6g} {name}" for name, weight in terms.items())
    return f"llr = {text.removeprefix('+')} {calibration.offset_:+.6g} (prior {calibration.prior:g})"
