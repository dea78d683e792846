"""`csc threshold`: which threshold for a wanted error rate or prior, and the error rates it has on given scores.

A trial is accepted when its score is at least the threshold. A threshold lies between two neighbouring scores, so that
rounding it a little accepts the same trials.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli.errors import ConfigError, DataError
from csc_cli.files import nan_as_null
from csc_cli.kaldi.trials import join_file, read_key
from csc_cli.metrics.conditions import conditions
from csc_cli.metrics.cost import OperatingPoint, operating_points
from csc_cli.metrics.detection import Bools, Split, split
from csc_cli.metrics.hull import Floats
from csc_cli.metrics.tables import Table, terminal


@dataclass(frozen=True)
class Rates:
    """What a threshold does to some trials."""

    condition: str
    targets: int
    nontargets: int
    misses: int
    false_alarms: int
    frr: float  # false-rejection rate: misses / targets
    far: float  # false-acceptance rate: false alarms / nontargets


@dataclass(frozen=True)
class Threshold:
    """A threshold, what it is for, and its error rates: in each condition, and last on all trials."""

    wanted: str
    threshold: float
    rates: tuple[Rates, ...]


def find_thresholds(
    trials: str | Path,
    scores: str | Path,
    *,
    far: Sequence[float] = (),
    frr: Sequence[float] = (),
    p_target: Sequence[float] = (),
    c_miss: Sequence[float] = (),
    c_fa: Sequence[float] = (),
    bayes: bool = False,
    utt2cond: str | Path | None = None,
    as_json: bool = False,
) -> str:
    """A threshold for each wanted rate and operating point, with its measured rates.

    Args:
        far, frr: at most these shares of nontargets accepted, of targets rejected.
        p_target, c_miss, c_fa: operating points: least cost on these trials.
        bayes: for operating points, Bayes' threshold in place of that of least cost: for calibrated scores.
        utt2cond: test utterance -> condition: rates in each at the threshold of all.

    Returns:
        A table for a terminal, or a JSON list.

    Raises:
        DataError: damaged files, missing or extra trials, no targets or no nontargets.
        ConfigError: nothing is wanted, or something impossible.
    """
    for name, shares in (("--far", far), ("--frr", frr)):
        for share in shares:
            if not 0 <= share <= 1:
                raise ConfigError(f"{name} {share:g}: a share lies between 0 and 1 (1 % is 0.01)")
    points = operating_points(p_target, c_miss, c_fa)
    if not (far or frr or points):
        raise ConfigError("nothing is wanted: give --far, --frr or --p-target")
    key, target = read_key(trials, "thresholds need it")
    values = join_file(key, scores, trials)
    try:
        by_kind = split(values, target)
    except DataError as error:
        raise DataError(f"{scores} on {trials}: {error}") from error
    of, names = conditions(key, utt2cond)
    parts = {name: (values[of == index], target[of == index]) for index, name in enumerate(names)}
    parts["all"] = (values, target)
    found = [
        Threshold(wanted, value, tuple(_rates(name, *part, value) for name, part in parts.items()))
        for wanted, value in _wanted(by_kind, far, frr, points, bayes)
    ]
    return _json(found) if as_json else terminal(_table(found))


def threshold_for_far(scores: Split, share: float) -> float:
    """The lowest threshold at which at most this share of nontargets is accepted."""
    # Floats come near to whole counts: 0.29 * 100 is 28.999...
    allowed = int(np.floor(share * scores.nontargets.size * (1 + 1e-12)))
    if allowed >= scores.nontargets.size:
        return _above(scores, -np.inf)
    return _above(scores, float(scores.nontargets[scores.nontargets.size - 1 - allowed]))


def threshold_for_frr(scores: Split, share: float) -> float:
    """The highest threshold at which at most this share of targets is rejected."""
    allowed = int(np.floor(share * scores.targets.size * (1 + 1e-12)))
    if allowed >= scores.targets.size:
        return _above(scores, max(scores.targets[-1], scores.nontargets[-1]))
    return _up_to(scores, float(scores.targets[allowed]))


def threshold_of_least_cost(scores: Split, point: OperatingPoint) -> float:
    """The threshold of minDCF; of several the highest, at which the fewest trials are accepted."""
    hull = scores.hull
    costs = point.cost(hull.miss, hull.false_alarm)
    best = int(np.flatnonzero(costs == costs.min())[-1])
    if best == len(hull.first):
        return _above(scores, max(scores.targets[-1], scores.nontargets[-1]))
    return _up_to(scores, float(hull.first[best]))


def between(low: float, high: float) -> float:
    """A number of few digits that is above `low` and at most `high`, near the middle.

    >>> between(0.1234567, 0.1234569), between(1.0, 2.0)
    (0.1234568, 1.5)
    """
    middle = low + (high - low) / 2
    for digits in range(4, 18):
        value = float(f"{middle:.{digits}g}")
        # In the middle half, so that a reader who keeps fewer digits still accepts the same trials.
        if low + (high - low) / 4 <= value <= high - (high - low) / 4 and low < value <= high:
            return value
    return high


def _above(scores: Split, score: float) -> float:
    """A threshold just above `score`: the trials of higher scores are accepted."""
    following = [x[place] for x in scores if (place := int(np.searchsorted(x, score, "right"))) < x.size]
    if np.isneginf(score):
        return between(min(following) - _margin(scores), min(following))
    return between(score, min(following) if following else score + _margin(scores))


def _up_to(scores: Split, score: float) -> float:
    """A threshold just below `score`: the trials from it on are accepted."""
    before = [x[place - 1] for x in scores if (place := int(np.searchsorted(x, score, "left"))) > 0]
    return between(max(before) if before else score - _margin(scores), score)


def _margin(scores: Split) -> float:
    """How far beyond all scores a threshold lies: a hundredth of their range."""
    low, high = min(x[0] for x in scores), max(x[-1] for x in scores)
    return float(max((high - low) / 100, abs(high) * 1e-6, abs(low) * 1e-6, 1e-6))


def _wanted(
    scores: Split, far: Sequence[float], frr: Sequence[float], points: Sequence[OperatingPoint], bayes: bool
) -> Iterator[tuple[str, float]]:
    for share in far:
        yield f"FAR <= {share:g}", threshold_for_far(scores, share)
    for share in frr:
        yield f"FRR <= {share:g}", threshold_for_frr(scores, share)
    for point in points:
        if bayes:
            yield f"Bayes, prior {point}", point.threshold
        else:
            yield f"least cost, prior {point}", threshold_of_least_cost(scores, point)


def _rates(condition: str, scores: Floats, target: Bools, threshold: float) -> Rates:
    accepted = scores >= threshold
    targets, misses = int(target.sum()), int((target & ~accepted).sum())
    nontargets, false_alarms = target.size - targets, int((~target & accepted).sum())
    # A condition may have only one kind of trial.
    frr = misses / targets if targets else float("nan")
    far = false_alarms / nontargets if nontargets else float("nan")
    return Rates(condition, targets, nontargets, misses, false_alarms, frr, far)


def _table(found: Sequence[Threshold]) -> Table:
    conditioned = len(found[0].rates) > 2
    headings = [
        "wanted",
        *(["condition"] if conditioned else []),
        "threshold",
        "FAR %",
        "FRR %",
        "false alarms",
        "misses",
    ]
    rows = []
    for entry in found:
        for rates in entry.rates if conditioned else entry.rates[-1:]:
            errors = (f"{rates.false_alarms} / {rates.nontargets}", f"{rates.misses} / {rates.targets}")
            shares = (f"{100 * share:.3f}" for share in (rates.far, rates.frr))
            condition = [rates.condition] if conditioned else []
            rows.append([entry.wanted, *condition, repr(entry.threshold), *shares, *errors])
    return Table(headings, rows, left=2 if conditioned else 1)


def _json(found: Sequence[Threshold]) -> str:
    return json.dumps(nan_as_null([dataclasses.asdict(entry) for entry in found]), indent=2)
