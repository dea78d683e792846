"""Cosine scores against Kaldi's, against numpy pair by pair, and their invariances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend import scoring
from csc_cli.backend.scoring import score_cosine
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.tables import VectorWriter, read_vectors_dict
from csc_cli.kaldi.trials import join, read_scores, read_trials


def write(path: Path, vectors: dict[str, np.ndarray]) -> str:
    with VectorWriter(f"ark:{path}") as writer:
        for key, vector in vectors.items():
            writer.write(key, vector)
    return str(path)


@pytest.fixture
def case(tmp_path: Path):
    """5 enrollments, 7 test utterances of 1 to 3 streams, 20 of their pairs as trials."""
    rng = np.random.default_rng(1)
    enroll = {f"e{i}": rng.normal(size=6) + 1 for i in range(5)}
    streams = {f"t{i}": [f"t{i}-s{j}" for j in range(1 + i % 3)] for i in range(7)}
    vectors = {key: rng.normal(size=6) + 1 for of in streams.values() for key in of}
    pairs = [(f"e{i % 5}", f"t{i // 5}") for i in rng.choice(35, 20, replace=False)]
    (tmp_path / "trials").write_text("".join(f"{e} {t}\n" for e, t in pairs))
    (tmp_path / "utt2streams").write_text("".join(f"{utt} {' '.join(of)}\n" for utt, of in streams.items()))
    write(tmp_path / "enroll.ark", enroll)
    write(tmp_path / "test.ark", vectors)
    return tmp_path, pairs, enroll, streams, vectors


def run(folder: Path, **settings):
    summary = score_cosine(
        folder / "trials", f"{folder}/enroll.ark", f"{folder}/test.ark", folder / "scores", **settings
    )
    return [line.split() for line in (folder / "scores").read_text().splitlines()], summary


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("block", [scoring.BLOCK, 3])
@pytest.mark.parametrize("pooling", ["max", "log-mean"])
def test_pair_by_pair(case, monkeypatch, block, pooling):
    monkeypatch.setattr(scoring, "BLOCK", block)
    folder, pairs, enroll, streams, vectors = case
    rows, summary = run(folder, streams=folder / "utt2streams", pooling=pooling)
    assert [(e, t) for e, t, _ in rows] == pairs
    for e, t, score in rows:
        each = [cosine(enroll[e], vectors[stream]) for stream in streams[t]]
        expected = max(each) if pooling == "max" else np.log(np.mean(np.exp(each)))
        assert float(score) == pytest.approx(expected, abs=1e-8)
    assert f"pooled by {pooling} over up to 3 streams" in summary


@pytest.mark.parametrize("how", ["mean", "center_on"])
def test_centring_both_sides(case, how):
    folder, _, enroll, streams, vectors = case
    cohort = {f"c{i}": vector for i, vector in enumerate(np.random.default_rng(2).normal(size=(9, 6)))}
    mean = np.mean(list(cohort.values()), axis=0)
    given = write(folder / "mean.ark", {"mean": mean}) if how == "mean" else write(folder / "cohort.ark", cohort)
    rows, _ = run(folder, streams=folder / "utt2streams", **{how: given})
    for e, t, score in rows:
        expected = max(cosine(enroll[e] - mean, vectors[stream] - mean) for stream in streams[t])
        assert float(score) == pytest.approx(expected, abs=1e-8)


def test_scale_rotation_and_order_of_tables_change_nothing(case):
    folder, _, enroll, _, vectors = case
    before, _ = run(folder, streams=folder / "utt2streams")
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))
    for name, table in (("enroll.ark", enroll), ("test.ark", vectors)):
        turned = {key: (1 + i) * vector @ rotation for i, (key, vector) in enumerate(table.items())}
        write(folder / name, dict(reversed(turned.items())))
    after, _ = run(folder, streams=folder / "utt2streams")
    assert [float(row[2]) for row in after] == pytest.approx([float(row[2]) for row in before], abs=1e-8)


def test_unknown_keys_are_counted_and_nothing_is_written(case):
    folder, *_ = case
    with open(folder / "trials", "a") as stream:
        stream.write("nobody t1\nelse t2\nnobody t2\n")
    with pytest.raises(DataError, match=r"no vector for 2 of 7 enrollment\(s\) of the trials: nobody, else; "):
        run(folder, streams=folder / "utt2streams")
    assert not (folder / "scores").exists()


def test_without_streams_the_utterances_themselves_are_looked_for(case):
    folder, *_ = case
    with pytest.raises(DataError, match=r"no vector for 7 of 7 test vector\(s\)"):
        run(folder)


def test_a_vector_of_length_zero_is_named_with_its_table(case):
    folder, _, enroll, *_ = case
    write(folder / "enroll.ark", enroll | {"e2": np.zeros(6)})
    with pytest.raises(DataError, match=r"enroll.ark: 1 vector\(s\) of length zero.*: e2"):
        run(folder, streams=folder / "utt2streams")


def test_a_vector_that_is_the_mean_has_length_zero(case):
    folder, _, enroll, *_ = case
    mean = write(folder / "mean.ark", {"mean": enroll["e3"]})
    with pytest.raises(DataError, match=r"length zero.*: e3"):
        run(folder, streams=folder / "utt2streams", mean=mean)


def test_dimensions_disagree(case):
    folder, _, enroll, *_ = case
    write(folder / "enroll.ark", {key: vector[:4] for key, vector in enroll.items()})
    with pytest.raises(DataError, match=r"enroll.ark has vectors of 4 values and .*test.ark of 6"):
        run(folder, streams=folder / "utt2streams")


def test_two_means():
    with pytest.raises(ConfigError, match="give one of them"):
        score_cosine("t", "e", "t", "o", mean="a", center_on="b")


def test_kaldi_scores(shared: Path, tmp_path: Path):
    folder = shared / "kaldi" / "reference"
    if not folder.is_dir():
        pytest.skip("no Kaldi reference in the shared test data")
    # enroll_spk is centred already, so only the test side is centred here, as the reference does it.
    test = read_vectors_dict(f"ark,t:{folder}/test.centred.txt")
    write(tmp_path / "test.ark", test)
    score_cosine(folder / "trials", f"{folder}/enroll_spk.scp", f"{tmp_path}/test.ark", tmp_path / "scores")
    trials = read_trials(folder / "trials")
    ours = join(trials, read_scores(tmp_path / "scores"))
    assert ours == pytest.approx(join(trials, read_scores(folder / "scores.cosine")), abs=2e-6)
