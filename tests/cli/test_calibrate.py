"""`csc calibrate` and `csc fuse` at the command line: train, apply, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from csc_cli.kaldi.trials import join, read_scores, read_trials
from csc_cli.metrics.calibration import cllr, min_cllr


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Trials and scores of two systems of speakers d0.. (dev) and e0.. (eval); lines of each file in another order."""
    rng = np.random.default_rng(0)
    for part in ("dev", "eval"):
        folder = tmp_path / part
        folder.mkdir()
        pairs = [(f"{part[0]}{s}", f"{part[0]}{t}-{u}", s == t) for s in range(12) for t in range(12) for u in range(6)]
        key = "".join(f"{e} {t} {'target' if k else 'nontarget'}\n" for e, t, k in pairs)
        (folder / "trials").write_text(key)
        (folder / "utt2dur").write_text("".join(f"{t} {1 + len(t)}\n" for t in sorted({t for _, t, _ in pairs})))
        for name, distance in (("csc", 0.3), ("ecapa", 0.2)):
            lines = [f"{e} {t} {0.1 * rng.normal() + distance * k + 0.2:.6f}\n" for e, t, k in pairs]
            (folder / name).write_text("".join(lines[i] for i in rng.permutation(len(lines))))
    return tmp_path


def ratios(folder: Path, name: str):
    trials = read_trials(folder / "trials")
    return join(trials, read_scores(folder / name)), trials.target


def test_calibration_of_one_system(files, csc):
    dev, test = files / "dev", files / "eval"
    result = csc("calibrate", "train", dev / "trials", dev / "csc", files / "c.json")
    before, target = ratios(dev, "csc")
    csc("calibrate", "apply", files / "c.json", test / "csc", test / "llr")
    # The same map of the training scores costs what the summary says.
    csc("calibrate", "apply", "--shared-speakers", files / "c.json", dev / "csc", dev / "llr")
    after, _ = ratios(dev, "llr")
    assert (
        f"Cllr on the 864 trials of training: {cllr(before, target):.4f} -> {cllr(after, target):.4f}" in result.stdout
    )
    unseen, target = ratios(test, "llr")
    assert cllr(unseen, target) < min_cllr(unseen, target) + 0.1 < cllr(ratios(test, "csc")[0], target)
    # In the order of the scores' own file.
    assert [line.split()[:2] for line in (test / "llr").read_text().splitlines()] == [
        line.split()[:2] for line in (test / "csc").read_text().splitlines()
    ]
    about = json.loads((files / "c.json").read_text())
    assert about["trained_on"]["targets"] == 72
    assert about["speakers"] == sorted(f"d{i}" for i in range(12))


def test_scores_to_standard_output(files, csc):
    csc("calibrate", "train", files / "dev/trials", files / "dev/csc", files / "c.json")
    result = csc("calibrate", "apply", files / "c.json", files / "eval/csc", "-")
    assert len(result.stdout.splitlines()) == 864
    assert "864 log likelihood ratios" in result.stderr


def test_fusion_joins_by_key_and_knows_systems_by_name(files, csc):
    dev, test = files / "dev", files / "eval"
    names = ("--name", "csc", "--name", "ecapa")
    csc("fuse", "train", *names, dev / "trials", dev / "csc", dev / "ecapa", files / "f.json")
    csc("fuse", "apply", files / "f.json", test / "csc", test / "ecapa", test / "fused")
    fused, target = ratios(test, "fused")
    for name in ("csc", "ecapa"):
        assert min_cllr(fused, target) < min_cllr(ratios(test, name)[0], target)
    swapped = ("--name", "ecapa", "--name", "csc")
    csc("fuse", "apply", *swapped, files / "f.json", test / "ecapa", test / "csc", test / "again")
    assert ratios(test, "again")[0] == pytest.approx(fused, abs=1e-7)


def test_training_twice_writes_the_same_bytes(files, csc):
    written = []
    for _ in range(2):
        csc("fuse", "train", files / "dev/trials", files / "dev/csc", files / "dev/ecapa", files / "f.json")
        written.append((files / "f.json").read_bytes())
    assert written[0] == written[1]
    assert str(files).encode() not in written[0]


def test_speakers_of_training_are_refused(files, csc):
    csc("calibrate", "train", files / "dev/trials", files / "dev/csc", files / "c.json")
    result = csc("calibrate", "apply", files / "c.json", files / "dev/csc", files / "out", status=1)
    assert "12 of 12 speakers of these scores took part in training" in result.stderr
    assert "d0, d1, d10, ... (12 in all)" in result.stderr
    assert not (files / "out").exists()


def test_speakers_are_known_by_the_tables(files, csc):
    """Other ids on both sides, and the same people behind them: heard in a test utterance of training."""
    heard = "".join(f"d{t}-{u} d{t}{' guest' if t == 3 else ''}\n" for t in range(12) for u in range(6))
    (files / "heard").write_text(heard)
    csc("calibrate", "train", "--utt2spk", files / "heard", files / "dev/trials", files / "dev/csc", files / "c.json")
    csc("calibrate", "apply", files / "c.json", files / "eval/csc", files / "out")
    (files / "models").write_text("".join(f"e{i} {'guest' if i == 5 else f'e{i}'}\n" for i in range(12)))
    arguments = ("--enroll-utt2spk", files / "models", files / "c.json", files / "eval/csc", files / "out2")
    result = csc("calibrate", "apply", *arguments, status=1)
    assert "1 of 12 speakers of these scores took part in training" in result.stderr
    assert "guest" in result.stderr
    (files / "eval_heard").write_text("".join(f"e{t}-{u} e{t} guest\n" for t in range(12) for u in range(6)))
    arguments = ("--utt2spk", files / "eval_heard", files / "c.json", files / "eval/csc", files / "out2")
    assert "guest" in csc("calibrate", "apply", *arguments, status=1).stderr


def test_a_table_on_one_side_alone_does_not_hide_the_same_enrollments(files, csc):
    (files / "people").write_text("".join(f"d{i} person{i}\n" for i in range(12)))
    table = ("--enroll-utt2spk", files / "people")
    for name, training, applying in (("a.json", table, ()), ("b.json", (), table)):
        csc("calibrate", "train", *training, files / "dev/trials", files / "dev/csc", files / name)
        result = csc("calibrate", "apply", *applying, files / name, files / "dev/csc", files / "out", status=1)
        assert "12 of 12 enrollments of these scores took part in training" in result.stderr
        csc("calibrate", "apply", files / name, files / "eval/csc", files / "out")
        (files / "out").unlink()


def test_quality(files, csc):
    duration = ("--test-duration", files / "dev/utt2dur")
    csc("calibrate", "train", *duration, files / "dev/trials", files / "dev/csc", files / "c.json")
    result = csc("calibrate", "apply", files / "c.json", files / "eval/csc", files / "out", status=1)
    assert "takes test_duration as well" in result.stderr
    duration = ("--test-duration", files / "eval/utt2dur")
    csc("calibrate", "apply", *duration, files / "c.json", files / "eval/csc", files / "out")
    (quality,) = json.loads((files / "c.json").read_text())["quality"]
    assert quality["name"] == "test_duration"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("calibrate train {dev}/trials {dev}/short {out}", "short on {dev}/trials: 3 trials have no score"),
        ("calibrate train {eval}/trials {dev}/csc {out}", "csc on {eval}/trials: 864 trials have no score"),
        ("calibrate train {dev}/csc {dev}/csc {out}", "neither 'target' nor 'nontarget'"),
        ("calibrate train {dev}/pairs {dev}/csc {out}", "has no key"),
        ("calibrate train --prior 1 {dev}/trials {dev}/csc {out}", "--prior 1: must lie"),
        ("calibrate train --activity {dev}/utt2dur {dev}/trials {dev}/csc {out}", "--activity says nothing without"),
        ("fuse train {dev}/trials {dev}/csc {dev}/csc {out}", "follows from the others"),
        ("fuse train --name a {dev}/trials {dev}/csc {dev}/ecapa {out}", "2 score file(s) need as many"),
        ("fuse apply {fusion} {eval}/csc {out}", "1 score(s) for a calibration of 2: csc, ecapa"),
        ("fuse apply {fusion} {eval}/csc {dev}/ecapa {out}", "ecapa on {eval}/csc: 864 trials have no score"),
        (
            "fuse apply --name csc --name x {fusion} {eval}/csc {eval}/ecapa {out}",
            "the systems of {fusion} are csc, ecapa",
        ),
        ("calibrate apply {dev}/trials {eval}/csc {out}", "is not JSON"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(files, csc, arguments, message):
    dev = files / "dev"
    (dev / "short").write_text("".join((dev / "csc").read_text().splitlines(keepends=True)[3:]))
    (dev / "pairs").write_text("".join(line.rsplit(None, 1)[0] + "\n" for line in (dev / "trials").open()))
    names = ("--name", "csc", "--name", "ecapa")
    csc("fuse", "train", *names, dev / "trials", dev / "csc", dev / "ecapa", files / "fusion.json")
    places = {"dev": dev, "eval": files / "eval", "out": files / "out", "fusion": files / "fusion.json"}
    result = csc(*arguments.format(**places).split(), status=1)
    assert message.format(**places) in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (files / "out").exists()
