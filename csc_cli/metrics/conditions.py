"""The condition of each trial: which, and in which order they are shown."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.errors import DataError, some
from csc_cli.kaldi.text import read_map
from csc_cli.kaldi.trials import Trials


def conditions(trials: Trials, utt2cond: str | Path | None) -> tuple[NDArray[np.intp], list[str]]:
    """The condition of each trial (N,), that of its test utterance, and the conditions' names in order.

    Raises:
        DataError: a test utterance has no condition.
    """
    if utt2cond is None:
        return np.zeros(len(trials), np.intp), ["all"]
    of = read_map(utt2cond)
    absent = [test for test in trials.test_ids if test not in of]
    if absent:
        raise DataError(f"{utt2cond}: no condition for {len(absent)} test utterance(s) of the trials: {some(absent)}")
    names = sorted({of[test] for test in trials.test_ids}, key=condition_order)
    number = {name: index for index, name in enumerate(names)}
    return np.array([number[of[test]] for test in trials.test_ids], np.intp)[trials.test_index], names


def condition_order(name: str) -> tuple[bool, list[tuple[str, float]]]:
    """A sorting key: names without a number first; numbers rise, but those with a sign or in dB fall.

    The easy conditions come first so: clean, few talkers, a high signal-to-interference ratio.

    >>> sorted(["sir-5dB", "3talkers", "sir0dB", "clean", "2talkers", "sir+5dB"], key=condition_order)
    ['clean', '2talkers', '3talkers', 'sir+5dB', 'sir0dB', 'sir-5dB']
    """
    key, end = [], 0
    for found in re.finditer(r"([+-]?)(\d+(?:\.\d+)?)(\s*dB)?", name, re.IGNORECASE):
        value = float(found[1] + found[2])
        key.append((name[end : found.start()], -value if found[1] or found[3] else value))
        end = found.end()
    return end > 0, [*key, (name[end:], 0.0)]
