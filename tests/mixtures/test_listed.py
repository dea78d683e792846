"""Protocols over a list of trials: the key, the ratios, overlaps and orders of the files, portability, bad input."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from csc_cli import config as configs
from csc_cli.cli.main import main
from csc_cli.errors import ConfigError, DataError
from csc_cli.files import sha256
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_keyed, read_map
from csc_cli.kaldi.trials import read_trials
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.listed import read_list
from csc_cli.mixtures.listed_trials import make_listed_trials
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.presets import PRESETS, ListConfig, list_settings
from csc_cli.mixtures.settings import NoiseConfig

RATE = 8000
CONF = Path(__file__).resolve().parents[2] / "conf" / "mixtures"
NS_SV = replace(PRESETS["ns-sv"], sample_rate=RATE, overlap=(0.1, 0.5))
M_VS_M = replace(PRESETS["m-vs-m"], sample_rate=RATE)
SPEAKERS = "abcdefgh"


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_data_dir):
    lengths = {name: [1.2 + 0.1 * place, 2.0, 1.7] for place, name in enumerate(SPEAKERS)}
    return make_data_dir(tmp_path_factory.mktemp("listed") / "data", lengths)


def written(path, lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Each of four speakers against itself and its neighbour; utterances stand on both sides, as in VoxCeleb."""
    folder = tmp_path_factory.mktemp("list")
    lines = []
    for one, other in ("ab", "ba", "cd", "dc"):
        lines += [f"{one}-u0 {one}-u1 target", f"{one}-u0 {other}-u1 nontarget", f"{one}-u1 {one}-u2 target"]
    return written(folder / "trials", lines)


@pytest.fixture(scope="module")
def made(data, trials, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "ns_sv"
    make_listed_trials(trials, data.path, out, NS_SV, preset="ns-sv", seed=3)
    return out


@pytest.fixture(scope="module")
def tests(made):
    return list(read_mixtures(made / "test" / "mix.jsonl"))


def test_each_trial_is_in_each_condition_with_the_list_s_key(made, trials, tests):
    assert check_data_dir(made / "enroll", read_audio=True) == check_data_dir(made / "test", read_audio=True) == []
    wanted = read_trials(trials)
    expected = [
        (enroll, f"{test}-{condition}", target)
        for condition in NS_SV.conditions
        for enroll, test, target in zip(wanted.enroll, wanted.test, wanted.target, strict=True)
    ]
    made_trials = read_trials(made / "trials")
    assert list(zip(made_trials.enroll, made_trials.test, made_trials.target, strict=True)) == expected
    assert set(DataDir.load(made / "enroll").by_id) == set(wanted.enroll)
    assert read_map(made / "utt2cond") == {test.id: test.condition for test in tests}
    assert Counter(test.condition for test in tests) == dict.fromkeys(NS_SV.conditions, 8)
    assert read_keyed(made / "utt2spks") == {test.id: [one.speaker for one in test.sources] for test in tests}
    heard = read_keyed(made / "utt2spks")
    for enroll, test, target in expected:
        assert target == (enroll[0] in heard[test])


def test_the_interferer_is_nobody_whom_the_test_meets_and_one_for_all_conditions(tests, trials):
    meets: dict[str, set[str]] = {}
    for enroll, test, _ in zip(*(lambda t: (t.enroll, t.test, t.target))(read_trials(trials)), strict=True):
        meets.setdefault(test, {test[0]}).add(enroll[0])
    chosen: dict[str, set[str]] = {}
    for test in tests:
        target, *others = test.sources
        assert len(others) == (test.condition not in ("clean", "noisy"))
        assert (test.noise is not None) == (test.condition == "noisy")
        for other in others:
            assert other.speaker not in meets[target.utterance]
            chosen.setdefault(target.utterance, set()).add(other.utterance)
    assert all(len(names) == 1 for names in chosen.values())
    assert len(set.union(*chosen.values())) > 3


def test_the_files_are_the_conditions(made, tests, data):
    files = {kind: read_map(made / "test" / f"{kind}.scp") for kind in ("wav", "spk1", "spk2", "noise1")}
    sizes = {one.id: soundfile.info(one.recording).frames for one in data.utterances}
    firsts, ratios = Counter(), {}
    for test in tests:
        audio = {kind: soundfile.read(names[test.id])[0] for kind, names in files.items() if test.id in names}
        assert audio["wav"].size == test.length
        target, *others = test.sources
        one = sizes[target.utterance]
        assert (target.start, target.length) == (0, one)
        level = active_level_db(audio["spk1"], RATE)
        if test.condition == "noisy":
            ratio = level - 10 * np.log10(np.square(audio["noise1"]).mean())
        elif others:
            ratio = level - active_level_db(audio["spk2"], RATE)
        else:
            assert test.length == one
            continue
        assert ratio == pytest.approx(round(2 * ratio) / 2, abs=0.05) and -3.05 <= ratio <= 3.05
        assert ratios.setdefault(target.utterance, ratio) == pytest.approx(ratio, abs=0.1)
        if not others:
            continue
        (other,) = others
        two = sizes[other.utterance]
        common = min(one + target.onset, other.onset + other.length) - max(target.onset, other.onset)
        if test.condition == "mixed":
            assert test.length == one and common == other.length == min(one, two)
            continue
        firsts[target.onset == 0] += 1
        assert (other.start, other.length) == (0, two) and test.length == one + two - max(0, common)
        assert {target.onset, other.onset} == {0, test.length - (two if target.onset == 0 else one)}
        if test.condition == "concatenated":
            assert common == 0
        else:
            assert 0.1 - 1e-3 <= common / test.length <= 0.5 + 1e-3
    assert len(firsts) == 2 and len(set(ratios.values())) > 3


def test_nothing_depends_on_the_order_of_files_or_lines_or_on_processes(made, data, trials, tmp_path):
    folder = tmp_path / "moved"
    (folder / "audio").mkdir(parents=True)
    moved = []
    for number, place in enumerate(np.random.default_rng(0).permutation(len(data.utterances))):
        one = data.utterances[place]
        path = folder / "audio" / f"{number:02d}.wav"
        samples, rate = soundfile.read(one.recording, dtype="int16")
        soundfile.write(path, samples, rate)
        moved.append(Utterance(one.id, one.speaker, str(path)))
    DataDir(folder, tuple(sorted(moved, key=lambda one: one.id))).save(folder)
    lines = trials.read_text().splitlines()
    shuffled = written(tmp_path / "trials", [lines[i] for i in np.random.default_rng(1).permutation(len(lines))])
    make_listed_trials(shuffled, folder, tmp_path / "out", NS_SV, seed=3, nj=2)
    for name in ("enroll/mix.jsonl", "test/mix.jsonl", "utt2cond", "utt2spks", "utt2overlap"):
        assert (tmp_path / "out" / name).read_bytes() == (made / name).read_bytes()
    assert sorted((tmp_path / "out" / "trials").read_text()) == sorted((made / "trials").read_text())
    make_listed_trials(trials, data.path, tmp_path / "seed", NS_SV, seed=4, audio=False)
    assert (tmp_path / "seed" / "test" / "mix.jsonl").read_bytes() != (made / "test" / "mix.jsonl").read_bytes()


def test_readme_has_settings_and_checksums(made, trials):
    text = (made / "README.md").read_text()
    for name in ("trials", "enroll/mix.jsonl", "test/mix.jsonl"):
        assert f"{sha256(made / name)}  {name}" in text
    assert sha256(trials) in text and "`ns-sv`" in text and "| overlapped | 8 | 8 | 4 |" in text


@pytest.mark.parametrize("kind", ["any", "speaker"])
def test_mixtures_on_both_sides_share_a_talker_where_the_key_says_so(data, trials, tmp_path, kind):
    out = tmp_path / "out"
    make_listed_trials(trials, data.path, out, replace(M_VS_M, trials=kind), audio=False)
    enroll = {
        mixture.id: [one.speaker for one in mixture.sources] for mixture in read_mixtures(out / "enroll/mix.jsonl")
    }
    tests = {mixture.id: [one.speaker for one in mixture.sources] for mixture in read_mixtures(out / "test/mix.jsonl")}
    assert all(len(set(names)) == 2 for names in (*enroll.values(), *tests.values()))
    keys = read_trials(out / "trials")
    assert len(keys) == (24 if kind == "speaker" else 12)
    for name, test, target in zip(keys.enroll, keys.test, keys.target, strict=True):
        if kind == "any":
            assert target == bool(set(enroll[name]) & set(tests[test]))
        else:
            recording, stream = name[:-3], int(name[-1]) - 1
            assert target == (enroll[recording][stream] in tests[test])
    assert not {names[1] for names in enroll.values()} & {names[1] for names in tests.values()}


def test_voxceleb_s_form_and_lists_without_keys(data, tmp_path):
    folder = tmp_path / "vox"
    ids = [f"id1000{n}-{video}-00001" for n in (1, 2, 3) for video in ("xyz_1", "abc")]
    pairs = zip(ids, data.utterances, strict=False)
    DataDir(
        folder, tuple(sorted((Utterance(id, id[:7], one.recording) for id, one in pairs), key=lambda one: one.id))
    ).save(folder)
    vox = ["1 id10001/xyz_1/00001.wav id10001/abc/00001.wav", "0 id10001/xyz_1/00001.wav id10002/abc/00001.wav"]
    config = ListConfig(sample_rate=RATE)
    make_listed_trials(written(tmp_path / "v", vox), folder, tmp_path / "one", config, form="voxceleb", audio=False)
    plain = ["id10001-xyz_1-00001 id10001-abc-00001", "id10001-xyz_1-00001 id10002-abc-00001"]
    make_listed_trials(written(tmp_path / "k", plain), folder, tmp_path / "two", config, audio=False)
    assert (tmp_path / "one" / "trials").read_bytes() == (tmp_path / "two" / "trials").read_bytes()
    assert "id10001-xyz_1-00001 id10002-abc-00001-mixed nontarget\n" in (tmp_path / "one" / "trials").read_text()


def test_speakers_enroll_with_what_is_not_tested(data, tmp_path):
    listed = read_list(written(tmp_path / "t", ["a a-u1 target", "b a-u1 nontarget"]), "kaldi", data)
    assert [one.id for one in listed.enroll["a"]] == ["a-u0", "a-u2"]
    assert len(listed.enroll["b"]) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a-u0 a-u1 target", "a-u0 z-u1 nontarget", "z-u2 a-u1 nontarget"], r"t:2: .* the utterance 'z-u1'"),
        (["a-u0 a-u1 target", "nobody a-u1 nontarget"], r"t:2: .* the utterance or speaker 'nobody'"),
        (["a-u0 a-u1 target", "a-u0 b-u1 target"], r"t:2: says target, but the speakers are 'a' and 'b'"),
        (["a-u0 b-u1 nontarget", "a-u1 a-u1 target"], r"t:2: 'a-u1' meets itself"),
        (["a-u0 a-u1 target", "a-u0 b-u1 perhaps"], r"t:2: the key 'perhaps'"),
        (["a a-u0", "a a-u1", "a a-u2"], r"all utterances of speaker 'a' are tested"),
    ],
)
def test_bad_lists_are_named_by_their_line(data, tmp_path, lines, message):
    with pytest.raises(DataError, match=message):
        make_listed_trials(written(tmp_path / "t", lines), data.path, tmp_path / "out", NS_SV)
    assert not (tmp_path / "out").exists()


def test_nobody_left_to_interfere(data_of, tmp_path):
    data = data_of({"a": [1.5] * 2, "b": [1.5] * 2})
    trials = written(tmp_path / "t", ["a-u0 a-u1 target", "b-u0 a-u1 nontarget"])
    with pytest.raises(DataError, match=r"nobody is left to interfere with 'a-u1'.*--interferers"):
        make_listed_trials(trials, data.path, tmp_path / "out", NS_SV)
    others = data_of({"x": [9.0]}, name="others")
    with pytest.raises(DataError, match=r"no utterance is long or short enough to overlap 'a-u1' by 0.9"):
        config = replace(NS_SV, overlap=(0.9, 0.95))
        make_listed_trials(trials, data.path, tmp_path / "out", config, interferers=others.path)
    make_listed_trials(trials, data.path, tmp_path / "ok", ListConfig(sample_rate=RATE), interferers=others.path)
    heard = read_keyed(tmp_path / "ok" / "utt2spks")
    assert heard["a-u1-mixed"] == ["a", "x"]
    with pytest.raises(DataError, match=r"both have the speaker\(s\) a, b"):
        make_listed_trials(trials, data.path, tmp_path / "same", NS_SV, interferers=data.path)


def test_presets_and_settings():
    assert list_settings("ns-sv", None, ["overlap=[0.2,0.3]"]).overlap == (0.2, 0.3)
    with pytest.raises(ConfigError, match=r"unknown preset 's-vs-n': did you mean 's-vs-m'"):
        list_settings("s-vs-n", None)
    with pytest.raises(ConfigError, match="name one preset"):
        list_settings(None, None)


def test_the_config_file_has_the_defaults():
    assert configs.load(ListConfig, CONF / "list.yaml") == ListConfig() == PRESETS["s-vs-m"]


@pytest.mark.parametrize(
    "values",
    [
        {"conditions": ()},
        {"conditions": ("mixed", "mixed")},
        {"overlap": (0.5, 1.0)},
        {"sir_db": (1.0, 0.0)},
        {"sir_step_db": -1.0},
        {"trials": "speaker"},
    ],
)
def test_impossible_settings_are_named(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        ListConfig(**values)


@pytest.mark.parametrize("kind", ["recorded", "babble"])
def test_noise_can_be_recorded_or_a_babble(data, trials, data_of, tmp_path, kind):
    noises = data_of({"n": [1.0, 6.0]}, name="noises")
    noise = NoiseConfig(kinds=(kind,), data=str(noises.path) if kind == "recorded" else None, babble=(2, 2))
    config = replace(NS_SV, conditions=("noisy",), noise=noise)
    make_listed_trials(trials, data.path, tmp_path / "out", config, seed=1)
    wav, spk1, noise1 = (read_map(tmp_path / "out" / "test" / f"{name}.scp") for name in ("wav", "spk1", "noise1"))
    for test in read_mixtures(tmp_path / "out" / "test" / "mix.jsonl"):
        assert test.noise.kind == kind
        names = {clip.utterance for clip in test.noise.clips}
        assert names <= noises.by_id.keys() if kind == "recorded" else names <= data.by_id.keys()
        assert test.sources[0].speaker not in {name[0] for name in names}
        speech, rest = (soundfile.read(of[test.id])[0] for of in (spk1, noise1))
        assert soundfile.info(wav[test.id]).frames == speech.size
        ratio = active_level_db(speech, RATE) - 10 * np.log10(np.square(rest).mean())
        assert ratio == pytest.approx(round(2 * ratio) / 2, abs=0.05)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--preset", "s-vs-m"], 2, "name it by --from"),
        (["--from", "LIST", "--preset", "s-vs-n"], 1, "unknown preset 's-vs-n': did you mean 's-vs-m'?"),
        (["--from", "LIST"], 1, "name one preset (s-vs-m, m-vs-m, m-vs-m-speaker, ns-sv), or give a config"),
        (
            ["--from", "LIST", "--preset", "s-vs-m", "--set", "sir=[0,0]"],
            1,
            "unknown key 'sir'; did you mean 'sir_db'?",
        ),
        (["--from", "LIST", "--preset", "s-vs-m", "--trials-format", "voxceleb"], 1, "neither '1' nor '0'"),
        (
            ["--from", "LIST", "--preset", "s-vs-m", "--set", "sample_rate=8000"],
            0,
            "8 recordings, 8 target, 4 nontarget",
        ),
    ],
)
def test_the_command_says_what_is_wrong(data, trials, tmp_path, words, status, message):
    words = [str(trials) if word == "LIST" else word for word in words]
    result = CliRunner().invoke(main, ["trials", "--quiet", *words, str(data.path), str(tmp_path / "out")])
    assert result.exit_code == status, result.output
    assert message in result.output
    assert (tmp_path / "out").exists() == (status == 0)
