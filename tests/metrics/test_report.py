"""`csc evaluate` as a library: what is written, in which order, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from csc_cli.errors import ConfigError, DataError
from csc_cli.metrics.calibration import cllr, min_cllr
from csc_cli.metrics.detection import act_dcf, eer, eer_kaldi, eer_linear, min_dcf
from csc_cli.metrics.report import default_names, evaluate

CONDITIONS = ("clean", "sir+5dB", "sir0dB")


@pytest.fixture
def files(tmp_path: Path):
    """Trials of 8 speakers in three conditions, scores of two systems; `arrays` is what they say."""
    rng = np.random.default_rng(0)
    rows = [
        (f"s{enroll}", f"s{test}-{condition}-{take}", enroll == test, condition)
        for condition in CONDITIONS for test in range(8) for take in range(3) for enroll in range(8)
    ]  # fmt: skip
    target = np.array([row[2] for row in rows])
    (tmp_path / "trials").write_text("".join(f"{e} {t} {'target' if k else 'nontarget'}\n" for e, t, k, _ in rows))
    conditions = {test: condition for _, test, _, condition in rows}
    (tmp_path / "utt2cond").write_text("".join(f"{test} {conditions[test]}\n" for test in sorted(conditions)))
    arrays = {}
    for name, distance in (("weak", 0.8), ("strong", 2.0)):
        score = np.round(rng.normal(size=len(rows)) + distance * target, 4)
        (tmp_path / name).mkdir()
        lines = [f"{row[0]} {row[1]} {value}\n" for row, value in zip(rows, score, strict=True)]
        (tmp_path / name / "scores").write_text("".join(lines[i] for i in rng.permutation(len(lines))))
        arrays[name] = score
    return tmp_path, target, np.array([row[3] for row in rows]), arrays


def run(folder: Path, *systems: str, **settings):
    settings = {"utt2cond": folder / "utt2cond", "replicates": 50, **settings}
    scores = [folder / system / "scores" for system in systems]
    text = evaluate(folder / "trials", scores, folder / "out", **settings)
    return json.loads((folder / "out" / "results.json").read_text()), text


def test_figures_are_those_of_the_arrays(files):
    folder, target, condition, arrays = files
    results, _ = run(folder, "weak", "strong")
    assert [result["name"] for result in results["conditions"]] == [*CONDITIONS, "all"]
    for result in results["conditions"]:
        here = np.full(target.size, True) if result["name"] == "all" else condition == result["name"]
        assert result["targets"] == (target & here).sum()
        assert result["nontargets"] == (~target & here).sum()
        assert result["speakers"] == 8
        for name, score in arrays.items():
            found, s, t = result["systems"][name], score[here], target[here]
            assert found["eer"]["value"] == pytest.approx(eer(s, t).rate)
            assert found["eer_linear"] == pytest.approx(eer_linear(s, t).rate)
            assert found["eer_kaldi"] == eer_kaldi(s, t).rate
            assert found["min_dcf"]["value"] == pytest.approx(min_dcf(s, t))
            assert found["cllr"]["value"] == pytest.approx(cllr(s, t))
            assert found["min_cllr"]["value"] == pytest.approx(min_cllr(s, t))
            (at,) = found["points"]
            assert at["min_dcf"] == found["min_dcf"]
            assert at["act_dcf"]["value"] == pytest.approx(act_dcf(s, t))
            assert found["eer"]["low"] < found["eer"]["value"] < found["eer"]["high"]
        ours, weak, strong = (result["comparisons"]["strong"], *(result["systems"][n] for n in ("weak", "strong")))
        assert ours["eer_ratio"]["value"] == pytest.approx(strong["eer"]["value"] / weak["eer"]["value"])
        assert ours["min_dcf_difference"]["value"] == pytest.approx(
            strong["min_dcf"]["value"] - weak["min_dcf"]["value"]
        )
        assert "weak" not in result["comparisons"]


def test_pairing(files):
    """A system against a monotone map of itself: the same trials, so the ratio is 1 without any doubt."""
    folder, *_ = files
    (folder / "mapped").mkdir()
    lines = [line.split() for line in (folder / "weak" / "scores").read_text().splitlines()]
    (folder / "mapped" / "scores").write_text("".join(f"{e} {t} {3 * float(s) - 2:.6f}\n" for e, t, s in lines))
    results, _ = run(folder, "weak", "mapped")
    for result in results["conditions"]:
        mapped = result["comparisons"]["mapped"]
        for which, value in (("eer_ratio", 1), ("eer_difference", 0), ("min_dcf_ratio", 1), ("min_dcf_difference", 0)):
            assert mapped[which] == {"value": value, "low": value, "high": value}
        assert mapped["eer_p_value"] == mapped["min_dcf_p_value"] == mapped["min_cllr_p_value"] == 1
        # The map makes ratios that say too much: as good at telling apart, but not the same.
        assert mapped["cllr_difference"]["value"] > 0
        assert mapped["cllr_p_value"] < 1


def test_a_difference_and_its_p_value_agree(files):
    folder, *_ = files
    results, _ = run(folder, "weak", "strong", replicates=200)
    for result in results["conditions"]:
        strong = result["comparisons"]["strong"]
        for name in ("eer", "min_dcf", "cllr", "min_cllr"):
            low, high = (strong[f"{name}_difference"][end] for end in ("low", "high"))
            assert (strong[f"{name}_p_value"] < 0.05) == (not low <= 0 <= high)
    assert results["conditions"][-1]["comparisons"]["strong"]["eer_p_value"] < 0.01


def test_trials_and_settings_stand_beside_the_results(files):
    folder, target, *_ = files
    results, _ = run(folder, "strong", seed=3)
    digest = hashlib.sha256((folder / "trials").read_bytes()).hexdigest()
    assert results["trials"]["sha256"] == digest
    assert results["trials"]["size"] == target.size
    assert results["trials"]["path"] == f"{folder.name}/trials"  # nothing of the machine
    assert results["intervals"]["seed"] == 3
    assert results["intervals"]["speakers"] == 8
    page = (folder / "out" / "results.md").read_text()
    assert digest in page
    assert str(folder.parent) not in page


def test_page_and_terminal_show_the_figures(files):
    folder, *_ = files
    results, text = run(folder, "weak", "strong")
    page = (folder / "out" / "results.md").read_text().splitlines()
    lines = itertools.takewhile(lambda line: line.startswith("|"), page[4:])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in rows}) == 1
    for row, result in zip(rows[2:], results["conditions"], strict=True):
        strong, ratio = result["systems"]["strong"], result["comparisons"]["strong"]["eer_ratio"]
        assert row[:2] == [result["name"], f"{result['targets']} / {result['nontargets']}"]
        assert row[4] == "{value:.2f} [{low:.2f}, {high:.2f}]".format(**{k: 100 * v for k, v in strong["eer"].items()})
        assert row[6] == "{value:.2f} [{low:.2f}, {high:.2f}]".format(**ratio)
        assert all(cell in text for cell in row)


def test_same_seed_same_bytes_other_seed_other_interval(files):
    folder, *_ = files
    pages = []
    for seed in (0, 0, 1):
        run(folder, "weak", seed=seed)
        pages.append((folder / "out" / "results.json").read_bytes())
    assert pages[0] == pages[1] != pages[2]


def test_without_bootstrap_there_is_null_in_place_of_an_interval(files):
    folder, *_ = files
    results, _ = run(folder, "weak", replicates=0)
    assert results["conditions"][0]["systems"]["weak"]["eer"]["low"] is None
    assert "[" not in (folder / "out" / "results.md").read_text().splitlines()[6]


def test_without_conditions_all_trials_are_one(files):
    folder, *_ = files
    results, _ = run(folder, "weak", utt2cond=None)
    assert [result["name"] for result in results["conditions"]] == ["all"]


def test_drawing_gets_the_conditions(files):
    folder, *_ = files
    seen = []

    def draw(parts, out, caption):
        seen.extend([*(part.name for part in parts), caption])
        return ["x.png"]

    results, text = run(folder, "weak", draw=draw)
    assert seen[:-1] == [*CONDITIONS, "all"]
    assert seen[-1].startswith(f"{folder.name}/trials, 576 trials (72 target / 504 nontarget), SHA-256 ")
    assert results["trials"]["sha256"].startswith(seen[-1].split()[-1])
    assert "x.png" in text


def edit(path: Path, change):
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("weak/scores", lambda lines: lines[4:], r"weak/scores on .*trials: 4 trials have no score: \(.*\), \.\.\."),
        ("trials", lambda lines: lines[2:], r"2 scores have no trial"),
        ("weak/scores", lambda lines: [*lines[:6], "s0 s0-clean-0 nan\n", *lines[6:]], "scores:7: the score 'nan'"),
        ("trials", lambda lines: [line.replace(" target", " nontarget") if "clean" in line else line for line in lines],
         "condition 'clean', scores of 'weak': no target among 192 trials"),
        ("trials", lambda lines: [" ".join(line.split()[:2]) + "\n" for line in lines], "has no key"),
        ("trials", lambda lines: [*lines, lines[0].replace(" target", " nontarget")],
         r"trials: 1 pairs are target and nontarget: \(s0, s0-clean-0\); correct the key"),
        ("utt2cond", lambda lines: lines[5:], r"no condition for 5 test utterance\(s\) of the trials"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error_and_nothing_written(files, name, change, message):
    folder, *_ = files
    edit(folder / name, change)
    with pytest.raises(DataError, match=message) as caught:
        run(folder, "weak")
    assert "\n" not in str(caught.value)
    assert not (folder / "out").exists()


def test_trials_that_stand_there_twice_count_twice_and_are_told(files, capsys):
    folder, target, _, arrays = files
    edit(folder / "trials", lambda lines: [*lines, *lines[:10]])
    results, _ = run(folder, "weak")
    assert "trials: 10 of 586 trials repeat an earlier one" in capsys.readouterr().err
    everything = results["conditions"][-1]["systems"]["weak"]
    scores, keys = (np.concatenate([x, x[:10]]) for x in (arrays["weak"], target))
    assert everything["cllr"]["value"] == pytest.approx(cllr(scores, keys))


@pytest.mark.parametrize("settings", [{"names": ["a", "b"]}, {"p_target": [1.5]}, {"replicates": -1}])
def test_impossible_settings(files, settings):
    folder, *_ = files
    with pytest.raises(ConfigError):
        run(folder, "weak", **settings)


def test_names():
    assert default_names([Path("exp/csc/scores")]) == ["csc"]
    assert default_names([Path("exp/a/x/s"), Path("exp/b/x/s")]) == ["a", "b"]
    assert default_names([Path("exp/x/s1.txt"), Path("exp/x/s2.txt")]) == ["s1.txt", "s2.txt"]
    with pytest.raises(ConfigError, match="--name"):
        default_names([Path("a/s"), Path("a/s")])
