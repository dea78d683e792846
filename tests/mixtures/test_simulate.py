"""Mixtures on disk: what is measured in the files is what the plan says; the same bytes however they were made."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import CscError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import write_int_vectors
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures import produce as produce_module
from csc_cli.mixtures.activity import active_level_db
from csc_cli.mixtures.manifest import read_mixtures, write_mixtures
from csc_cli.mixtures.plan import MixtureConfig
from csc_cli.mixtures.simulate import render_plan, simulate_data_dir
from csc_cli.mixtures.store import AudioStore

CONFIG = MixtureConfig(crop_s=None, overlap=(0.3, 1.0))


def digests(out: Path) -> dict[str, str]:
    """Each file's digest; tables name their folder, so the name is taken out of them."""
    sums = out / "sha256sums"
    if sums.exists():
        assert subprocess.run(["sha256sum", "--quiet", "-c", sums.name], cwd=out).returncode == 0
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes().replace(str(out).encode(), b"OUT")).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def made(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "mix"
    simulate_data_dir(data.path, out, CONFIG, count=9, audio=True)
    return out


def test_is_a_sound_data_directory(made, data):
    assert check_data_dir(made, read_audio=True) == []
    mixtures = list(read_mixtures(made / "mix.jsonl"))
    found = DataDir.load(made)
    assert [utterance.id for utterance in found.utterances] == [mixture.id for mixture in mixtures]
    assert all(utterance.speaker == utterance.id for utterance in found.utterances)
    speakers = {mixture.id: " ".join(source.speaker for source in mixture.sources) for mixture in mixtures}
    assert read_map(made / "utt2spks") == speakers
    assert set(read_map(made / "noise1.scp")) == {mixture.id for mixture in mixtures if mixture.noise}
    assert not list(made.glob("**/.tmp*")) + list(made.glob("*.part"))


def parts(out: Path, id: str) -> dict[str, np.ndarray]:
    names = {kind: read_map(out / f"{kind}.scp").get(id) for kind in ("wav", "spk1", "spk2", "noise1")}
    return {kind: soundfile.read(name)[0] for kind, name in names.items() if name}


def test_measures_are_the_plan_s(made):
    scales = read_map(made / "utt2scale")
    for mixture in read_mixtures(made / "mix.jsonl"):
        audio = parts(made, mixture.id)
        one, two = mixture.sources
        measured = [active_level_db(audio[kind], 8000) for kind in ("spk1", "spk2")]
        scale_db = 20 * np.log10(float(scales[mixture.id]))
        assert measured[0] - measured[1] == pytest.approx(one.level_db - two.level_db, abs=0.05)
        assert measured[0] - scale_db == pytest.approx(one.level_db, abs=0.05)
        if mixture.noise:
            noise_db = 10 * np.log10(np.mean(audio["noise1"] ** 2))
            assert measured[0] - noise_db == pytest.approx(one.level_db - mixture.noise.level_db, abs=0.05)
        for source, kind in zip(mixture.sources, ("spk1", "spk2")):
            heard = np.flatnonzero(audio[kind])
            assert source.onset <= heard[0]
            assert heard[-1] < source.onset + source.length
            # 16 bits hide the faintest samples at the ends of a stretch, no more.
            assert heard[-1] - heard[0] > source.length - 40
        total = sum(audio[kind] for kind in audio if kind != "wav")
        assert np.abs(audio["wav"] - total).max() <= 2.01 / 32768
        assert audio["wav"].size == mixture.length


def test_processes_change_no_byte(made, data, tmp_path):
    simulate_data_dir(data.path, tmp_path / "two", CONFIG, count=9, audio=True, nj=2)
    assert digests(tmp_path / "two") == digests(made)


def test_a_plan_alone_is_the_same_plan(made, data, tmp_path):
    simulate_data_dir(data.path, tmp_path / "plan", CONFIG, count=9)
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == [
        "mix.jsonl",
        "sha256sums",
        "simulate.json",
        "utt2spks",
    ]
    assert (tmp_path / "plan" / "mix.jsonl").read_bytes() == (made / "mix.jsonl").read_bytes()


def test_a_plan_is_rendered_to_the_same_audio(made, data, tmp_path):
    render_plan(data.path, tmp_path / "again", made / "mix.jsonl", nj=2)
    found = digests(tmp_path / "again")
    assert {**found, "simulate.json": ""} == {**digests(made), "simulate.json": ""}


@pytest.fixture
def makes(monkeypatch):
    """The mixtures that were rendered, in order; `stop_at` interrupts before one."""

    class Makes(list):
        stop_at = ""

    makes, make = Makes(), produce_module._make

    def watched(job, out, product):
        if job.plan.id == makes.stop_at:
            raise KeyboardInterrupt
        makes.append(job.plan.id)
        return make(job, out, product)

    monkeypatch.setattr(produce_module, "_make", watched)
    return makes


def test_what_is_whole_is_left_alone(data, tmp_path, makes):
    simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=3, audio=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mix").rglob("*")}
    simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=3, audio=True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mix").rglob("*")} == before
    assert len(makes) == 3


@pytest.mark.parametrize("damage", [b"", b'1.0 abc {"id": "mix00000'])
def test_an_interrupted_run_is_gone_on_with(made, data, tmp_path, makes, damage):
    out = tmp_path / "mix"
    makes.stop_at = "mix0000005"
    with pytest.raises(KeyboardInterrupt):
        simulate_data_dir(data.path, out, CONFIG, count=9, audio=True)
    assert not (out / "wav.scp").exists()
    assert not (out / "mix.jsonl").exists()
    with open(out / "mixtures.part", "ab") as stream:
        stream.write(damage)
    (out / "wav" / ".tmp-x-mix0000005.wav").touch()  # as a killed run leaves it
    makes.stop_at = ""
    simulate_data_dir(data.path, out, CONFIG, count=9, audio=True)
    assert sorted(makes) == [f"mix000000{i}" for i in range(9)]
    assert digests(out) == digests(made)


@pytest.mark.parametrize("change", ["settings", "seed", "count", "data", "audio", "deleted"])
def test_other_settings_or_data_make_it_anew(data_of, tmp_path, makes, change):
    data = data_of({"a": [1.5, 1.5], "b": [1.5]})
    out, arguments = tmp_path / "mix", {"count": 3, "seed": 0, "audio": True}
    simulate_data_dir(data.path, out, CONFIG, **arguments)
    makes.clear()
    config = CONFIG
    if change == "settings":
        config = replace(CONFIG, sir_db=(1.0, 1.0))
    elif change == "data":
        os.utime(data.utterances[0].recording, (1, 1))
    elif change == "deleted":
        (out / "spk2" / "mix0000001.wav").unlink()
    else:
        arguments[change] = {"seed": 1, "count": 2, "audio": False}[change]
    simulate_data_dir(data.path, out, config, **arguments)
    assert len(makes) == (arguments["count"] if arguments["audio"] else 0)  # a plan alone is drawn by itself
    assert len((out / "mix.jsonl").read_text().splitlines()) == arguments["count"]
    assert (out / "wav.scp").exists() == arguments["audio"]
    assert len(list((out / "wav").glob("*"))) == (arguments["count"] if arguments["audio"] else 0)


def test_a_foreign_data_directory_is_not_touched(data, tmp_path):
    for out in (data.path, tmp_path / "data"):
        if out != data.path:
            data.save(out)
        before = digests(out)
        with pytest.raises(DataError, match="not made by this command"):
            simulate_data_dir(data.path, out, CONFIG, count=2, audio=True)
        assert digests(out) == before


def test_peaks_are_scaled_and_the_scale_is_written(data, tmp_path):
    loud = replace(CONFIG, level_db=(-8.0, -8.0))
    simulate_data_dir(data.path, tmp_path / "mix", loud, count=4, audio=True)
    scales = {id: float(scale) for id, scale in read_map(tmp_path / "mix" / "utt2scale").items()}
    assert max(scales.values()) < 1
    for mixture in read_mixtures(tmp_path / "mix" / "mix.jsonl"):
        audio = parts(tmp_path / "mix", mixture.id)
        peak = max(np.abs(samples).max() for samples in audio.values())
        assert peak == pytest.approx(0.99, abs=1e-4)
        level = active_level_db(audio["spk1"], 8000)
        assert level == pytest.approx(-8 + 20 * np.log10(scales[mixture.id]), abs=0.01)


def damaged(data: DataDir, kind: str) -> str:
    """Damage one recording; the utterance's id."""
    path = Path(data.utterances[0].recording)
    samples, rate = soundfile.read(path)
    if kind == "deleted":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "zeros":
        soundfile.write(path, 0 * samples, rate)
    elif kind == "nan":
        soundfile.write(path, samples * np.nan, rate, subtype="FLOAT")
    elif kind == "short":
        soundfile.write(path, samples[:4000], rate)
    return data.utterances[0].id


@pytest.mark.parametrize(
    ("kind", "says", "nj"),
    [
        ("deleted", "cannot be read", 1),
        ("empty", "empty", 1),
        ("zeros", "silent", 1),
        ("nan", "not finite", 1),
        ("deleted", "cannot be read", 2),
    ],
)
def test_bad_audio_names_the_line(data_of, tmp_path, kind, says, nj):
    data = data_of({"a": [1.5], "b": [1.5]})
    id = damaged(data, kind)
    with pytest.raises(CscError) as error:
        simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=4, audio=True, nj=nj)
    assert str(error.value).startswith(f"{tmp_path}/mix/mix.jsonl:1: mixture 'mix0000000': ")
    assert id in str(error.value)
    assert says in str(error.value)
    assert not (tmp_path / "mix" / "wav.scp").exists()


def test_a_plan_whose_audio_is_bad_names_its_line(data_of, tmp_path):
    data = data_of({"a": [1.5], "b": [2.0], "c": [2.0]})
    simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=6)
    plan = tmp_path / "mix" / "mix.jsonl"
    line = 1 + [any(s.utterance == "a-u0" for s in mixture.sources) for mixture in read_mixtures(plan)].index(True)
    damaged(data, "short")
    with pytest.raises(CscError, match=f"mix.jsonl:{line}: mixture .*'a-u0' has 4000 samples"):
        render_plan(data.path, tmp_path / "out", plan)
    others = [id for id in data.by_id if id != "a-u0"]
    data.subset(others).save(tmp_path / "less")
    with pytest.raises(CscError, match=f"mix.jsonl:{line}: mixture .*no utterance 'a-u0'"):
        render_plan(tmp_path / "less", tmp_path / "out2", plan)


def test_bad_plans_are_named_before_any_work(data, tmp_path):
    plan = tmp_path / "mix.jsonl"
    write_mixtures(plan, [])
    with pytest.raises(DataError, match="is empty"):
        render_plan(data.path, tmp_path / "out", plan)
    simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=2)
    plan.write_text((tmp_path / "mix" / "mix.jsonl").read_text() + "{}\n")
    with pytest.raises(DataError, match=r"mix.jsonl:3: mixture: missing key 'id'"):
        render_plan(data.path, tmp_path / "out", plan)
    assert not (tmp_path / "out").exists()


def test_ids_with_slashes_stay_inside(data, tmp_path):
    simulate_data_dir(data.path, tmp_path / "mix", CONFIG, count=2)
    ids = ["../../x", "a/b%2Fc"]
    mixtures = [replace(m, id=id) for m, id in zip(read_mixtures(tmp_path / "mix" / "mix.jsonl"), ids)]
    write_mixtures(tmp_path / "odd.jsonl", mixtures)
    render_plan(data.path, tmp_path / "out", tmp_path / "odd.jsonl")
    assert len(list((tmp_path / "out" / "wav").iterdir())) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"mix", "odd.jsonl", "out"}
    assert check_data_dir(tmp_path / "out", read_audio=True) == []


def test_the_data_s_own_decisions_say_where_speech_is(data_of, tmp_path):
    data = data_of({"a": [3.0, 2.5], "b": [2.0, 4.0], "c": [3.0]})
    config = replace(CONFIG, activity="vad.scp")
    with pytest.raises(DataError, match=r"vad.scp: is not there; run csc vad"):
        simulate_data_dir(data.path, tmp_path / "out", config)
    voiced = {key: np.zeros(round(AudioStore(data, 8000).samples(key).size / 80), int) for key in data.by_id}
    for decisions in voiced.values():
        decisions[70:150] = 1
    write_int_vectors(f"ark,scp:{data.path}/vad.ark,{data.path}/vad.scp", voiced)
    for nj in (1, 2):
        simulate_data_dir(data.path, tmp_path / str(nj), config, audio=True, nj=nj)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    mixtures = list(read_mixtures(tmp_path / "1" / "mix.jsonl"))
    assert {(source.start, source.length) for mixture in mixtures for source in mixture.sources} == {(5600, 6400)}
    plan = (tmp_path / "1" / "mix.jsonl").read_bytes()
    # Other decisions are other data; without them all is as it was.
    for decisions in voiced.values():
        decisions[70:90] = 0
    write_int_vectors(f"ark,scp:{data.path}/vad.ark,{data.path}/vad.scp", voiced)
    simulate_data_dir(data.path, tmp_path / "1", config, audio=True)
    assert (tmp_path / "1" / "mix.jsonl").read_bytes() != plan
    simulate_data_dir(data.path, tmp_path / "own", CONFIG)
    (data.path / "vad.scp").unlink()
    simulate_data_dir(data.path, tmp_path / "none", CONFIG)
    assert (tmp_path / "own" / "mix.jsonl").read_bytes() == (tmp_path / "none" / "mix.jsonl").read_bytes()
