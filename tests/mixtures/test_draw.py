"""Who meets whom: a function of seed, number and data directory, fair to all utterances."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from csc_cli.errors import DataError
from csc_cli.mixtures.draw import draw_data_dir, plan_data_dir
from csc_cli.mixtures.manifest import to_line
from csc_cli.mixtures.plan import MixtureConfig

CONFIG = MixtureConfig()


def ids(draws):
    return [(draw.id, *(utterance.id for utterance in draw.utterances)) for draw in draws]


def test_a_longer_run_begins_with_a_shorter_one(data):
    assert ids(draw_data_dir(data, CONFIG, 1, 50))[:7] == ids(draw_data_dir(data, CONFIG, 1, 7))
    assert ids(draw_data_dir(data, CONFIG, 1, 50)) != ids(draw_data_dir(data, CONFIG, 2, 50))


def test_talkers_differ_and_first_talkers_take_turns(data):
    draws = list(draw_data_dir(data, CONFIG, 0, 60, talkers=3))
    assert all(len({utterance.speaker for utterance in draw.utterances}) == 3 for draw in draws)
    assert set(Counter(draw.utterances[0].id for draw in draws).values()) == {3}
    assert len(Counter(draw.utterances[1].id for draw in draws)) > 15
    names = [draw.id for draw in draws]
    assert names == sorted(set(names))


@pytest.mark.parametrize("talkers", [0, 5])
def test_too_few_speakers_are_named(data, talkers):
    with pytest.raises(DataError, match=r"4 speaker\(s\), too few.*nobody is left to interfere"):
        list(draw_data_dir(data, CONFIG, 0, 3, talkers))


def test_a_mixture_can_be_planned_alone(data):
    lines = [to_line(mixture) for mixture in plan_data_dir(data, CONFIG, 3, 6)]
    assert len(set(lines)) == 6
    last = list(draw_data_dir(data, CONFIG, 3, 6))[-1]
    only = data.subset([utterance.id for utterance in last.utterances])
    from csc_cli.mixtures.store import AudioStore

    assert to_line(last.plan(AudioStore(only, 8000))) == lines[-1]
    assert to_line(replace(last, seed=4).plan(AudioStore(only, 8000))) != lines[-1]
