"""Formats of mixtures on disk: flac and float against wav and against what is rendered."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from csc_cli.errors import ConfigError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures.checksums import check_sums
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.produce import Product
from csc_cli.mixtures.render import render
from csc_cli.mixtures.simulate import simulate_data_dir
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.write import AudioFormat
from tests.mixtures.conftest import CONFIG, LOUD, contents

FLAC, FLOAT = Product(form=AudioFormat("flac")), Product(form=AudioFormat(unrounded=True))


def samples(out: Path, kind: str) -> dict[str, np.ndarray]:
    return {id: soundfile.read(name, dtype="float32")[0] for id, name in read_map(out / f"{kind}.scp").items()}


def test_flac_holds_the_samples_of_wav(loud_mixtures, data, tmp_path):
    out = tmp_path / "mix"
    simulate_data_dir(data.path, out, LOUD, count=6, audio=True, product=FLAC, nj=2)
    assert (out / "mix.jsonl").read_bytes() == (loud_mixtures / "mix.jsonl").read_bytes()
    assert check_data_dir(out, read_audio=True) == []
    for kind in ("wav", "spk1", "spk2", "noise1"):
        found, expected = samples(out, kind), samples(loud_mixtures, kind)
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
