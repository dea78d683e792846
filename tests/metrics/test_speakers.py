"""Who the speakers of a trial are, by table and by key."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.trials import Trials
from csc_cli.metrics.speakers import trial_speakers

TRIALS = Trials.of(
    ["a", "b", "c", "a", "b", "c", "a"],
    ["mix", "mix", "mix", "solo", "solo", "solo", "strange"],
    [True, True, False, False, True, False, False],
)


def members(speakers):
    """The set of names of each trial."""
    rows = speakers.members[speakers.group]
    return [{speakers.names[index] for index in row if index < len(speakers.names)} for row in rows]


def test_from_the_key():
    speakers = trial_speakers(TRIALS)
    ours = members(speakers)
    assert ours[:6] == [{"a", "b"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b"}, {"b"}, {"b", "c"}]
    assert len(ours[6]) == 2  # a, and the unknown talker of 'strange'
    assert "a" in ours[6]
    assert speakers.present == len(speakers.names) == 4


def test_an_unknown_talker_is_not_a_speaker_of_the_same_name():
    trials = Trials.of(["a", "a"], ["ua", "a"], [True, False])
    assert len(trial_speakers(trials).names) == 2


def test_from_tables():
    enroll = {"a": ["x"], "b": ["y"], "c": ["x"]}
    heard = {"mix": ["y", "x"], "solo": ["z"], "strange": ["x"], "unused": ["q"]}
    speakers = trial_speakers(TRIALS, enroll, heard)
    assert speakers.names == ("x", "y", "z")
    assert members(speakers) == [
        {"x", "y"}, {"x", "y"}, {"x", "y"}, {"x", "z"}, {"y", "z"}, {"x", "z"}, {"x"},
    ]  # fmt: skip


def test_weights_multiply_over_distinct_speakers():
    enroll, heard = {"a": ["x"], "b": ["y"], "c": ["x"]}, {"mix": ["x", "y"], "solo": ["z"], "strange": ["x"]}
    speakers = trial_speakers(TRIALS, enroll, heard)
    counts = np.array([[2, 3, 5], [0, 1, 2]])
    weights = speakers.weights(counts)[speakers.group]
    assert weights.tolist() == [[6, 0], [6, 0], [6, 0], [10, 0], [15, 2], [10, 0], [2, 0]]


def test_subset_keeps_the_names():
    speakers = trial_speakers(TRIALS)
    keep = np.array([False, False, False, True, True, True, False])
    part = speakers.subset(keep)
    assert part.names == speakers.names
    assert members(part) == members(speakers)[3:6]
    assert part.present == 3


def test_ids_without_a_speaker_are_counted():
    with pytest.raises(DataError, match=r"2 enrollment\(s\) of the trials: b, c"):
        trial_speakers(TRIALS, {"a": ["x"]})
    with pytest.raises(DataError, match=r"1 test utterance\(s\) of the trials: strange"):
        trial_speakers(TRIALS, None, {"mix": ["a"], "solo": ["b"], "strange": []})
