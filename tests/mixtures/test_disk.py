"""Mixtures on disk: formats, checksums, bad sources, full disks, and what interrupted runs leave."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from csc_cli.errors import ConfigError, CscError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures import journal, tables
from csc_cli.mixtures.checksums import check_sums
from csc_cli.mixtures.manifest import read_mixtures, to_line, write_mixtures
from csc_cli.mixtures.plan import MixtureConfig
from csc_cli.mixtures.produce import Product
from csc_cli.mixtures.render import render
from csc_cli.mixtures.simulate import render_plan, simulate_data_dir
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.write import AudioFormat

CONFIG = MixtureConfig(crop_s=None, overlap=(0.3, 1.0))
LOUD = replace(CONFIG, level_db=(-8.0, -8.0))
FLAC, FLOAT = Product(form=AudioFormat("flac")), Product(form=AudioFormat(unrounded=True))
SKIP = Product(skip_bad=True)


def contents(out: Path) -> dict[str, bytes]:
    """Each file's bytes, without the name of its folder."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes().replace(str(out).encode(), b"OUT") for path in files}


def samples(out: Path, kind: str) -> dict[str, np.ndarray]:
    return {id: soundfile.read(name, dtype="float32")[0] for id, name in read_map(out / f"{kind}.scp").items()}


@pytest.fixture(scope="module")
def made(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "mix"
    simulate_data_dir(data.path, out, LOUD, count=6, audio=True)
    return out


def test_flac_holds_the_samples_of_wav(made, data, tmp_path):
    out = tmp_path / "mix"
    simulate_data_dir(data.path, out, LOUD, count=6, audio=True, product=FLAC, nj=2)
    assert (out / "mix.jsonl").read_bytes() == (made / "mix.jsonl").read_bytes()
    assert check_data_dir(out, read_audio=True) == []
    for kind in ("wav", "spk1", "spk2", "noise1"):
        found, expected = samples(out, kind), samples(made, kind)
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[id], expected[id]) for id in found)
        assert {Path(name).suffix for name in read_map(out / f"{kind}.scp").values()} == {".flac"}


def test_float_files_hold_what_is_rendered(data, tmp_path):
    out = tmp_path / "mix"
    simulate_data_dir(data.path, out, LOUD, count=6, audio=True, product=FLOAT)
    assert check_data_dir(out, read_audio=True) == []
    assert set(read_map(out / "utt2scale").values()) == {"1"}
    wav, one, two = (samples(out, kind) for kind in ("wav", "spk1", "spk2"))
    noise = samples(out, "noise1")
    assert max(np.abs(part).max() for part in wav.values()) > 1  # neither scaled nor clipped
    for mixture in read_mixtures(out / "mix.jsonl"):
        rendered = render(mixture, AudioStore(data, 8000))
        assert np.array_equal(wav[mixture.id], rendered.mixture)
        total = one[mixture.id] + two[mixture.id] + noise.get(mixture.id, np.float32(0))
        assert np.array_equal(wav[mixture.id], total)
        rate, other = scipy.io.wavfile.read(read_map(out / "spk1.scp")[mixture.id])
        assert (rate, other.dtype) == (8000, np.float32)
        assert np.array_equal(other, one[mixture.id])


def test_float_files_do_not_know_the_time(data, tmp_path, monkeypatch):
    found = []
    for name, now in (("one", 1e9), ("two", 1.1e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        simulate_data_dir(data.path, tmp_path / name, CONFIG, count=2, audio=True, product=FLOAT)
        found.append(contents(tmp_path / name))
        time.sleep(1.1)  # libsndfile asks the system
    assert found[0] == found[1]


def test_there_is_no_float_flac():
    with pytest.raises(ConfigError, match="only wav"):
        AudioFormat("flac", unrounded=True)


def test_another_format_is_made_anew_and_leaves_nothing_of_the_first(data, tmp_path):
    out = tmp_path / "mix"
    for product in (Product(), FLAC, FLOAT, Product()):
        simulate_data_dir(data.path, out, CONFIG, count=2, audio=True, product=product)
        assert check_sums(out)[1] == []
        assert len(list((out / "wav").iterdir())) == 2


def test_the_checksums_are_those_of_sha256sum(made):
    subprocess.run(["sha256sum", "--strict", "--quiet", "-c", "sha256sums"], cwd=made, check=True)
    listed = {line.split("  ", 1)[1] for line in (made / "sha256sums").read_text().splitlines()}
    there = {name for name in contents(made) if not name.endswith(".scp")}
    assert there - listed == {"sha256sums", "simulate.json"}
    assert listed <= there


def test_check_names_each_file_that_is_not_what_was_written(made, tmp_path, csc):
    out = tmp_path / "mix"
    shutil.copytree(made, out)
    assert "are what was written" in csc("mixtures", "check", "--nj", 2, out).stdout
    data = bytearray((out / "spk2" / "mix0000003.wav").read_bytes())
    data[-1] ^= 1
    (out / "spk2" / "mix0000003.wav").write_bytes(data)
    (out / "wav" / "mix0000001.wav").unlink()
    lines = (out / "mix.jsonl").read_text().splitlines(keepends=True)
    (out / "mix.jsonl").write_text("".join(lines[:-1]))
    result = csc("mixtures", "check", out, status=1)
    sums = (out / "sha256sums").read_text().splitlines()
    named = {"spk2/mix0000003.wav", "wav/mix0000001.wav", "mix.jsonl"}
    where = {f"{out / 'sha256sums'}:{1 + [line[66:] for line in sums].index(name)}: {name} " for name in named}
    assert len(result.stdout.splitlines()) == 3
    assert all(any(line.startswith(place) for place in where) for line in result.stdout.splitlines())
    assert "3 of " in result.stderr


@pytest.mark.parametrize("damage", ["gone", "empty", "word", "cut", "outside"])
def test_damaged_checksums_are_named(made, tmp_path, damage):
    path = tmp_path / "sha256sums"
    text = (made / "sha256sums").read_text()
    changed = {"empty": "", "word": "x" + text, "cut": text[:-3], "outside": text.replace("wav/", "../", 1)}
    if damage != "gone":
        path.write_text(changed[damage])
    with pytest.raises(DataError, match="sha256sums"):
        check_sums(tmp_path)


def damage(path: Path, kind: str) -> None:
    audio, rate = soundfile.read(path)
    if kind == "deleted":
        path.unlink()
    elif kind == "zeros":
        soundfile.write(path, 0 * audio, rate)
    elif kind == "nan":
        audio[len(audio) // 2] = np.nan
        soundfile.write(path, audio, rate, subtype="FLOAT")
    elif kind == "short":
        soundfile.write(path, audio[: len(audio) // 4], rate)
    elif kind == "rate":
        soundfile.write(path, audio, 16000)


SAYS = {"deleted": "cannot be read", "zeros": "silent", "nan": "not finite", "short": "fewer than", "rate": "16000 Hz"}
HURT = "a-u0"


@pytest.fixture
def hurt(data_of):
    """A data directory; `hurt(kind)` damages one of its recordings."""
    data = data_of({"a": [2.0, 1.5], "b": [1.5, 1.7], "c": [1.6]})
    return data, lambda kind: damage(Path(data.by_id[HURT].recording), kind)


def lines_of(plan: Path) -> list[int]:
    """The lines of a plan that use the damaged recording, from 1."""
    uses = (any(source.utterance == HURT for source in mixture.sources) for mixture in read_mixtures(plan))
    return [line for line, used in enumerate(uses, start=1) if used]


@pytest.mark.parametrize(("kind", "nj"), [*((kind, 1) for kind in SAYS), ("nan", 2)])
def test_a_bad_source_is_named_with_the_line_of_the_plan(hurt, tmp_path, kind, nj):
    data, hurt = hurt
    plan = tmp_path / "plan" / "mix.jsonl"
    simulate_data_dir(data.path, plan.parent, CONFIG, count=8)
    hurt(kind)
    product = Product(resample=False)
    with pytest.raises(CscError) as error:
        render_plan(data.path, tmp_path / "out", plan, product=product, nj=nj)
    assert str(error.value).startswith(f"{plan}:{lines_of(plan)[0]}: mixture ")
    assert HURT in str(error.value)
    assert SAYS[kind] in str(error.value)
    assert not (tmp_path / "out" / "wav.scp").exists()


def test_another_rate_is_resampled_unless_it_is_refused(hurt, tmp_path):
    data, hurt = hurt
    hurt("rate")
    simulate_data_dir(data.path, tmp_path / "one", CONFIG, count=8)
    with pytest.raises(CscError, match=r"mix.jsonl:\d: .*a-u0.* 16000 Hz, not 8000 Hz; .*allow resampling"):
        simulate_data_dir(data.path, tmp_path / "two", CONFIG, count=8, product=Product(resample=False))


@pytest.mark.parametrize(("kind", "nj"), [("deleted", 1), ("zeros", 1), ("nan", 2)])
def test_bad_sources_are_left_out_and_listed(hurt, tmp_path, kind, nj, csc):
    data, hurt = hurt
    simulate_data_dir(data.path, tmp_path / "good", CONFIG, count=8, audio=True)
    lost = {f"mix{line - 1:07d}" for line in lines_of(tmp_path / "good" / "mix.jsonl")}
    assert 0 < len(lost) < 8
    hurt(kind)
    out = tmp_path / "out"
    arguments = ["--set", "overlap=[0.3,1.0]", "--num", 8, "--write-audio", "--skip-bad", "--nj", nj]
    said = csc("simulate", *arguments, data.path, out).stdout
    assert f"{len(lost)} left out, listed in {out / 'skipped'}" in said
    skipped = read_map(out / "skipped")
    assert skipped.keys() == lost
    assert all(HURT in why and SAYS[kind] in why for why in skipped.values())
    assert check_data_dir(out, read_audio=True) == []
    found, good = contents(out), contents(tmp_path / "good")
    plan = [line for line in good["mix.jsonl"].splitlines() if line.split(b'"')[3].decode() not in lost]
    assert found["mix.jsonl"].splitlines() == plan
    audio = {name for name in good if name.endswith(".wav") and Path(name).stem not in lost}
    assert {name: found[name] for name in found if name.endswith(".wav")} == {name: good[name] for name in audio}
    assert check_sums(out)[1] == []


def test_a_run_that_met_a_bad_source_is_gone_on_with(hurt, tmp_path):
    data, hurt = hurt
    hurt("zeros")
    out = tmp_path / "out"
    with pytest.raises(CscError, match="silent"):
        simulate_data_dir(data.path, out, CONFIG, count=8, audio=True)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    assert before
    simulate_data_dir(data.path, out, CONFIG, count=8, audio=True, product=SKIP)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    whole = contents(out)
    simulate_data_dir(data.path, tmp_path / "other", CONFIG, count=8, audio=True, product=SKIP)
    assert contents(tmp_path / "other") == {
        name: value.replace(str(out).encode(), b"OUT") for name, value in whole.items()
    }


def test_what_was_left_out_is_tried_again_when_it_may_not_be(hurt, tmp_path, monkeypatch):
    data, hurt = hurt
    hurt("zeros")
    out = tmp_path / "out"
    monkeypatch.setattr(tables, "write_tables", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        simulate_data_dir(data.path, out, CONFIG, count=8, audio=True, product=SKIP)
    monkeypatch.undo()
    with pytest.raises(CscError, match="silent"):
        simulate_data_dir(data.path, out, CONFIG, count=8, audio=True)


def test_no_mixture_left_is_an_error(data_of, tmp_path):
    data = data_of({"a": [1.5], "b": [1.5]})
    damage(Path(data.utterances[0].recording), "zeros")
    with pytest.raises(DataError, match="no mixture is left"):
        simulate_data_dir(data.path, tmp_path / "out", CONFIG, count=4, audio=True, product=SKIP)
    assert len(read_map(tmp_path / "out" / "skipped")) == 4
    assert not (tmp_path / "out" / "wav.scp").exists()


def test_nobody_left_to_interfere_is_said(data_of, tmp_path):
    data = data_of({"a": [1.5, 1.6]})
    with pytest.raises(DataError, match=r"data: 1 speaker.*nobody is left to interfere"):
        simulate_data_dir(data.path, tmp_path / "out", CONFIG)


def test_a_plan_that_was_cut_is_named(made, data, tmp_path, csc):
    text = (made / "mix.jsonl").read_text()
    shutil.copy(made / "sha256sums", tmp_path)
    (tmp_path / "mix.jsonl").write_text(text[:-40])
    said = csc("simulate", "--plan", tmp_path / "mix.jsonl", data.path, tmp_path / "out", status=1).stderr
    assert f"{tmp_path}/mix.jsonl:6: not a line of JSON" in said
    # Cut between two lines nothing but the checksum can tell.
    (tmp_path / "mix.jsonl").write_text("".join(text.splitlines(keepends=True)[:2]))
    said = csc("simulate", "--plan", tmp_path / "mix.jsonl", data.path, tmp_path / "out").stderr
    assert "has it lost lines?" in said


def test_a_plan_in_any_order_makes_sorted_tables(made, data, tmp_path):
    mixtures = list(read_mixtures(made / "mix.jsonl"))
    write_mixtures(tmp_path / "plan.jsonl", [mixtures[index] for index in (3, 0, 5, 1, 4, 2)])
    render_plan(data.path, tmp_path / "out", tmp_path / "plan.jsonl")
    found, expected = contents(tmp_path / "out"), contents(made)
    assert found["mix.jsonl"] == (tmp_path / "plan.jsonl").read_bytes()
    others = ("mix.jsonl", "sha256sums", "simulate.json")
    assert {name: found[name] for name in found if name not in others} == {
        name: expected[name] for name in expected if name not in others
    }


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write beyond `size` bytes of any file, as a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("product", [Product(), FLAC, FLOAT], ids=["wav", "flac", "float"])
def test_a_full_disk_leaves_nothing_half_written(data, tmp_path, product, csc):
    making = {"count": 6, "seed": 2, "audio": True, "product": product}
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, **making)
    of_each = ((tmp_path / "whole").glob(f"*/mix{number:07d}.*") for number in range(6))
    sizes = [max(path.stat().st_size for path in files) for files in of_each]
    assert max(sizes) > sizes[0]
    out = tmp_path / "out"
    with files_of_at_most(max(sizes) - 1), pytest.raises(CscError, match=r"mix.jsonl:\d: .*cannot be written: .*space"):
        simulate_data_dir(data.path, out, CONFIG, **making)
    assert not list(out.rglob(".tmp*"))
    assert not (out / "wav.scp").exists()
    whole = contents(tmp_path / "whole")
    assert all(value == whole[name] for name, value in contents(out).items() if name != "mixtures.part")
    before = {path: path.stat().st_mtime_ns for path in (out / "wav").iterdir()}
    assert before
    simulate_data_dir(data.path, out, CONFIG, **making)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert contents(out) == whole


@pytest.mark.parametrize("name", ["spk2.scp", "sha256sums", "mix.jsonl", "utt2spk"])
def test_a_disk_that_is_full_at_the_tables_is_one_line(data, tmp_path, monkeypatch, name, csc):
    def refuse(path, *rest, original=tables.open_atomic):
        if path.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return original(path, *rest)

    arguments = ["simulate", "--num", 3, "--write-audio", data.path, tmp_path / "out"]
    monkeypatch.setattr(tables, "open_atomic", refuse)
    said = csc(*arguments, "--quiet", status=1).stderr
    assert said.count("\n") == 1
    assert "No space left on device; free space" in said
    assert not (tmp_path / "out" / "mix.jsonl").exists()
    assert not list((tmp_path / "out").rglob(".tmp*"))
    monkeypatch.undo()
    csc(*arguments)
    simulate_data_dir(data.path, tmp_path / "whole", MixtureConfig(crop_s=None), count=3, audio=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_journal_whose_files_are_gone_goes_on_from_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "write_tables", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        simulate_data_dir(data.path, out, CONFIG, count=5, audio=True)
    (out / "spk1" / "mix0000002.wav").unlink()
    monkeypatch.undo()
    simulate_data_dir(data.path, out, CONFIG, count=5, audio=True)
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, count=5, audio=True)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_clearing_that_is_interrupted_is_not_taken_for_a_part(data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_tables", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, LOUD, count=3, audio=True)
    shutil.rmtree(out / "spk1")
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    simulate_data_dir(data.path, tmp_path / "whole", CONFIG, count=3, audio=True)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_of_an_earlier_version_is_left_alone(data, tmp_path):
    out = tmp_path / "out"
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    (out / "sha256sums").unlink()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_two_runs_do_not_write_to_one_folder(data, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(tables, "write_tables", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)
    with open(out / journal.PART, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another run is writing there"):
            simulate_data_dir(data.path, out, CONFIG, count=3, audio=True)


def test_memory_is_flat_in_the_number_of_mixtures(made, tmp_path):
    """The tables, the plan and the checksums of 10 times as many mixtures take no more memory."""
    line = next(read_mixtures(made / "mix.jsonl"))
    peaks = []
    for count in (300, 3000):
        out = tmp_path / str(count)
        out.mkdir()
        with open(out / journal.PART, "w") as stream:
            for index in range(count):
                plan = to_line(replace(line, id=f"mix{index:07d}"))
                stream.write(journal.Entry(1.0, None, ("0" * 64,) * 4, plan).line() + "\n")
        tracemalloc.start()
        tables.write_tables(out, "wav", references=True, own_speaker=True)
        tables.write_plan(out, "wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(read_map(out / "spk2.scp")) == count
    assert peaks[1] - peaks[0] < 3000 * 10  # bytes: not even an id of each


@pytest.mark.long
@pytest.mark.parametrize("nj", [1, 2])
def test_killed_at_any_moment_and_rerun_makes_the_same_bytes(data, tmp_path, nj):
    options = ["--set", "overlap=[0.3,1.0]", "--num", "120", "--write-audio", "--quiet"]
    command = [sys.executable, "-m", "csc_cli.cli.main", "simulate", *options, "--nj", str(nj), str(data.path)]
    began = time.monotonic()
    subprocess.run([*command, tmp_path / "whole"], check=True)
    whole_s = time.monotonic() - began
    draw, kills = random.Random(nj), 0
    print("seed", nj)
    while True:
        run = subprocess.Popen([*command, tmp_path / "out"])
        try:
            assert run.wait(timeout=draw.uniform(0.3, 0.9) * whole_s) == 0
            break
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            kills += 1
    assert kills
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
