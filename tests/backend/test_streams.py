"""Streams of a test utterance: which vectors, and one score from theirs."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.backend.streams import pool, rows_of
from csc_cli.errors import ConfigError


def test_log_mean_is_the_ratio_of_a_recording_with_one_of_several_talkers():
    """The likelihoods themselves: a recording's is the mean of its talkers'."""
    ratios = np.array([[2.0, 0.1, 0.4], [5.0, 3.0, np.nan], [0.7, np.nan, np.nan]])
    scores = np.where(np.isnan(ratios), -np.inf, np.log(ratios))
    assert np.exp(pool(scores, "log-mean")) == pytest.approx(np.nanmean(ratios, axis=1))
    assert np.exp(pool(scores, "max")) == pytest.approx(np.nanmax(ratios, axis=1))


def test_log_mean_does_not_overflow():
    assert pool(np.array([[900.0, 900.0], [-900.0, -np.inf]]), "log-mean") == pytest.approx([900, -900])


@pytest.mark.parametrize("how", ["max", "log-mean"])
def test_order_of_streams_changes_nothing(how):
    scores = np.random.default_rng(0).normal(size=(20, 4))
    assert pool(scores[:, [2, 0, 3, 1]], how) == pytest.approx(pool(scores, how))


def test_unknown_pooling():
    with pytest.raises(ConfigError, match="max or log-mean"):
        pool(np.zeros((1, 2)), "sum")  # type: ignore[arg-type]


def test_rows_name_each_vector_once():
    keys, rows = rows_of([["u-s1", "u-s2"], ["v-s1"], ["u-s2"], []])
    assert [[keys[row] for row in of if row >= 0] for of in rows] == [["u-s1", "u-s2"], ["v-s1"], ["u-s2"], []]
    assert sorted(keys) == ["u-s1", "u-s2", "v-s1"]
    assert (rows < 0).sum() == 4
