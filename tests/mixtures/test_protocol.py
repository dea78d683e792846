"""The verification protocol: who enrolls, who is tested, who interferes, and the key, against brute force."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.errors import ConfigError, CscError, DataError
from csc_cli.files import sha256
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.text import read_keyed, read_map
from csc_cli.kaldi.trials import read_trials
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.protocol import make_trials
from csc_cli.mixtures.settings import EqualiserConfig, NoiseConfig, TrialsConfig
from csc_cli.mixtures.split import split_speakers
from csc_cli.mixtures.store import AudioStore

CONFIG = TrialsConfig(enrollment=2, tests=2)
SIR = {"2talkers_+5dB": 5.0, "2talkers_0dB": 0.0, "2talkers_-5dB": -5.0}


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trials") / "trials"
    make_trials(data.path, out, CONFIG, seed=3)
    return out


@pytest.fixture(scope="module")
def tests(made):
    return list(read_mixtures(made / "test" / "mix.jsonl"))


@pytest.fixture(scope="module")
def enrolled(made):
    return list(read_mixtures(made / "enroll" / "mix.jsonl"))


def test_both_parts_are_sound_data_directories(made, data):
    assert check_data_dir(made / "enroll", read_audio=True) == []
    assert check_data_dir(made / "test", read_audio=True) == []
    enroll, test = DataDir.load(made / "enroll"), DataDir.load(made / "test")
    assert {speaker: len(ids) for speaker, ids in enroll.spk2utt.items()} == dict.fromkeys("abcd", 2)
    assert all(data.by_id[utterance.id].speaker == utterance.speaker for utterance in enroll.utterances)
    assert all(utterance.speaker == utterance.id for utterance in test.utterances)


def test_conditions_are_complete(made, tests):
    conditions = read_map(made / "utt2cond")
    assert conditions == read_map(made / "test" / "utt2cond") == {test.id: test.condition for test in tests}
    assert Counter(conditions.values()) == dict.fromkeys(["clean", *SIR], 8)
    targets = {condition: set() for condition in ("clean", *SIR)}
    for test in tests:
        targets[test.condition].add(test.sources[0].utterance)
        assert len(test.sources) == (1 if test.condition == "clean" else 2)
    assert all(chosen == targets["clean"] for chosen in targets.values())


def test_nobody_s_enrollment_is_heard_in_a_test(tests, enrolled):
    used = {source.utterance for test in tests for source in test.sources}
    assert not used & {mixture.sources[0].utterance for mixture in enrolled}
    assert all(len({source.speaker for source in test.sources}) == len(test.sources) for test in tests)


def test_the_key_is_who_is_heard(made, tests):
    trials = read_trials(made / "trials")
    heard = {test.id: {source.speaker for source in test.sources} for test in tests}
    pairs = list(zip(trials.enroll, trials.test))
    assert sorted(pairs) == sorted((speaker, test) for speaker in "abcd" for test in heard)
    assert all(target == (speaker in heard[test]) for (speaker, test), target in zip(pairs, trials.target))
    assert read_keyed(made / "utt2spks") == {test.id: [s.speaker for s in test.sources] for test in tests}


def test_every_recording_has_a_channel_of_its_own(tests, enrolled):
    channels = [source.channel for mixture in (*tests, *enrolled) for source in mixture.sources]
    assert None not in channels
    assert len(set(channels)) == len(channels)
    assert all(channel.low_hz > 0 and len(channel.equaliser_db) == 8 for channel in channels)


def test_ratios_are_the_conditions_as_measured_in_the_files(made, tests):
    files = {kind: read_map(made / "test" / f"{kind}.scp") for kind in ("wav", "spk1", "spk2")}
    for test in tests:
        audio = {kind: soundfile.read(names[test.id])[0] for kind, names in files.items() if test.id in names}
        assert audio["wav"].size == test.length
        if test.condition == "clean":
            assert np.array_equal(audio["wav"], audio["spk1"])
            assert set(audio) == {"wav", "spk1"}
            continue
        one, two = (active_level_db(audio[kind], 8000) for kind in ("spk1", "spk2"))
        assert one - two == pytest.approx(SIR[test.condition], abs=0.05)
        assert np.abs(audio["wav"] - audio["spk1"] - audio["spk2"]).max() <= 1.51 / 32768


def test_overlap_is_as_high_as_the_interferer_allows(data, tests, enrolled):
    store = AudioStore(data, 8000)
    enroll = {mixture.sources[0].utterance for mixture in enrolled}
    length = {id: np.diff(store.active_range(id))[0] for id in data.by_id}
    short = 0
    for test in tests:
        target, *others = test.sources
        assert (target.onset, target.length, test.length) == (0, length[target.utterance], target.length)
        for other in others:
            pool = [length[id] for id in data.spk2utt[other.speaker] if id not in enroll]
            assert other.length == min(target.length, length[other.utterance])
            assert length[other.utterance] >= target.length or length[other.utterance] == max(pool) < target.length
            short += other.length < target.length
    assert short


def test_processes_and_order_change_no_byte(made, data, tmp_path):
    make_trials(data.path, tmp_path / "trials", CONFIG, seed=3, nj=2)
    for path in made.rglob("*"):
        if path.is_file():
            other = tmp_path / "trials" / path.relative_to(made)
            assert (
                other.read_bytes().replace(str(tmp_path / "trials").encode(), str(made).encode()) == path.read_bytes()
            )


def test_seeds_draw_anew(made, data, tmp_path):
    make_trials(data.path, tmp_path / "trials", CONFIG, seed=4, audio=False)
    assert (tmp_path / "trials" / "test" / "mix.jsonl").read_bytes() != (made / "test" / "mix.jsonl").read_bytes()


def test_without_audio_there_is_the_plan_alone(made, data, tmp_path):
    make_trials(data.path, tmp_path / "trials", CONFIG, seed=3, audio=False)
    for name in ("trials", "utt2cond", "utt2spks", "README.md", "enroll/mix.jsonl", "test/mix.jsonl"):
        assert (tmp_path / "trials" / name).read_bytes() == (made / name).read_bytes()
    assert not list((tmp_path / "trials").rglob("*.wav"))


def test_readme_has_seed_settings_and_checksums(made):
    text = (made / "README.md").read_text()
    for name in ("trials", "enroll/mix.jsonl", "test/mix.jsonl"):
        assert f"{sha256(made / name)}  {name}" in text
    assert "Seed 3." in text
    assert "enrollment: 2" in text
    assert "| clean | 8 | 8 | 24 |" in text
    assert "| 2talkers_0dB | 8 | 16 | 16 |" in text


def test_a_second_call_leaves_what_is_whole(made, data):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.wav")}
    summary = make_trials(data.path, made, CONFIG, seed=3)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.wav")} == before
    assert "clean: 8 recordings, 8 target, 24 nontarget trials" in summary


def test_nontargets_can_be_limited(data, tmp_path):
    make_trials(data.path, tmp_path / "trials", replace(CONFIG, nontargets=1), audio=False)
    trials = read_trials(tmp_path / "trials" / "trials")
    heard = read_keyed(tmp_path / "trials" / "utt2spks")
    count = Counter(zip(trials.test, trials.target.tolist()))
    for test, speakers in heard.items():
        assert count[test, True] == len(speakers)
        assert count[test, False] == 1
    assert len({speaker for speaker, target in zip(trials.enroll, trials.target) if not target}) > 1


def test_speakers_with_few_utterances(data_of):
    data = data_of({"a": [1.0] * 7, "b": [1.0] * 3, "c": [1.0] * 2, "d": [1.0]})
    split = split_speakers(data, TrialsConfig(enrollment=3, tests=2), seed=0)
    assert {speaker: len(ids) for speaker, ids in split.enroll.items()} == {"a": 3, "b": 2, "c": 1}
    assert {speaker: len(ids) for speaker, ids in split.test.items()} == {"a": 2, "b": 1, "c": 1}
    assert {speaker: len(ids) for speaker, ids in split.interferers.items()} == {"a": 4, "b": 1, "c": 1, "d": 1}
    for speaker, ids in split.enroll.items():
        assert not set(ids) & set(split.interferers[speaker])
        assert set(split.test[speaker]) <= set(split.interferers[speaker])
    other = split_speakers(data.subset([id for id in data.by_id if id[0] != "b"]), TrialsConfig(tests=2), seed=0)
    assert (other.enroll["a"], other.test["a"]) == (split.enroll["a"], split.test["a"])


def test_speakers_who_only_interfere_are_never_enrolled(data_of, tmp_path):
    data = data_of({"a": [1.2] * 2, "b": [1.2] * 2, "c": [1.2]})
    config = TrialsConfig(enrollment=1, tests=9, sir_db=(3.0, 2.0, 1.0, 0.0, -1.0, -2.0, -3.0))
    summary = make_trials(data.path, tmp_path / "trials", config)
    assert "2 speakers enrolled; 1 with one utterance only interfere" in summary
    trials = read_trials(tmp_path / "trials" / "trials")
    assert set(trials.enroll) == {"a", "b"}
    heard = read_keyed(tmp_path / "trials" / "utt2spks")
    assert any("c" in speakers for speakers in heard.values())
    assert check_data_dir(tmp_path / "trials" / "test", read_audio=True) == []


@pytest.mark.parametrize("speakers", [{"a": [1.0] * 5}, {"a": [1.0] * 5, "b": [1.0]}, {"a": [1.0], "b": [1.0]}])
def test_too_few_speakers_are_named(data_of, tmp_path, speakers):
    with pytest.raises(DataError, match=r"speaker\(s\) have two utterances.*nobody is left to interfere"):
        make_trials(data_of(speakers).path, tmp_path / "trials", CONFIG)
    assert not (tmp_path / "trials").exists()


def test_silence_is_named(data_of, tmp_path):
    data = data_of({"a": [1.0] * 3, "b": [1.0] * 3})
    for utterance in data.utterances:
        if utterance.speaker == "b":
            soundfile.write(utterance.recording, np.zeros(8000), 8000)
    with pytest.raises(CscError, match=r"trials/enroll/mix.jsonl:3: mixture 'b-u.': utterance 'b-u.' is silent"):
        make_trials(data.path, tmp_path / "trials", CONFIG)


def test_noise_comes_on_top_where_it_is_asked_for(data, tmp_path):
    config = replace(CONFIG, tests=1, sir_db=(0.0,), noise=NoiseConfig(1.0, (15.0, 15.0)))
    make_trials(data.path, tmp_path / "trials", config)
    noises = read_map(tmp_path / "trials" / "test" / "noise1.scp")
    for test in read_mixtures(tmp_path / "trials" / "test" / "mix.jsonl"):
        assert test.sources[0].level_db - test.noise.level_db == pytest.approx(15)
        assert test.id in noises


@pytest.mark.parametrize(
    "values",
    [
        {"enrollment": 0},
        {"tests": 0},
        {"nontargets": 0},
        {"sir_db": (5.0, 5.0)},
        {"level_db": (0.0, -5.0)},
        {"talkers": ()},
        {"talkers": (1, 2)},
        {"talkers": (2, 2)},
        {"matched": ("sex", "sex")},
        {"age_bands": (18.0, 12.0)},
        {"age_bands": (0.0, 12.0)},
        {"held_back": -1.0},
        {"held_back": 2.5},
        {"sample_rate": 1},
    ],
)
def test_impossible_settings_are_named(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        TrialsConfig(**values)


def test_a_flat_protocol_can_be_asked_for(data, tmp_path):
    config = replace(CONFIG, equaliser=EqualiserConfig(probability=0.0))
    make_trials(data.path, tmp_path / "trials", config, audio=False)
    for test in read_mixtures(tmp_path / "trials" / "test" / "mix.jsonl"):
        assert all(source.channel.equaliser_db == () for source in test.sources)
