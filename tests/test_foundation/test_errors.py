"""Messages say where, what, and which name was meant."""

from __future__ import annotations

import pickle

import pytest

from csc_cli import errors


def test_places_are_written_as_editors_read_them() -> None:
    assert errors.at("data/wav.scp", 3, "no such file") == "data/wav.scp:3: no such file"
    assert errors.at("data/wav.scp", None, "empty") == "data/wav.scp: empty"


def test_nearest_names_what_was_meant_or_lists_what_is_known() -> None:
    assert errors.nearest("extrat", ["train", "extract", "score"]) == "did you mean 'extract'?"
    assert errors.nearest("zzz", ["train", "score"]) == "known: score, train"
    assert "nothing" in errors.nearest("zzz", [])


def test_some_shows_a_few_and_the_count() -> None:
    assert errors.some(["a", "b", "c"]) == "a, b, c"
    assert errors.some(list("abcde")) == "a, b, c, ... (5 in all)"


@pytest.mark.parametrize("kind", [errors.CscError, errors.ConfigError, errors.DataError, errors.AudioError])
def test_errors_survive_the_way_out_of_a_worker(kind: type[errors.CscError]) -> None:
    error = pickle.loads(pickle.dumps(kind("data/wav.scp:3: no such file")))
    assert type(error) is kind and str(error) == "data/wav.scp:3: no such file"
    assert isinstance(error, errors.CscError)
