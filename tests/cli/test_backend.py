"""`csc vector`, `csc lda`, `csc plda`, `csc score plda` at the command line: Kaldi's recipe, with csc's commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from csc_cli.kaldi.tables import read_vectors_dict
from csc_cli.kaldi.trials import join, read_scores, read_trials


@pytest.fixture
def reference(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shared / "kaldi" / "reference"
    if not folder.is_dir():
        pytest.skip("no Kaldi reference in the shared test data")
    monkeypatch.chdir(folder)
    return folder


def difference(ours: Path, kaldi: str) -> float:
    """The largest, relative to the greater of 1 and Kaldi's score."""
    trials = read_trials("trials")
    left, right = (join(trials, read_scores(path)) for path in (ours, kaldi))
    return float((np.abs(left - right) / np.maximum(1, np.abs(right))).max())


def test_a_recipe_by_files(reference: Path, tmp_path: Path, csc) -> None:
    """Kaldi's commands of the reference's README, one by one, up to the scores."""
    csc("vector", "mean", "scp:train.scp", tmp_path / "mean.vec")
    csc("lda", "train", "--dim", 16, "--total-covariance-factor", 0.1, "--mean", tmp_path / "mean.vec",
        "scp:train.scp", "ark:train.utt2spk", tmp_path / "lda.mat")  # fmt: skip
    for name in ("train", "enroll", "test"):
        csc("vector", "subtract-mean", tmp_path / "mean.vec", f"scp:{name}.scp", f"ark:{tmp_path}/a")
        csc("vector", "transform", tmp_path / "lda.mat", f"ark:{tmp_path}/a", f"ark:{tmp_path}/b")
        csc("vector", "normalize-length", f"ark:{tmp_path}/b", f"ark:{tmp_path}/{name}.ark")
    csc("plda", "train", "ark:train.spk2utt", f"ark:{tmp_path}/train.ark", tmp_path / "plda")
    csc("vector", "mean", "ark:enroll.spk2utt", f"ark:{tmp_path}/enroll.ark", f"ark:{tmp_path}/spk.ark",
        f"ark,t:{tmp_path}/num_utts")  # fmt: skip
    csc("score", "plda", "--num-utts", f"ark:{tmp_path}/num_utts", tmp_path / "plda", "trials",
        f"ark:{tmp_path}/spk.ark", f"ark:{tmp_path}/test.ark", tmp_path / "scores")  # fmt: skip
    assert difference(tmp_path / "scores", "scores.plda.lda16") < 1e-4


def test_a_recipe_by_pipes(reference: Path, tmp_path: Path) -> None:
    """As in a shell: nothing but data on standard output."""
    (tmp_path / "csc").write_text(f'#!/bin/sh\nexec {sys.executable} -m csc_cli.cli.main "$@"\n')
    (tmp_path / "csc").chmod(0o755)
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": root}
    line = (
        "csc score plda --num-utts ark:enroll_num_utts.ark 'csc plda copy --smoothing 0.1 plda - |' trials "
        "scp:enroll_spk.scp 'ark:csc vector subtract-mean mean.vec scp:test.scp ark:- | "
        "csc vector normalize-length ark:- ark:- |' -"
    )
    run = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (tmp_path / "scores").write_text(run.stdout)
    assert difference(tmp_path / "scores", "scores.plda.smoothed") < 1e-4
    assert "2180 trials" in run.stderr


@pytest.mark.parametrize(
    ("options", "kaldi"),
    [
        (["--normalize-length=false"], "normalize_length_false"),
        (["--simple-length-normalization=true"], "simple_length_normalization"),
        (["--normalize-length=true", "--simple-length-normalization=false"], "normalize_length_true"),
    ],
)
def test_kaldis_options(reference: Path, tmp_path: Path, csc, options: list[str], kaldi: str) -> None:
    csc("score", "plda", *options, "--mean=mean.vec", "--length-norm", "--enroll-spk2utt=enroll.spk2utt", "plda",
        "trials", "enroll.scp", "test.scp", tmp_path / "scores")  # fmt: skip
    assert difference(tmp_path / "scores", f"scores.plda.{kaldi}") < 1e-5


def test_adapting(reference: Path, tmp_path: Path, csc) -> None:
    result = csc("plda", "adapt", "--within-covar-scale=0.75", "--between-covar-scale=0.25", "--mean=mean.vec",
                 "--length-norm", "--binary=false", "plda", "scp:adapt.scp", tmp_path / "adapted")  # fmt: skip
    assert result.stdout == "" and "PLDA adapted to " in result.stderr
    ours, kaldi = (path.read_text().split() for path in (tmp_path / "adapted", reference / "plda.adapted.txt"))
    means = [[float(value) for value in words[2:26]] for words in (ours, kaldi)]
    assert ours[:2] == kaldi[:2] == ["<Plda>", "["]
    assert means[0] == pytest.approx(means[1], abs=1e-5)


@pytest.mark.parametrize(
    "line",
    [
        "vector mean x",
        "vector mean a b c d e",
        "vector subtract-mean x",
        "vector subtract-mean a b c d",
        "plda copy --smoothing 1.5 a b",
        "plda copy --binary perhaps a b",
        "score cosine --z-norm a --as-norm b - e t o",
        "score cosine --top-n 1 - e t o",
        "lda train --dim 0 v - o",
    ],
)
def test_wrong_usage(csc, line: str) -> None:
    csc(*line.split(), status=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("plda copy trials x", "Error: trials: "),
        ("score plda lda.mat trials enroll_spk.scp test.scp -", "Error: lda.mat: "),
        ("vector transform mean.vec test.scp ark:-", "mean.vec: is not a matrix"),
        ("vector subtract-mean lda.mat test.scp ark:-", "lda.mat: is not a vector"),
        ("vector mean test.scp /proc/mean.vec", "/proc"),
        ("plda train train.spk2utt test.scp -", "no vector for "),
        ("lda train --dim 25 --mean mean.vec train.scp train.utt2spk -", "--dim 25: the vectors have 24 dimensions"),
        ("score plda plda all enroll.scp ark:lda.mat -", "lda.mat"),
        ("score cosine --as-norm train.scp --top-n 5000 all enroll.scp test.scp -", "--top-n 5000: the cohort has"),
        ("score cosine --top-n 300 all enroll.scp test.scp -", "--top-n 300: says nothing without --as-norm"),
        ("score plda --s-norm train.scp --top-n 9 plda all enroll.scp test.scp -", "says nothing without --as-norm"),
    ],
)
def test_one_line_and_status_1(reference: Path, csc, line: str, message: str) -> None:
    result = csc(*line.split(), status=1)
    assert result.stdout == "" and message in result.stderr and result.stderr.count("\n") == 1


def test_choosing_streams_for_enrollment(reference: Path, tmp_path: Path, csc) -> None:
    """The reference's enrollments, each with another speaker's as a second stream."""
    keys = list(read_vectors_dict("scp:enroll.scp"))
    lines = [f"{key} {keys[(i + 37) % len(keys)]} {key}\n" for i, key in enumerate(keys)]
    (tmp_path / "utt2streams").write_text("".join(lines))
    csc("vector", "choose-streams", "--mean=mean.vec", "--threshold=-1", f"--report={tmp_path}/report",
        "enroll.spk2utt", tmp_path / "utt2streams", "enroll.scp", tmp_path / "chosen")  # fmt: skip
    rows = [line.split() for line in (tmp_path / "report").read_text().splitlines()]
    assert len(rows) == len(keys) and {row[4] for row in rows} == {"chosen"}
    # These vectors say little of their speakers; still most streams are the speakers' own.
    several = [row for row in rows if row[3] != "nan"]
    assert sum(row[1] == row[2] for row in several) > 0.6 * len(several)
    csc("vector", "mean", tmp_path / "chosen", "enroll.scp", f"ark:{tmp_path}/spk.ark")
