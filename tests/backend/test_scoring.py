"""Scores of trials against Kaldi's programs, against numpy pair by pair, and their invariances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend import scoring
from csc_cli.backend.calibrate import Calibration
from csc_cli.backend.calibration_file import save
from csc_cli.backend.model_files import read_plda, write_plda
from csc_cli.backend.plda import Plda
from csc_cli.backend.scoring import score_cosine, score_plda
from csc_cli.backend.settings import ScoreSettings
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.objects import read_array_file
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
        folder / "trials",
        f"{folder}/enroll.ark",
        f"{folder}/test.ark",
        folder / "scores",
        ScoreSettings(**settings),
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


@pytest.mark.parametrize("pooling", [None, "max", "log-mean"])
def test_streams_are_calibrated_before_they_are_pooled(case, pooling):
    folder, _, enroll, streams, vectors = case
    save(folder / "calibration", Calibration.of({"cosine": 5.0}, {}, -2.0, 0.5), [], {})
    rows, summary = run(folder, streams=folder / "utt2streams", pooling=pooling, calibration=folder / "calibration")
    for e, t, score in rows:
        each = [5 * cosine(enroll[e], vectors[stream]) - 2 for stream in streams[t]]
        expected = max(each) if pooling == "max" else np.log(np.mean(np.exp(each)))
        assert float(score) == pytest.approx(expected, abs=1e-7)
    assert f"pooled by {pooling or 'log-mean'}" in summary


def test_a_calibration_of_more_than_a_score(case):
    folder, *_ = case
    for made in (
        Calibration.of({"a": 1.0, "b": 1.0}, {}, 0, 0.5),
        Calibration.of({"a": 1.0}, {"seconds": 1.0}, 0, 0.5),
    ):
        save(folder / "calibration", made, [], {})
        with pytest.raises(DataError, match=r"calibration: .*here it has one score alone: pool the streams"):
            run(folder, streams=folder / "utt2streams", calibration=folder / "calibration")


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": "a", "center_on": "b"}, "give one of them"),
        ({"norm": "z"}, "needs a cohort"),
        ({"cohort": "c"}, "a cohort a normalisation"),
        ({"enroll_by": "scores"}, "needs --enroll-spk2utt"),
        ({"num_utts": "a", "enroll_spk2utt": "b"}, "leave --num-utts out"),
        ({"attention_scale": 0.0}, "--attention-scale 0"),
        ({"top_n": 300}, "--top-n 300: says nothing without --as-norm"),
        ({"top_n": 4, "norm": "s", "cohort": "c"}, "--top-n 4: says nothing without --as-norm"),
    ],
)
def test_settings_that_exclude_each_other(settings, message):
    with pytest.raises(ConfigError, match=message):
        ScoreSettings(**settings)


def differences(path: Path, kaldi: str) -> np.ndarray:
    """By trial, relative to the greater of 1 and Kaldi's score."""
    trials = read_trials("trials")
    theirs = join(trials, read_scores(kaldi))
    return np.abs(join(trials, read_scores(path)) - theirs) / np.maximum(1, np.abs(theirs))


def test_cosine_as_kaldi(reference: Path, tmp_path: Path):
    # enroll_spk is centred already, so only the test side is centred here, as the reference does it.
    score_cosine("trials", "enroll_spk.scp", "ark,t:test.centred.txt", tmp_path / "scores")
    assert differences(tmp_path / "scores", "scores.cosine").max() < 2e-6


KALDI = [  # scores, model, length normalisation
    ("normalize_length_true", "plda", "expected"),
    ("normalize_length_false", "plda", "none"),
    ("simple_length_normalization", "plda", "simple"),
    ("lda16", "plda.lda16", "expected"),
    ("smoothed", "plda.smoothed.txt", "expected"),
    ("adapted", "plda.adapted", "expected"),
]


@pytest.mark.parametrize("nj", [1, 3])
@pytest.mark.parametrize(("name", "model", "length"), [*KALDI, ("no_num_utts", "plda", "expected")])
def test_plda_as_kaldi(reference: Path, tmp_path: Path, monkeypatch, name, model, length, nj):
    """With the vectors that Kaldi's own programs made."""
    monkeypatch.setattr(scoring, "BLOCK", 100)
    enroll, test = "ark:enroll_spk.ark", "ark:test.length_normalised.txt"
    if name == "lda16":
        enroll = "ark:enroll_spk.lda16.ark"
        scaled = {key: unit(x) for key, x in read_vectors_dict("ark:test.lda16.txt").items()}
        test = write(tmp_path / "test.ark", scaled)
    settings = ScoreSettings(num_utts=None if name == "no_num_utts" else "enroll_num_utts.ark", nj=nj)
    score_plda(model, "trials", enroll, test, tmp_path / "scores", settings, length=length)
    # The vectors in text have seven digits.
    assert differences(tmp_path / "scores", f"scores.plda.{name}").max() < 3e-5


@pytest.mark.parametrize(("name", "model", "length"), KALDI)
def test_plda_as_kaldi_from_the_utterances(reference: Path, tmp_path: Path, name, model, length):
    """Centred, projected, normalised, averaged and counted here."""
    transform = "lda.mat" if name == "lda16" else None
    chain = {"mean": "mean.vec", "length_norm": True, "transform": transform, "enroll_spk2utt": "enroll.spk2utt"}
    score_plda(model, "trials", "enroll.scp", "test.scp", tmp_path / "s", ScoreSettings(**chain), length=length)
    assert differences(tmp_path / "s", f"scores.plda.{name}").max() < 5e-6


def unit(x: np.ndarray) -> np.ndarray:
    return x * np.sqrt(len(x)) / np.linalg.norm(x)


@pytest.fixture
def several(case):
    """As `case`, with 1 to 3 vectors an enrollment: e0-u0, ..."""
    folder, _, enroll, streams, vectors = case
    draw = np.random.default_rng(5)
    spk2utt = {key: [f"{key}-u{i}" for i in range(1 + n % 3)] for n, key in enumerate(enroll)}
    utterances = {utt: enroll[key] + draw.normal(size=6) / 2 for key, utts in spk2utt.items() for utt in utts}
    (folder / "spk2utt").write_text("".join(f"{key} {' '.join(of)}\n" for key, of in spk2utt.items()))
    write(folder / "enroll.ark", utterances)
    return folder, spk2utt, utterances, streams, vectors


@pytest.mark.parametrize("by", ["vectors", "scores", "attention"])
def test_enrollments_of_several_vectors(several, by):
    folder, spk2utt, utterances, streams, vectors = several
    settings = {"streams": folder / "utt2streams", "enroll_spk2utt": folder / "spk2utt", "enroll_by": by}
    rows, _ = run(folder, **settings, attention_scale=4.0)
    for e, t, score in rows:
        own = [utterances[utt] for utt in spk2utt[e]]
        each = []
        for stream in streams[t]:
            v = vectors[stream]
            cosines = np.array([cosine(x, v) for x in own])
            weights = np.exp(4 * cosines) / np.exp(4 * cosines).sum()
            means = {"vectors": cosine(np.mean(own, axis=0), v), "scores": cosines.mean()}
            each.append(means | {"attention": weights @ cosines})
        assert float(score) == pytest.approx(max(one[by] for one in each), abs=1e-8)


@pytest.mark.parametrize("by", ["vectors", "scores", "attention"])
@pytest.mark.parametrize("norm", [None, "as"])
@pytest.mark.parametrize("form", ["text", "table"])
def test_all_pairs_are_those_of_a_list(several, by, norm, form):
    folder, spk2utt, _, streams, _ = several
    cohort = write(
        folder / "cohort.ark", {f"c{i}": x for i, x in enumerate(np.random.default_rng(6).normal(size=(9, 6)))}
    )
    settings = {"streams": folder / "utt2streams", "enroll_spk2utt": folder / "spk2utt", "enroll_by": by}
    if norm is not None:
        settings |= {"norm": norm, "cohort": cohort, "top_n": 4}
    (folder / "trials").write_text("".join(f"{e} {t}\n" for e in spk2utt for t in streams))
    rows, _ = run(folder, **settings)
    out = folder / "all" if form == "text" else f"ark:{folder}/all"
    summary = score_cosine("all", f"{folder}/enroll.ark", f"{folder}/test.ark", out, ScoreSettings(**settings))
    assert "5 enrollments with 7 test utterances" in summary
    if form == "text":
        table = {(e, t): float(score) for e, t, score in map(str.split, (folder / "all").read_text().splitlines())}
    else:
        tests = (folder / "all.tests").read_text().split()
        found = read_vectors_dict(f"ark:{folder}/all")
        table = {(e, t): float(score) for e, row in found.items() for t, score in zip(tests, row, strict=True)}
    assert list(table) == [(e, t) for e, t, _ in rows]
    assert list(table.values()) == pytest.approx([float(score) for _, _, score in rows], abs=1e-6)


@pytest.mark.parametrize("nj", [1, 2, 5])
@pytest.mark.parametrize("trials", ["all", "list"])
def test_threads_change_no_byte(several, monkeypatch, nj, trials):
    folder, *_ = several
    monkeypatch.setattr(scoring, "BLOCK", 9)
    settings = {"streams": folder / "utt2streams", "enroll_spk2utt": folder / "spk2utt", "enroll_by": "scores"}
    outs = []
    for n in (1, nj):
        score_cosine("all" if trials == "all" else folder / "trials", f"{folder}/enroll.ark", f"{folder}/test.ark",
                     folder / f"scores{n}", ScoreSettings(**settings, nj=n))  # fmt: skip
        outs.append((folder / f"scores{n}").read_bytes())
    assert outs[0] == outs[1] and outs[0]


def test_plda_counts_the_utterances_of_an_enrollment(several):
    folder, spk2utt, *_ = several
    draw = np.random.default_rng(3)
    write_plda(f"{folder}/plda", Plda.of(draw.normal(size=6), draw.normal(size=(6, 6)), draw.random(6) * 3))
    names = f"{folder}/plda", folder / "trials", f"{folder}/enroll.ark", f"{folder}/test.ark"
    streams = folder / "utt2streams"
    score_plda(*names, folder / "counted", ScoreSettings(streams=streams, enroll_spk2utt=folder / "spk2utt"))
    utterances = read_vectors_dict(f"ark:{folder}/enroll.ark")
    write(
        folder / "enroll.ark",
        {key: np.mean([utterances[utt] for utt in utts], axis=0) for key, utts in spk2utt.items()},
    )
    (folder / "num_utts").write_text("".join(f"{key} {len(utts)}\n" for key, utts in spk2utt.items()))
    score_plda(*names, folder / "given", ScoreSettings(streams=streams, num_utts=f"{folder}/num_utts"))
    score_plda(*names, folder / "one", ScoreSettings(streams=streams))
    assert (folder / "counted").read_text() == (folder / "given").read_text() != (folder / "one").read_text()


def test_num_utts_that_lack_an_enrollment(case):
    folder, *_ = case
    write_plda(f"{folder}/plda", Plda.of(np.zeros(6), np.eye(6), np.ones(6)))
    names = f"{folder}/plda", folder / "trials", f"{folder}/enroll.ark", f"{folder}/test.ark", folder / "scores"
    for text, message in (("e1 2\n", "no number of utterances for 4 of 5"), ("e0 1\ne1 0\n", "no number"),
                          ("e0 1\ne1 0\ne2 1\ne3 1\ne4 1\n", "fewer than one utterance for e1")):  # fmt: skip
        (folder / "num_utts").write_text(text)
        settings = ScoreSettings(streams=folder / "utt2streams", num_utts=f"ark:{folder}/num_utts")
        with pytest.raises(DataError, match=message):
            score_plda(*names, settings)


def test_what_is_missing_may_be_left_out_and_is_counted(case):
    folder, pairs, _, streams, vectors = case
    before, _ = run(folder, streams=folder / "utt2streams")
    gone = streams["t2"][1]
    write(folder / "test.ark", {key: x for key, x in vectors.items() if key != gone})
    with open(folder / "trials", "a") as stream:
        stream.write("nobody t1\ne1 nothing\n")
    message = r"enroll.ark: no vector for 1 of 6 .*: nobody; no streams for 1 of 8 .*: nothing; .*: " + gone
    with pytest.raises(DataError, match=message + ".*--skip-missing"):
        run(folder, streams=folder / "utt2streams")
    after, summary = run(folder, streams=folder / "utt2streams", skip_missing=True)
    assert after == [row for row in before if row[1] != "t2"]
    left_out = 2 + sum(test == "t2" for _, test in pairs)
    assert f"{left_out} trials left out: " in summary and "nobody" in summary and gone in summary
    everything = ScoreSettings(streams=folder / "utt2streams", skip_missing=True)
    summary = score_cosine("all", f"{folder}/enroll.ark", f"{folder}/test.ark", folder / "all", everything)
    assert "5 enrollments with 6 test utterances" in summary and gone in summary
    assert len((folder / "all").read_text().splitlines()) == 30


def test_nothing_to_score(case):
    folder, *_ = case
    (folder / "trials").write_text("nobody t1\n")
    with pytest.raises(DataError, match="no vector for 1 of 1 enrollment"):
        run(folder, streams=folder / "utt2streams", skip_missing=True)


def test_repeated_trials_are_scored_and_counted(case, monkeypatch):
    folder, pairs, *_ = case
    with open(folder / "trials", "a") as stream:
        stream.writelines(f"{e} {t}\n" for e, t in (pairs[0], pairs[3], pairs[0]))
    for bits in (1 << 32, 0):
        monkeypatch.setattr(scoring, "SEEN_BITS", bits)
        rows, summary = run(folder, streams=folder / "utt2streams")
        assert len(rows) == 23 and rows[20] == rows[0]
        assert "3 of the trials repeat an earlier one" in summary


def test_voxcelebs_names_are_kaldis_or_its_own(tmp_path):
    draw = np.random.default_rng(0)
    x = {f"id{i}/v/0.wav": draw.normal(size=3) for i in range(3)}
    (tmp_path / "trials").write_text("1 id0/v/0.wav id1/v/0.wav\n0 id0/v/0.wav id2/v/0.wav\n")
    settings = ScoreSettings(trials_format="voxceleb")
    expected = [["id0/v/0.wav", f"id{i}/v/0.wav", cosine(x["id0/v/0.wav"], x[f"id{i}/v/0.wav"])] for i in (1, 2)]
    for rename in (str, lambda key: key.replace("/", "-").removesuffix(".wav")):
        name = write(tmp_path / "x.ark", {rename(key): vector for key, vector in x.items()})
        score_cosine(tmp_path / "trials", name, name, tmp_path / "scores", settings)
        rows = [line.split() for line in (tmp_path / "scores").read_text().splitlines()]
        assert [row[:2] for row in rows] == [row[:2] for row in expected]
        assert [float(row[2]) for row in rows] == pytest.approx([row[2] for row in expected], abs=1e-8)


def test_a_transform_and_length_for_both_sides(reference: Path, tmp_path: Path):
    """Kaldi's transformed vectors scored plainly, and the transform taken here."""
    settings = ScoreSettings(mean="mean.vec", transform="lda.mat")
    (tmp_path / "trials").write_text("".join(f"spk000-enroll-00 {key}\n" for key in read_vectors_dict("scp:test.scp")))
    score_cosine(tmp_path / "trials", "enroll.scp", "test.scp", tmp_path / "here", settings)
    matrix, mean = read_array_file("lda.mat"), read_array_file("mean.vec")
    enroll = {key: matrix @ np.append(x - mean, 1) for key, x in read_vectors_dict("scp:enroll.scp").items()}
    name = write(tmp_path / "enroll.ark", enroll)
    score_cosine(tmp_path / "trials", name, "ark,t:test.lda16.txt", tmp_path / "there")
    here, there = read_scores(tmp_path / "here"), read_scores(tmp_path / "there")
    assert here.score == pytest.approx(there.score, abs=1e-5)


def test_a_plda_of_another_dimension(case):
    folder, *_ = case
    write_plda(f"{folder}/plda", Plda.of(np.zeros(5), np.eye(5), np.ones(5)))
    with pytest.raises(DataError, match=r"enroll.ark: the PLDA has 5 dimensions and the vectors 6"):
        score_plda(f"{folder}/plda", folder / "trials", f"{folder}/enroll.ark", f"{folder}/test.ark", folder / "s",
                   ScoreSettings(streams=folder / "utt2streams"))  # fmt: skip
    assert read_plda(f"{folder}/plda").dim == 5
    assert not (folder / "s").exists()
