import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.corpora.parts import draw_evenly, of_speakers, split_speakers, write_parts
from csc_cli.errors import ConfigError
from csc_cli.kaldi.datadir import DataDir, Utterance

NAMES = st.sets(st.text(min_size=1, max_size=5), min_size=4, max_size=40)


def corpus(path, speakers: str) -> DataDir:
    return DataDir(path, tuple(Utterance(f"{name}-{n}", name, f"{name}{n}.wav") for name in speakers for n in (1, 2)))


@settings(deadline=None)
@given(NAMES, st.integers(0, 2), st.integers(0, 1), st.integers(0, 5))
def test_parts_are_disjoint_and_whole(speakers, dev, test, seed):
    parts = split_speakers(speakers, dev, test, seed)
    assert len(parts["dev"]) == dev and len(parts["test"]) == test
    together = parts["train"] + parts["dev"] + parts["test"]
    assert sorted(together) == sorted(speakers)
    assert all(own == sorted(own) for own in parts.values())
    assert parts == split_speakers(sorted(speakers, reverse=True), dev, test, seed)


def test_fractions_are_of_all_speakers():
    parts = split_speakers(map(str, range(40)), 0.1, 0.25, 0)
    assert {part: len(own) for part, own in parts.items()} == {"train": 26, "dev": 4, "test": 10}


def test_the_seed_draws():
    drawn = {tuple(split_speakers(map(str, range(40)), 0, 10, seed)["test"]) for seed in range(10)}
    assert len(drawn) == 10


def test_a_new_speaker_moves_few_others():
    before = split_speakers(map(str, range(100)), 0, 20, 0)
    after = split_speakers(map(str, range(101)), 0, 20, 0)
    assert len(set(before["test"]) & set(after["test"])) >= 19


TRAITS = st.dictionaries(
    st.text(min_size=1, max_size=5), st.tuples(st.sampled_from("fm"), st.sampled_from([6, 7, 8, 20, 33])), min_size=2
)


@settings(deadline=None)
@given(TRAITS, st.data(), st.integers(0, 5))
def test_an_even_draw_has_its_share_of_every_run(traits, data, seed):
    count = data.draw(st.integers(0, len(traits) - 1))
    drawn = draw_evenly(traits, count, "dev", seed)
    assert len(set(drawn)) == count and drawn == sorted(drawn)
    assert drawn == draw_evenly(dict(reversed(traits.items())), count, "dev", seed)
    values = sorted(set(traits.values()))
    for first in range(len(values)):
        for last in range(first, len(values)):
            run = {name for name, value in traits.items() if values[first] <= value <= values[last]}
            assert abs(len(run & set(drawn)) - len(run) * count / len(traits)) < 1


def test_an_even_draw_gives_each_speaker_the_same_chance():
    traits = {str(number): ("fm"[number % 2], number // 8) for number in range(24)}
    times = dict.fromkeys(traits, 0)
    for seed in range(600):
        for name in draw_evenly(traits, 6, "dev", seed):
            times[name] += 1
    # 150 expected of each; its standard deviation is at most 11.
    assert max(abs(time - 150) for time in times.values()) < 50


def test_an_even_draw_leaves_one_for_train():
    with pytest.raises(ConfigError, match="2 speakers are too few for 2 of dev and one of train"):
        draw_evenly({"a": (), "b": ()}, 2, "dev", 0)
    with pytest.raises(ConfigError, match="whole number"):
        draw_evenly({"a": (), "b": ()}, 1.5, "dev", 0)


@pytest.mark.parametrize(
    ("dev", "test", "message"),
    [
        (2, 2, "too few"),
        (0, 4, "too few"),
        (-1, 0, "whole number"),
        (1.5, 0, "whole number"),
        (float("nan"), 0, "whole"),
    ],
)
def test_impossible_numbers_are_refused(dev, test, message):
    with pytest.raises(ConfigError, match=message):
        split_speakers("abcd", dev, test, 0)


def test_written_parts_hold_their_speakers(tmp_path):
    whole = corpus(tmp_path, "abcde")
    parts = {"train": of_speakers(whole, "ace"), "test": of_speakers(whole, "bd")}
    summary = write_parts(tmp_path, parts)
    assert set(DataDir.load(tmp_path / "train").spk2utt) == set("ace")
    assert set(DataDir.load(tmp_path / "test").spk2utt) == set("bd")
    assert summary.splitlines()[1] == f"{tmp_path / 'test'}: 2 speakers, 4 utterances"


def test_a_part_of_an_earlier_run_is_never_left_beside_new_ones(tmp_path):
    whole = corpus(tmp_path, "abc")
    write_parts(tmp_path, {"train": of_speakers(whole, "a"), "dev": of_speakers(whole, "b")})
    before = (tmp_path / "train" / "utt2spk").read_text()
    with pytest.raises(ConfigError, match="dev: left from a run"):
        write_parts(tmp_path, {"train": whole})
    assert (tmp_path / "train" / "utt2spk").read_text() == before
