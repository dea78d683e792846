"""Conditions that settings add to the protocol: overlap, noise, cuts, seconds of enrollment, bands of durations."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.errors import ConfigError, DataError
from csc_cli.files import sha256
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_keyed, read_map
from csc_cli.kaldi.trials import read_trials
from csc_cli.kaldi.vad_files import vad_data_dir
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.protocol import make_trials
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, NoiseConfig, RoomConfig, TrialsConfig
from csc_cli.mixtures.split import split_speakers
from csc_cli.mixtures.store import AudioStore

CONFIG = TrialsConfig(
    enrollment=2,
    tests=2,
    talkers=(2, 3),
    sir_db=(5.0, -5.0),
    overlap=(0.25, 1.0),
    noise_snr_db=(10.0, 0.0),
    together_snr_db=15.0,
    cut_s=(0.6,),
    duration_bands_s=(1.0, 2.0),
    equaliser=EqualiserConfig(probability=0.0),
    band_limit=BandLimitConfig(probability=0.0),
)
FILES = ("trials", "enroll/mix.jsonl", "test/mix.jsonl", "utt2cond", "utt2spks", "utt2overlap", "utt2duration")


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trials") / "trials"
    make_trials(data.path, out, CONFIG, seed=5)
    return out


@pytest.fixture(scope="module")
def tests(made):
    return list(read_mixtures(made / "test" / "mix.jsonl"))


def test_every_condition_is_there(made):
    mixed = [f"{n}talkers_{sir}dB_overlap{o}" for n in (2, 3) for sir in ("+5", "-5") for o in ("0.25", "1")]
    names = ["clean", "clean_0.6s", "noise_+10dB", "noise_0dB", *mixed, *(f"{name}_noise_+15dB" for name in mixed)]
    count = Counter(read_map(made / "utt2cond").values())
    assert set(count) == set(names)
    assert set(count.values()) == {8}


def test_ratios_and_overlaps_of_the_files_are_the_conditions(made, tests):
    kinds = ("wav", "spk1", "spk2", "spk3", "noise1")
    files = {kind: read_map(made / "test" / f"{kind}.scp") for kind in kinds}
    seen = Counter()
    for test in tests:
        audio = {kind: soundfile.read(names[test.id])[0] for kind, names in files.items() if test.id in names}
        parts = [audio[kind] for kind in kinds[1:] if kind in audio]
        assert np.abs(audio["wav"] - sum(parts)).max() <= 2.51 / 32768
        talkers = [audio[kind] for kind in kinds[1:4] if kind in audio]
        levels = [active_level_db(samples, 8000) for samples in talkers]
        words = test.condition.split("_")
        if words[0].endswith("talkers"):
            assert len(talkers) == int(words[0][0])
            assert [levels[0] - level for level in levels[1:]] == pytest.approx(
                [float(words[1][:-2])] * (len(talkers) - 1), abs=0.05
            )
            share = float(words[2].removeprefix("overlap"))
            # Places where a source sounds; its ends may be zeros in 16 bits.
            first, *others = (np.flatnonzero(samples)[[0, -1]] for samples in talkers)
            for other in others:
                common = min(first[1], other[1]) - max(first[0], other[0]) + 1
                shorter = min(np.ptp(first), np.ptp(other)) + 1
                assert common == pytest.approx(share * shorter, abs=80)
                seen[share] += 1
        if "noise" in words:
            noise_db = 10 * np.log10(np.square(audio["noise1"]).mean())
            assert levels[0] - noise_db == pytest.approx(float(words[-1][:-2]), abs=0.05)
        if test.condition == "clean_0.6s":
            assert audio["wav"].size == 4800
    assert seen == {0.25: 96, 1.0: 96}


def test_overlap_of_the_plan_is_exact_to_a_sample(tests):
    sides = Counter()
    for test in tests:
        share = next((float(word[7:]) for word in test.condition.split("_") if word.startswith("overlap")), None)
        if share is None:
            continue
        first, *others = test.sources
        for other in others:
            common = min(first.onset + first.length, other.onset + other.length) - max(first.onset, other.onset)
            assert abs(common - share * min(first.length, other.length)) <= 0.5
            sides[other.onset < first.onset] += share < 1
        assert min(source.onset for source in test.sources) == 0
        assert max(source.onset + source.length for source in test.sources) == test.length
    assert min(sides.values()) > 10


def test_the_key_is_who_is_heard(made, tests):
    heard = {test.id: {source.speaker for source in test.sources} for test in tests}
    trials = read_trials(made / "trials")
    assert len(trials) == 4 * len(heard)
    pairs = zip(trials.enroll, trials.test, trials.target, strict=True)
    assert all(target == (speaker in heard[test]) for speaker, test, target in pairs)
    present = Counter(zip((read_map(made / "utt2cond")[test] for test in trials.test), trials.target, strict=True))
    assert all(present[condition, key] for condition, _ in present for key in (True, False))


def test_durations_are_in_their_bands(made, tests):
    bands = read_map(made / "utt2duration")
    limits = {"0_to_1s": (0, 1), "1_to_2s": (1, 2), "2s_and_longer": (2, np.inf)}
    assert set(bands.values()) == set(limits)
    for test in tests:
        low, high = limits[bands[test.id]]
        assert low <= test.length / 8000 < high


def test_conditions_of_their_own_leave_the_others_alone(made, data, tmp_path):
    few = replace(CONFIG, talkers=(2,), overlap=(1.0,), noise_snr_db=(), cut_s=(), together_snr_db=None)
    make_trials(data.path, tmp_path / "few", few, seed=5, audio=False)
    lines = set((made / "test" / "mix.jsonl").read_text().splitlines())
    assert set((tmp_path / "few" / "test" / "mix.jsonl").read_text().splitlines()) < lines


def test_the_defaults_draw_what_they_always_drew(data, tmp_path):
    """Lists that are published by checksum stay what they are: these are of the first version."""
    known = {
        "trials": "d2a0ecb065ef4978",
        "enroll/mix.jsonl": "d5dee1e3e44c5dca",
        "test/mix.jsonl": "dd5e402a747aa3be",
        "utt2overlap": "33376f3671b95c15",
        "utt2cond": "8db08c3e4e79ffa4",
    }
    make_trials(data.path, tmp_path / "out", TrialsConfig(enrollment=2, tests=2), seed=3, audio=False)
    assert {name: sha256(tmp_path / "out" / name)[:16] for name in known} == known


def test_the_order_of_the_data_directory_s_files_changes_nothing(made, data, tmp_path):
    """The same recordings written in another order, to other files, in segments listed from a shuffled wav.scp."""
    order = np.random.default_rng(1).permutation(len(data.utterances))
    (tmp_path / "data" / "audio").mkdir(parents=True)
    moved = []
    for place in order:
        one = data.utterances[place]
        path = tmp_path / "data" / "audio" / f"{len(moved):02d}.wav"
        samples, rate = soundfile.read(one.recording, dtype="int16")
        soundfile.write(path, samples, rate)
        moved.append(Utterance(one.id, one.speaker, str(path)))
    moved.sort(key=lambda one: one.id)
    DataDir(tmp_path / "data", tuple(moved)).save(tmp_path / "data")
    make_trials(tmp_path / "data", tmp_path / "out", CONFIG, seed=5, audio=False, nj=2)
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (made / name).read_bytes()


def test_enrollment_can_be_seconds_of_speech(data, tmp_path):
    store = AudioStore(data, 8000)
    seconds = {id: np.diff(store.active_range(id))[0] / 8000 for id in data.by_id}
    config = replace(TrialsConfig(tests=1), enrollment_s=2.5)
    make_trials(data.path, tmp_path / "out", config, audio=False)
    enrolled = read_keyed(tmp_path / "out" / "enroll" / "utt2spks")
    for speaker in "abcd":
        ids = [id for id, (name,) in enrolled.items() if name == speaker]
        held = sum(seconds[id] for id in ids)
        assert held >= 2.5 and held - max(seconds[id] for id in ids) < 2.5
    # Who has less keeps one to test and enrolls with the rest.
    split = split_speakers(data, replace(config, enrollment_s=1000.0), 0, None, seconds)
    assert all(len(ids) == 4 for ids in split.enroll.values())


def test_vad_scp_says_where_there_is_speech(data_of, tmp_path):
    data, others = data_of({"a": [3.0] * 3, "b": [3.0] * 3}), data_of({"x": [3.0], "y": [3.0]}, name="others")
    config = TrialsConfig(enrollment=1, tests=1, sir_db=(0.0,), activity="vad.scp")
    with pytest.raises(DataError, match=r"vad.scp: is not there; run csc vad"):
        make_trials(data.path, tmp_path / "none", config)
    vad_data_dir(data.path)
    with pytest.raises(DataError, match=r"others/vad.scp: is not there"):
        make_trials(data.path, tmp_path / "none", config, interferers=others.path)
    assert not (tmp_path / "none").exists()
    vad_data_dir(others.path)
    make_trials(data.path, tmp_path / "vad", config, interferers=others.path)
    make_trials(data.path, tmp_path / "own", replace(config, activity=None), interferers=others.path)
    from csc_cli.mixtures.store import VadTable

    for folder in ("enroll", "test"):
        by_vad = {mixture.id: mixture for mixture in read_mixtures(tmp_path / "vad" / folder / "mix.jsonl")}
        own = {mixture.id: mixture for mixture in read_mixtures(tmp_path / "own" / folder / "mix.jsonl")}
        assert by_vad.keys() == own.keys() and by_vad != own
        for mixture in by_vad.values():
            source = mixture.sources[0]
            reloaded = DataDir.load(data.path)
            store = AudioStore(reloaded, 8000, vad=VadTable.of(reloaded))
            assert (source.start, source.start + source.length) == store.active_range(source.utterance)


def test_audio_in_both_enrollment_and_test_is_refused(data, tmp_path):
    """Segments of one recording may meet but not overlap."""
    recording = data.utterances[0].recording
    whole = [one for one in data.utterances if one.speaker != "a"]
    for ends, wrong in (((0.0, 0.7, 0.7, 1.4), False), ((0.0, 0.8, 0.7, 1.4), True)):
        folder = tmp_path / f"data{wrong}"
        folder.mkdir()
        parts = [Utterance(f"a-{n}", "a", recording, *ends[2 * n : 2 * n + 2], recording_id="a-r") for n in (0, 1)]
        DataDir(folder, (*parts, *whole)).save(folder)
        config = TrialsConfig(enrollment=1, tests=1)
        if not wrong:
            make_trials(folder, tmp_path / "out", config, audio=False)
            continue
        with pytest.raises(DataError, match=r"'a-\d' \(which enrolls\) and 'a-\d' .* have the same audio in part"):
            make_trials(folder, tmp_path / "wrong", config, audio=False)
        assert not (tmp_path / "wrong").exists()


def test_cuts_that_nobody_can_fill_are_named(data, tmp_path):
    with pytest.raises(DataError, match="no test utterance has enough speech for clean_60s"):
        make_trials(data.path, tmp_path / "out", replace(TrialsConfig(), cut_s=(60.0,)))


@pytest.mark.parametrize(
    "values",
    [
        {"overlap": (1.5,)},
        {"overlap": (0.5, 0.5)},
        {"noise_snr_db": (3.0, 3.0)},
        {"cut_s": (0.0,)},
        {"enrollment_s": 0.0},
        {"duration_bands_s": (4.0, 2.0)},
    ],
)
def test_impossible_settings_are_named(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        TrialsConfig(**values)


def test_rooms_and_recorded_noise_are_conditions_whose_ratios_hold_in_the_files(data, data_of, tmp_path):
    pytest.importorskip("pyroomacoustics")
    noises = data_of({"n": [1.0, 7.0]}, name="noises")
    config = TrialsConfig(
        enrollment=1,
        tests=1,
        sir_db=(5.0,),
        overlap=(0.5,),
        reverberation=True,
        noise_snr_db=(10.0,),
        together_snr_db=15.0,
        noise=NoiseConfig(probability=0.0, kinds=("recorded",), data=str(noises.path)),
        room=RoomConfig(rooms=3),
    )
    make_trials(data.path, tmp_path / "out", config, seed=2)
    tests = list(read_mixtures(tmp_path / "out" / "test" / "mix.jsonl"))
    together = "2talkers_+5dB_overlap0.5_noise_+15dB_room"
    names = ["clean", "room", "noise_+10dB", "2talkers_+5dB_overlap0.5", together]
    assert Counter(test.condition for test in tests) == dict.fromkeys(names, 4)
    files = {kind: read_map(tmp_path / "out" / "test" / f"{kind}.scp") for kind in ("spk1", "spk2", "noise1")}
    for test in tests:
        assert (test.room is not None) == test.condition.endswith("room")
        assert all(bool(source.position_m) == (test.room is not None) for source in test.sources)
        assert (test.noise is not None) == ("noise" in test.condition)
        audio = {kind: soundfile.read(of[test.id])[0] for kind, of in files.items() if test.id in of}
        level = active_level_db(audio["spk1"], 8000)
        if "noise1" in audio:
            assert test.noise.kind == "recorded" and test.noise.clips[0].utterance in noises.by_id
            snr_db = level - 10 * np.log10(np.square(audio["noise1"]).mean())
            assert snr_db == pytest.approx(15 if "2talkers" in test.condition else 10, abs=0.05)
        if "spk2" in audio:
            assert level - active_level_db(audio["spk2"], 8000) == pytest.approx(5, abs=0.05)
            first, other = test.sources
            common = min(first.onset + first.length, other.onset + other.length) - max(first.onset, other.onset)
            assert abs(common - 0.5 * min(first.length, other.length)) <= 0.5
    assert all(mixture.room is None for mixture in read_mixtures(tmp_path / "out" / "enroll" / "mix.jsonl"))
    make_trials(data.path, tmp_path / "again", config, seed=2, audio=False, nj=2)
    for name in ("trials", "enroll/mix.jsonl", "test/mix.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    with pytest.raises(DataError, match=r"noise.data: .*nowhere"):
        make_trials(data.path, tmp_path / "bad", replace(config, noise=replace(config.noise, data="nowhere")))
    assert not (tmp_path / "bad").exists()


def test_babble_is_of_people_who_are_not_in_the_recording_and_enroll_with_none_of_it(data, tmp_path):
    babble = NoiseConfig(probability=0.0, kinds=("babble",), babble=(2, 3))
    config = TrialsConfig(enrollment=2, tests=1, noise_snr_db=(5.0,), noise=babble)
    make_trials(data.path, tmp_path / "out", config, audio=False)
    enrolled = {mixture.sources[0].utterance for mixture in read_mixtures(tmp_path / "out" / "enroll" / "mix.jsonl")}
    heard = [test for test in read_mixtures(tmp_path / "out" / "test" / "mix.jsonl") if test.noise is not None]
    assert len(heard) == 4
    for test in heard:
        voices = {clip.utterance for clip in test.noise.clips}
        assert not voices & enrolled
        assert test.sources[0].speaker not in {data.by_id[id].speaker for id in voices}
