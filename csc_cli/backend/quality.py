"""Measures of quality of trials, for `Calibration`: how much was heard, of how many talkers.

Each is a logarithm: what a second adds to a score falls with the seconds there are, and the maximum over C streams
rises about with log C. Legend: N trials, U ids of a side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import ConfigError, DataError, some
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import Pairs

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QualityTables:
    """Where the measures come from; None leaves a measure out."""

    enroll_duration: str | Path | None = None  # ENROLLMENT SECONDS
    test_duration: str | Path | None = None  # UTT SECONDS (utt2dur)
    streams: str | Path | None = None  # UTT UTT-s1 UTT-s2 (utt2streams)
    activity: str | Path | None = None  # UTT-s1 SECONDS ENERGY_DB (stream_activity); needs `streams`

    def __post_init__(self) -> None:
        if self.activity and not self.streams:
            raise ConfigError("--activity says nothing without --streams (which streams an utterance has); give both")


def measures(pairs: Pairs, tables: QualityTables) -> dict[str, Floats]:
    """The measures of N trials, by name, (N,) each: logarithms of seconds and of the number of streams.

    `test_activity` is the logarithm of the mean active seconds of the utterance's streams.

    Raises:
        DataError: an id of the trials is not in its table, or a value is not a number above 0.
    """
    enroll, test = list(pairs.enroll_ids), list(pairs.test_ids)
    found: dict[str, Floats] = {}
    if tables.enroll_duration:
        found["enroll_duration"] = _logs(tables.enroll_duration, enroll, "enrollment")[pairs.enroll_index]
    if tables.test_duration:
        found["test_duration"] = _logs(tables.test_duration, test, "test utterance")[pairs.test_index]
    if tables.streams:
        of = read_keyed(tables.streams)
        _all_there(tables.streams, test, of, "test utterance")
        found["test_streams"] = np.log([len(of[utterance]) for utterance in test])[pairs.test_index]
        if tables.activity:
            streams = [stream for utterance in test for stream in of[utterance]]
            seconds = np.exp(_logs(tables.activity, streams, "stream"))
            starts = np.cumsum([0, *(len(of[utterance]) for utterance in test)])[:-1]
            mean = np.add.reduceat(seconds, starts) / [len(of[utterance]) for utterance in test]
            found["test_activity"] = np.log(mean)[pairs.test_index]
    return found


def _logs(path: str | Path, ids: Sequence[str], kind: str) -> Floats:
    """The logarithm of the first value of each id: (U,)."""
    table = read_keyed(path)
    _all_there(path, ids, table, kind)
    return np.log([_seconds(path, key, table[key][0]) for key in ids])


def _all_there(path: str | Path, ids: Sequence[str], table: dict[str, list[str]], kind: str) -> None:
    absent = [key for key in ids if key not in table]
    if absent:
        raise DataError(f"{path}: nothing for {len(absent)} {kind}(s) of the trials: {some(absent)}; add them")


def _seconds(path: str | Path, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise DataError(f"{path}: '{key}' has '{text}', not a number of seconds above 0; correct it")
    return value
