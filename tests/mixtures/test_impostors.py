"""Impostors matched by sex and age, against brute force over all pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import read_trials
from csc_cli.mixtures.impostors import groups
from csc_cli.mixtures.protocol import make_trials
from csc_cli.mixtures.settings import TrialsConfig

CONFIG = TrialsConfig(enrollment=2, tests=2, sir_db=(0.0,))
PEOPLE = {"a": ("f", 6), "b": ("f", 11), "c": ("f", 30), "d": ("m", 8), "e": ("m", 19), "g": ("f", 45), "h": ("f", 40)}


@pytest.fixture
def people(data_of):
    """Seven speakers with their tables; h has one utterance."""
    data = data_of({name: [1.0] * (1 if name == "h" else 3) for name in PEOPLE})
    write(data.path, "spk2gender", {name: sex for name, (sex, _) in PEOPLE.items()})
    write(data.path, "spk2age", {name: age for name, (_, age) in PEOPLE.items()})
    return data.path


def write(folder: Path, name: str, table: dict) -> None:
    (folder / name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))


@pytest.mark.parametrize(
    ("matched", "alike"),
    [
        (("sex", "age"), lambda one, two: one[0] == two[0] and (one[1] < 12) == (two[1] < 12)),
        (("sex",), lambda one, two: one[0] == two[0]),
        (("age",), lambda one, two: (one[1] < 12) == (two[1] < 12)),
    ],
)
def test_nontargets_are_like_a_target_of_the_recording(people, tmp_path, matched, alike):
    make_trials(people, tmp_path / "out", replace(CONFIG, matched=matched), audio=False)
    heard = read_keyed(tmp_path / "out" / "utt2spks")
    assert any("h" in talkers for talkers in heard.values()), "a talker who is not enrolled is no target"
    expected = set()
    for test, talkers in heard.items():
        targets = set(talkers) - {"h"}
        for speaker in PEOPLE.keys() - {"h"}:
            if speaker in talkers:
                expected.add((speaker, test, True))
            elif any(alike(PEOPLE[speaker], PEOPLE[target]) for target in targets):
                expected.add((speaker, test, False))
    trials = read_trials(tmp_path / "out" / "trials")
    found = list(zip(trials.enroll, trials.test, trials.target.tolist()))
    assert len(found) == len(expected) and set(found) == expected


def test_so_many_of_the_matched_ones(people, tmp_path):
    config = replace(CONFIG, matched=("sex", "age"))
    make_trials(people, tmp_path / "all", config, audio=False)
    make_trials(people, tmp_path / "one", replace(config, nontargets=1), audio=False)
    every, one = (read_trials(tmp_path / name / "trials") for name in ("all", "one"))
    pairs = {(speaker, test) for speaker, test, target in zip(every.enroll, every.test, every.target) if not target}
    chosen = [(speaker, test) for speaker, test, target in zip(one.enroll, one.test, one.target) if not target]
    assert set(chosen) <= pairs and len(chosen) == len({test for _, test in pairs}) < len(pairs)


def test_the_readme_counts_the_groups(people, tmp_path):
    make_trials(people, tmp_path / "out", replace(CONFIG, matched=("sex", "age")), audio=False)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "who share sex and age band with one of a recording's targets" in text
    for line in ("f, under 12 years | 2", "f, 18 years and older | 2", "m, under 12 years | 1"):
        assert f"| {line} |" in text


def test_bands_begin_at_their_years():
    ages = {"a": "5", "b": "9", "c": "9.5", "d": "12", "e": "80"}
    data = DataDir(Path("data"), tuple(Utterance(name, name, "x") for name in ages), {"spk2age": ages})
    found = groups(data, ages, replace(CONFIG, matched=("age",), age_bands=(9.0, 12.0)))
    bands = [{speaker for speaker in ages if found[speaker] == group} for group in sorted(set(found.values()))]
    assert sorted(map(sorted, bands)) == [["a"], ["b", "c"], ["d", "e"]]
    assert len(set(groups(data, ages, replace(CONFIG, matched=("age",), age_bands=())).values())) == 1
    assert set(groups(data, ages, CONFIG).values()) == {""}


def test_what_is_missing_is_named(people, tmp_path):
    config = replace(CONFIG, matched=("sex", "age"))
    write(people, "spk2age", {name: age for name, (_, age) in PEOPLE.items() if name not in "ad"})
    with pytest.raises(DataError, match=r"spk2age: does not have a, d; add lines 'SPEAKER AGE'"):
        make_trials(people, tmp_path / "out", config)
    write(people, "spk2age", {name: age if name != "b" else "young" for name, (_, age) in PEOPLE.items()})
    with pytest.raises(DataError, match="spk2age: the age of b is no number of years"):
        make_trials(people, tmp_path / "out", config)
    (people / "spk2gender").unlink()
    with pytest.raises(DataError, match=r"spk2gender: not found, and nontargets are to be matched by sex"):
        make_trials(people, tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_of_a_speaker_who_is_not_enrolled_nothing_is_asked(people, tmp_path):
    write(people, "spk2age", {name: age for name, (_, age) in PEOPLE.items() if name != "h"})
    make_trials(people, tmp_path / "out", replace(CONFIG, matched=("age",)), audio=False)


def test_nobody_alike_is_an_error(people, tmp_path):
    config = replace(CONFIG, matched=("age",), age_bands=(7.0, 9.0, 12.0, 20.0, 31.0))
    with pytest.raises(DataError, match="no enrolled speaker shares age with another"):
        make_trials(people, tmp_path / "out", replace(config, sir_db=()), audio=False)
    assert not (tmp_path / "out" / "trials").exists()
