"""Sources that cannot be used: named with their line, or left out and listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import CscError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures import tables
from csc_cli.mixtures.checksums import check_sums
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.produce import Product
from csc_cli.mixtures.simulate import render_plan, simulate_data_dir
from csc_cli.mixtures.write import AudioFormat
from tests.mixtures.conftest import CONFIG, contents, interrupt

SKIP = Product(skip_bad=True)
FLAC, FLOAT = Product(form=AudioFormat("flac")), Product(form=AudioFormat(unrounded=True))


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
    monkeypatch.setattr(tables, "write_tables", interrupt)
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
