"""Trials and scores: forms, errors with their line, and the join against a dictionary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi import pairs
from csc_cli.kaldi import trials as module
from csc_cli.kaldi.trials import Scores, Trials, join, read_scores, read_trials, write_scores, write_trials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trials"


def test_three_columns_and_two(path: Path) -> None:
    path.write_text("a x target\nb x nontarget\na y nontarget\n")
    read = read_trials(path)
    assert (list(read.enroll), list(read.test)) == (["a", "b", "a"], ["x", "x", "y"])
    assert read.target is not None and read.target.tolist() == [True, False, False]
    assert (list(read.enroll_ids), read.test_index.tolist(), len(read)) == (["a", "b"], [0, 0, 1], 3)
    path.write_text("a x\nb x")
    assert read_trials(path).target is None


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_blocks_change_nothing(path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    enroll = [f"spé{i}" for i in draw.integers(0, 7, 500)]
    test = [f"utt{i}" for i in draw.integers(0, 99, 500)]
    made = Trials.of(enroll, test, draw.random(500) < 0.3)
    score = draw.normal(size=500)
    monkeypatch.setattr(pairs, "BLOCK_BYTES", block)
    monkeypatch.setattr(module, "BLOCK_PAIRS", block)
    write_trials(path, made)
    read = read_trials(path)
    assert (list(read.enroll), list(read.test)) == (enroll, test)
    assert np.array_equal(read.target, made.target)  # type: ignore[arg-type]
    write_scores(path, made, score)
    scores = read_scores(path)
    assert (list(scores.enroll), list(scores.test)) == (enroll, test)
    np.testing.assert_allclose(scores.score, score, rtol=1e-8)
    write_trials(path, Trials.of(enroll, test))
    assert path.read_text() == "".join(f"{a} {b}\n" for a, b in zip(enroll, test, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "trials: is empty"),
        (b"a x target\na y impostor\n", "trials:2: the key 'impostor' is neither"),
        (b"a x target\na y\n", "trials:2: 2 fields, not 3"),
        (b"a x\na y target\n", "trials:2: 3 fields, not 2"),
        (b"a x target\n\nb x target\n", "trials:2: 0 fields, not 3"),
        (b"a\n", "trials:1: 1 fields, not 3"),
        (b"a \xff target\n", "is not UTF-8 text"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_bad_trials_have_their_line(
    path: Path, text: bytes, message: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "BLOCK_BYTES", block)
    path.write_bytes(text)
    with pytest.raises(DataError) as error:
        read_trials(path)
    assert message in str(error.value) and ";" in str(error.value)


def test_voxcelebs_lists(path: Path) -> None:
    path.write_text("1 id1/a/1.wav id1/b/1.wav\n0 id1/a/1.wav id2/c/1.wav\n")
    read = read_trials(path, "voxceleb")
    assert (list(read.enroll), list(read.test)) == (["id1/a/1.wav"] * 2, ["id1/b/1.wav", "id2/c/1.wav"])
    assert read.target is not None and read.target.tolist() == [True, False]
    path.write_text("1 a b\ntarget a b\n")
    with pytest.raises(DataError, match="trials:2: the key 'target' is neither '1' nor '0'"):
        read_trials(path, "voxceleb")


def test_a_file_of_one_endless_line_is_refused(path: Path) -> None:
    path.write_bytes(b"a" * (3 << 20))
    with pytest.raises(DataError, match="a line of more than 1048576 bytes"):
        read_trials(path)


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "x"])
def test_bad_scores_have_their_line(path: Path, bad: str) -> None:
    path.write_text(f"a x 1.5\nb x {bad}\n")
    with pytest.raises(DataError, match=f"trials:2: the score '{bad}' is not a finite number"):
        read_scores(path)
    with pytest.raises(DataError, match=r"the score of \(b, x\) is"):
        write_scores(path, Trials.of("ab", "xx"), np.array([0.0, float(bad) if bad != "x" else np.nan]))
    assert path.read_text().startswith("a x 1.5")


def test_kaldis_scores_join_its_trials(shared: Path) -> None:
    folder = shared / "kaldi" / "reference"
    read = read_trials(folder / "trials")
    rows = [line.split() for line in (folder / "scores.cosine").read_text().splitlines()]
    known = {(a, b): float(score) for a, b, score in rows}
    joined = join(read, read_scores(folder / "scores.cosine"))
    assert joined.tolist() == [known[pair] for pair in zip(read.enroll, read.test, strict=True)]


def test_join_is_by_name_and_in_the_order_of_the_trials() -> None:
    draw = np.random.default_rng(1)
    pairs = [(f"e{i}", f"t{j}") for i in range(9) for j in range(11)]
    known = {pair: float(draw.normal()) for pair in pairs}
    first, second = ([pairs[i] for i in draw.permutation(len(pairs))] for _ in range(2))
    first += first[:5]  # a trial may be listed twice
    second += second[:7]  # and a score, if it is the same
    scores = Scores.of(*zip(*second, strict=True), [known[pair] for pair in second])
    assert join(Trials.of(*zip(*first, strict=True)), scores).tolist() == [known[pair] for pair in first]


def test_a_join_that_fails_says_how_many_and_which() -> None:
    trials = Trials.of("aabbc", "xyxyx")
    with pytest.raises(DataError, match=r"4 trials have no score: \(a, y\), \(b, x\), \(b, y\), \.\.\.; "):
        join(trials, Scores.of("a", "x", [1]))
    with pytest.raises(DataError, match=r"1 scores have no trial: \(c, y\); "):
        join(trials, Scores.of("aabbcc", "xyxyxy", np.arange(6)))
    with pytest.raises(DataError, match=r"1 pairs have two unlike scores: \(a, x\)"):
        join(trials, Scores.of("aabbca", "xyxyxx", np.arange(6)))
    with pytest.raises(DataError, match="none of 5 trials has a score"):
        join(trials, Scores.of([], [], []))
