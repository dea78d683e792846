"""Vectors of the true sources: those of the recordings that the mixtures were made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def trials(csc: Run, make_data_dir: Callable[..., Path], tmp_path: Path) -> Path:
    data = make_data_dir(speakers=3, utterances=4)
    conf = tmp_path / "trials.yaml"
    conf.write_text("{enrollment: 1, tests: 1, sir_db: [0]}")
    csc("trials", "--config", conf, data, tmp_path / "trials")
    return tmp_path / "trials"


def test_vectors_are_those_of_each_source_alone(
    csc: Run, trials: Path, make_model_dir: Callable[..., Path], tmp_path: Path
) -> None:
    model, out = make_model_dir(), tmp_path / "x"
    csc("extract", "--sources", model, trials / "test", out)
    vectors = dict(kaldiio.load_scp(str(out / "xvector.scp")))
    streams = dict(line.split(maxsplit=1) for line in (out / "utt2streams").read_text().splitlines())
    talkers = dict(line.split(maxsplit=1) for line in (trials / "test" / "utt2spks").read_text().splitlines())
    assert {key: len(names.split()) for key, names in streams.items()} == {
        key: len(names.split()) for key, names in talkers.items()
    }
    assert sorted(vectors) == sorted(" ".join(streams.values()).split())
    for place in (1, 2):
        alone = tmp_path / f"alone{place}"
        alone.mkdir()
        (alone / "wav.scp").write_text((trials / "test" / f"spk{place}.scp").read_text())
        ids = [line.split()[0] for line in (alone / "wav.scp").read_text().splitlines()]
        for name in ("utt2spk", "spk2utt"):
            (alone / name).write_text("".join(f"{id} {id}\n" for id in ids))
        csc("extract", model, alone, tmp_path / f"y{place}")
        for id, vector in kaldiio.load_scp(str(tmp_path / f"y{place}" / "xvector.scp")).items():
            np.testing.assert_allclose(vectors[f"{id}-s{place}"], vector, atol=1e-5)


def test_recordings_without_sources_are_refused(
    csc: Run, make_data_dir: Callable[..., Path], make_model_dir: Callable[..., Path], tmp_path: Path
) -> None:
    result = csc("extract", "--sources", make_model_dir(), make_data_dir(), tmp_path / "x", status=1)
    assert "spk1.scp: not found; true sources come with mixtures" in result.stderr


def test_sources_have_no_streams_of_their_own(
    csc: Run, make_data_dir: Callable[..., Path], make_model_dir: Callable[..., Path], tmp_path: Path
) -> None:
    command = ("extract", "--sources", "--streams", "all", make_model_dir(), make_data_dir(), tmp_path / "x")
    assert "leave --streams all out" in csc(*command, status=1).stderr
