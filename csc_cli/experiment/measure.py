"""Error rates of one system on one trial set under the draws of speakers that all systems share.

Two systems, or two seeds of one, are compared by their draws: these are a function of the trial set alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError
from csc_cli.files import atomic_path
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import join_file, read_key
from csc_cli.metrics import detection
from csc_cli.metrics.conditions import conditions
from csc_cli.metrics.cost import OperatingPoint
from csc_cli.metrics.evaluation import ConditionTrials, by_condition
from csc_cli.metrics.intervals import bootstrap, draw_counts, leave_one_out
from csc_cli.metrics.resampling import Replicates
from csc_cli.metrics.speakers import trial_speakers

Floats = NDArray[np.float64]
P_TARGET = OperatingPoint().p_target


@dataclass(frozen=True)
class Draws:
    """K conditions, the last one all trials together where there are several; R draws of the speakers, S speakers."""

    conditions: tuple[str, ...]
    speakers: NDArray[np.int64]  # (K,) that occur in a condition
    eer: Floats  # (K,) shares, on the convex hull
    eer_threshold: Floats  # (K,)
    min_dcf: Floats  # (K,)
    eer_draws: Floats  # (K, R)
    min_dcf_draws: Floats  # (K, R)
    eer_left_out: Floats | None = None  # (K, S) without a speaker; NaN where he has no trial; None in older files
    min_dcf_left_out: Floats | None = None  # (K, S)

    def save(self, path: Path) -> None:
        with atomic_path(path) as target, open(target, "wb") as stream:
            np.savez(stream, **{name: np.asarray(value) for name, value in vars(self).items() if value is not None})  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Draws:
        """Raises DataError where the file is damaged."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            return cls(**arrays | {"conditions": tuple(arrays["conditions"].tolist())})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: damaged ({error}); remove its folder and run again") from error


def draw_errors(trials_dir: Path, scores: Path, replicates: int) -> Draws:
    """EER and minDCF of a score file by condition, on the trials and under draws of their speakers.

    Raises:
        DataError: as `csc evaluate`.
    """
    trials, target = read_key(trials_dir / "trials", "error rates need it")
    utt2spks, utt2cond = trials_dir / "utt2spks", trials_dir / "utt2cond"
    speakers = trial_speakers(trials, None, read_keyed(utt2spks) if utt2spks.exists() else None)
    joined = join_file(trials, scores, trials_dir / "trials")
    whole = ConditionTrials("all", target, {"": joined}, speakers)
    parts = by_condition(whole, *conditions(trials, utt2cond if utt2cond.exists() else None))
    counts = draw_counts(len(speakers.names), replicates, 0)
    drawn = [bootstrap(part.scores[""], part.target, part.speakers, counts) for part in parts]
    left_out = [_without_one(part) for part in parts] if replicates else []
    rates = [detection.eer(part.scores[""], part.target) for part in parts]
    costs = [detection.min_dcf(part.scores[""], part.target) for part in parts]
    return Draws(
        tuple(part.name for part in parts),
        np.array([part.speakers.present for part in parts]),
        np.array([rate.rate for rate in rates]),
        np.array([rate.threshold for rate in rates]),
        np.array(costs),
        np.array([draws.eer for draws in drawn]),
        np.array([draws.min_dcf for draws in drawn]),
        np.array([draws.eer for draws in left_out]) if left_out else None,
        np.array([draws.min_dcf for draws in left_out]) if left_out else None,
    )


def _without_one(part: ConditionTrials) -> Replicates:
    """Its figures without each of the S speakers."""
    counts = leave_one_out(part.speakers)
    drawn = bootstrap(part.scores[""], part.target, part.speakers, counts)
    left_out = counts.argmin(axis=1)  # (P,)
    found = [np.full((len(part.speakers.names), *values.shape[1:]), np.nan) for values in drawn]
    for array, values in zip(found, drawn, strict=True):
        array[left_out] = values
    return Replicates(*found)
