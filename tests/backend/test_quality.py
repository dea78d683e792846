"""Measures of quality by hand, and tables that lack something."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest

from csc_cli.backend.quality import QualityTables, measures
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.trials import Trials

TRIALS = Trials.of(["a", "b", "a"], ["u", "u", "v"])


@pytest.fixture
def tables(tmp_path: Path) -> QualityTables:
    texts = {
        "enroll": "b 12.5\na 30\n",
        "test": "u 2\nv 0.5\nw 9\n",
        "streams": "u u-s1 u-s3\nv v-s1\n",
        "activity": "u-s1 2.0 -1.5\nu-s3 1.0 -7\nv-s1 0.4 0\nw-s1 0 0\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return QualityTables(*(tmp_path / name for name in texts))


def test_measures_by_hand(tables):
    found = measures(TRIALS, tables)
    expected = {
        "enroll_duration": [log(30), log(12.5), log(30)],
        "test_duration": [log(2), log(2), log(0.5)],
        "test_streams": [log(2), log(2), 0],
        "test_activity": [log(1.5), log(1.5), log(0.4)],
    }
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values)


def test_nothing_asked_nothing_measured():
    assert measures(TRIALS, QualityTables()) == {}


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("enroll", "a 30\n", r"enroll: nothing for 1 enrollment\(s\) of the trials: b"),
        ("test", "u 2\n", r"test: nothing for 1 test utterance\(s\) of the trials: v"),
        ("test", "u 2\nv 0\n", "test: 'v' has '0', not a number of seconds above 0"),
        ("test", "u 2\nv two\n", "'v' has 'two'"),
        ("test", "u nan\nv 1\n", "'u' has 'nan'"),
        ("streams", "u u-s1\n", r"streams: nothing for 1 test utterance"),
        ("activity", "u-s1 2.0 -1.5\n", r"activity: nothing for 2 stream\(s\)"),
    ],
)
def test_tables_that_lack_something(tables, tmp_path, table, text, message):
    (tmp_path / table).write_text(text)
    with pytest.raises(DataError, match=message):
        measures(TRIALS, tables)


def test_activity_needs_streams(tmp_path):
    with pytest.raises(ConfigError, match="--streams"):
        QualityTables(activity=tmp_path / "activity")
