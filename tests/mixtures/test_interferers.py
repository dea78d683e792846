"""Who interferes: three talkers, people who are never enrolled, and how much they talk over the tested one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.text import read_keyed, read_map
from csc_cli.kaldi.trials import read_trials
from csc_cli.mixtures.activity import active_level_db, activity
from csc_cli.mixtures.manifest import Mixture, Source, read_mixtures
from csc_cli.mixtures.overlap import speech_overlap
from csc_cli.mixtures.protocol import make_trials
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, TrialsConfig
from csc_cli.mixtures.split import split_speakers
from csc_cli.mixtures.store import AudioStore

CONFIG = TrialsConfig(enrollment=2, tests=2, sir_db=(3.0, 0.0))
VOICES = {"a": [1.5] * 4, "b": [2.0] * 4, "c": [1.2] * 4, "d": [1.6] * 4}


@pytest.fixture
def data(data_of):
    return data_of(VOICES)


@pytest.fixture
def others(data_of):
    """Three other people with one or two utterances each, at 16 kHz."""
    return data_of({"x": [2.5], "y": [2.4, 1.0], "z": [2.2]}, rate=16000, name="others")


def test_three_talkers_are_conditions_of_their_own(data, tmp_path):
    make_trials(data.path, tmp_path / "two", CONFIG, seed=3)
    make_trials(data.path, tmp_path / "out", replace(CONFIG, talkers=(2, 3)), seed=3)
    test = tmp_path / "out" / "test"
    assert check_data_dir(test, read_audio=True) == []
    mixtures = {mixture.id: mixture for mixture in read_mixtures(test / "mix.jsonl")}
    names = ["clean", "2talkers_+3dB", "2talkers_0dB", "3talkers_+3dB", "3talkers_0dB"]
    assert Counter(mixture.condition for mixture in mixtures.values()) == dict.fromkeys(names, 8)
    files = {kind: read_map(test / f"{kind}.scp") for kind in ("wav", "spk1", "spk2", "spk3")}
    for id, mixture in mixtures.items():
        if mixture.condition.startswith("3"):
            assert len({source.speaker for source in mixture.sources}) == 3
            audio = [soundfile.read(files[kind][id])[0] for kind in ("wav", "spk1", "spk2", "spk3")]
            levels = [active_level_db(samples, 8000) for samples in audio[1:]]
            ratio = 3.0 if mixture.condition.endswith("+3dB") else 0.0
            assert [levels[0] - level for level in levels[1:]] == pytest.approx([ratio] * 2, abs=0.05)
            assert np.abs(audio[0] - sum(audio[1:])).max() <= 2.01 / 32768
    # Two talkers are what they were without the third.
    two = {mixture.id: mixture for mixture in read_mixtures(tmp_path / "two" / "test" / "mix.jsonl")}
    assert two == {id: mixture for id, mixture in mixtures.items() if not mixture.condition.startswith("3")}
    trials = read_trials(tmp_path / "out" / "trials")
    heard = {id: {source.speaker for source in mixture.sources} for id, mixture in mixtures.items()}
    pairs = zip(trials.enroll, trials.test, trials.target)
    assert all(target == (speaker in heard[test]) for speaker, test, target in pairs)


def test_others_interfere_and_are_never_enrolled(data, others, tmp_path):
    make_trials(data.path, tmp_path / "own", CONFIG, seed=3)
    config = replace(CONFIG, talkers=(2, 3))
    summary = make_trials(data.path, tmp_path / "out", config, seed=3, interferers=others.path, nj=2)
    assert "4 speakers enrolled; 3 others interfere" in summary
    assert check_data_dir(tmp_path / "out" / "test", read_audio=True) == []
    heard = read_keyed(tmp_path / "out" / "utt2spks")
    assert all(talkers[0] in VOICES and set(talkers[1:]) <= set("xyz") for talkers in heard.values())
    assert {talker for talkers in heard.values() for talker in talkers[1:]} == set("xyz")
    trials = read_trials(tmp_path / "out" / "trials")
    assert set(trials.enroll) == set(VOICES)
    pairs = zip(trials.enroll, trials.test, trials.target)
    assert all(target == (speaker == heard[test][0]) for speaker, test, target in pairs)
    assert "Interferers are 3 speakers who are never enrolled." in (tmp_path / "out" / "README.md").read_text()
    # Enrollment and clean tests are those of the list in which speakers of DATA interfere.
    for part, condition in (("enroll", "enroll"), ("test", "clean")):
        plans = (read_mixtures(tmp_path / name / part / "mix.jsonl") for name in ("own", "out"))
        own, out = ([mixture for mixture in plan if mixture.condition == condition] for plan in plans)
        assert len(own) == 8 and own == out


def test_other_interferers_make_a_folder_anew(data, others, data_of, tmp_path):
    make_trials(data.path, tmp_path / "out", CONFIG, seed=3, interferers=others.path, audio=False)
    before = (tmp_path / "out" / "test" / "mix.jsonl").read_bytes()
    make_trials(data.path, tmp_path / "out", CONFIG, seed=3, audio=False)
    assert (tmp_path / "out" / "test" / "mix.jsonl").read_bytes() != before
    make_trials(data.path, tmp_path / "out", CONFIG, seed=3, interferers=others.path, audio=False)
    assert (tmp_path / "out" / "test" / "mix.jsonl").read_bytes() == before


def test_shared_ids_are_refused(data, data_of, tmp_path):
    with pytest.raises(DataError, match=r"both have the speaker\(s\) b; interferers must be other people"):
        make_trials(data.path, tmp_path / "out", CONFIG, interferers=data_of({"b": [1.0], "x": [1.0]}, name="o").path)
    third = data_of({"x": [1.0], "y": [1.0]}, name="third")
    for name in ("wav.scp", "utt2spk"):
        (third.path / name).write_text("a-u0" + (third.path / name).read_text().removeprefix("x-u0"))
    (third.path / "spk2utt").unlink()
    with pytest.raises(DataError, match=r"both have the utterance\(s\) a-u0"):
        make_trials(data.path, tmp_path / "out", CONFIG, interferers=third.path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("held_back", "count"), [(2.0, 2), (0.25, 1), (0.5, 2)])
def test_those_held_back_interfere_alone(data, held_back, count):
    split = split_speakers(data, replace(CONFIG, held_back=held_back), 0)
    assert len(split.interferers) == count and len(split.enroll) == 4 - count
    assert set(split.interferers).isdisjoint(split.enroll) and split.test.keys() == split.enroll.keys()
    assert all(len(ids) == 4 for ids in split.interferers.values())
    drawn = {tuple(sorted(split_speakers(data, replace(CONFIG, held_back=2.0), seed).enroll)) for seed in range(20)}
    assert len(drawn) > 3


def test_a_speaker_of_one_utterance_joins_those_held_back(data_of):
    data = data_of({"a": [1.0] * 3, "b": [1.0] * 3, "c": [1.0] * 3, "d": [1.0]})
    split = split_speakers(data, replace(CONFIG, held_back=1.0), 0)
    assert len(split.enroll) == 2 and "d" in split.interferers and len(split.interferers) == 2


def test_too_few_to_interfere(data, others, tmp_path):
    with pytest.raises(ConfigError, match="held_back=3: leaves fewer than two of 4 speakers"):
        make_trials(data.path, tmp_path / "out", replace(CONFIG, held_back=3.0))
    with pytest.raises(ConfigError, match="not both"):
        make_trials(data.path, tmp_path / "out", replace(CONFIG, held_back=1.0), interferers=others.path)
    with pytest.raises(DataError, match=r"3 speaker\(s\) are left to interfere; 4 are needed for 5 talkers"):
        make_trials(data.path, tmp_path / "out", replace(CONFIG, talkers=(2, 5)))
    with pytest.raises(DataError, match=r"1 speaker\(s\) are left to interfere; 2 are needed for 3 talkers"):
        make_trials(data.path, tmp_path / "out", replace(CONFIG, talkers=(3,), held_back=1.0))
    assert not (tmp_path / "out").exists()


def test_overlap_is_of_activity(tmp_path, data_of):
    """Two bursts of noise each, whose common part is known to a sample."""
    rng = np.random.default_rng(0)
    data = data_of({"a": [1.0], "b": [1.0], "c": [1.0]})
    bursts = {"a": [(0, 4000), (8000, 12000)], "b": [(0, 16000)], "c": [(4000, 8000)]}
    for name, spans in bursts.items():
        samples = np.zeros(16000)
        for start, end in spans:
            samples[start:end] = 0.1 * rng.standard_normal(end - start)
        soundfile.write(data.by_id[f"{name}-u0"].recording, samples, 8000)
    store = AudioStore(data, 8000)

    def overlap(*places: tuple[str, int, int, int]) -> float:
        sources = (Source(f"{name}-u0", name, start, length, onset, -20.0) for name, start, length, onset in places)
        return speech_overlap(Mixture("m", 8000, 16000, tuple(sources)), store)

    # The detector's smoothing lengthens each burst by two frames of 10 ms (160 samples) at either end.
    assert overlap(("a", 0, 16000, 0), ("b", 0, 16000, 0)) == 1.0
    assert overlap(("a", 0, 16000, 0), ("b", 0, 2000, 2000)) == pytest.approx(2000 / 8480, abs=0.001)
    assert overlap(("a", 0, 16000, 0), ("c", 0, 16000, 0)) == pytest.approx(2 * 320 / 8480, abs=0.001)
    assert overlap(("a", 0, 16000, 0), ("c", 4000, 4000, 8000)) == pytest.approx(4000 / 8480, abs=0.001)
    twice = [("b", 0, 2000, onset) for onset in (0, 10000)]
    assert overlap(("a", 0, 16000, 0), *twice) == pytest.approx(4000 / 8480, abs=0.001)
    assert overlap(("a", 0, 16000, 0)) == 0.0


def test_overlap_is_that_of_the_files(data, tmp_path):
    """The detector on each written source (channels left out) finds the share that is told."""
    flat = replace(CONFIG, equaliser=EqualiserConfig(probability=0.0), band_limit=BandLimitConfig(probability=0.0))
    make_trials(data.path, tmp_path / "out", flat, seed=3)
    told = {id: float(share) for id, share in read_map(tmp_path / "out" / "utt2overlap").items()}
    files = [read_map(tmp_path / "out" / "test" / f"spk{n}.scp") for n in (1, 2)]
    assert told.keys() == files[0].keys() and read_map(tmp_path / "out" / "test" / "utt2overlap").keys() == told.keys()
    for id, share in told.items():
        if id not in files[1]:
            assert share == 0.0
            continue
        one, two = (activity(soundfile.read(names[id])[0], 8000) for names in files)
        # A frame may begin elsewhere in the mixture than in the recording.
        assert share == pytest.approx((one & two).sum() / one.sum(), abs=0.12)
    mean = np.mean([told[id] for id in told if "0dB" in id])
    assert f"| {100 * mean:.0f} % (" in (tmp_path / "out" / "README.md").read_text()
