import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csc_cli.corpora.parts import of_speakers, split_speakers, write_parts
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
