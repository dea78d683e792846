"""Calibrations: what they learn, what they do to arrays, and their file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csc_cli.backend.calibrate import Calibration
from csc_cli.backend.calibration_file import load, load_calibration, save
from csc_cli.errors import ConfigError, DataError
from csc_cli.metrics.calibration import cllr, min_cllr

VALUE = {
    "format": "csc calibration 1",
    "prior": 0.2,
    "systems": [{"name": "csc", "weight": 2.5}, {"name": "ecapa", "weight": -1}],
    "quality": [{"name": "test_duration", "weight": 0.25}],
    "offset": -0.1,
    "speakers": ["anna", "bert"],
    "trained_on": {"trials": "trials"},
}


def two_systems(seed=0, size=3000):
    rng = np.random.default_rng(seed)
    target = rng.random(size) < 0.2
    return {name: rng.normal(size=size) + d * target for name, d in (("a", 1.0), ("b", 2.0))}, target


def test_a_calibration_of_one_system_costs_little_more_than_the_best_rising_map():
    scores, target = two_systems(size=20_000)
    raw = 0.02 * scores["b"] + 0.3
    llr = Calibration().fit({"b": raw}, target).apply(raw)
    assert cllr(raw, target) > 0.9
    assert min_cllr(raw, target) <= cllr(llr, target) < min_cllr(raw, target) + 0.01


def test_affine_maps_of_the_scores_leave_the_ratios():
    scores, target = two_systems()
    one = Calibration(prior=0.1).fit({"a": scores["a"]}, target)
    other = Calibration(prior=0.1).fit({"a": 40 * scores["a"] - 7}, target)
    assert other.apply(40 * scores["a"] - 7) == pytest.approx(one.apply(scores["a"]), abs=1e-8)


def test_a_fusion_is_better_than_each_of_its_systems():
    scores, target = two_systems()
    fused = Calibration().fit(scores, target)
    both = cllr(fused.apply(*scores.values()), target)
    for name, score in scores.items():
        assert both < cllr(Calibration().fit({name: score}, target).apply(score), target)
    # Independent normal scores of unit variance: the best weights are the distances of the means.
    assert fused.weights_["b"] / fused.weights_["a"] == pytest.approx(2, rel=0.15)


def test_quality_is_a_term_of_its_own():
    rng = np.random.default_rng(0)
    target = rng.random(20_000) < 0.5
    quality = rng.normal(size=target.size)
    llr = 2 * rng.normal(size=target.size) + np.where(target, 2, -2)
    fitted = Calibration().fit({"s": llr - 1.5 * quality}, target, {"q": quality})
    assert fitted.weights_["s"] == pytest.approx(1, abs=0.05)
    assert fitted.quality_weights_["q"] == pytest.approx(1.5, abs=0.08)
    assert fitted.apply(llr - 1.5 * quality, quality={"q": quality}) == pytest.approx(llr, abs=0.5)


def test_arrays_of_any_shape_and_absent_streams():
    calibration = Calibration.of({"s": 2.0}, {}, -1.0, 0.5)
    scores = np.array([[0.5, -np.inf], [1.0, 0.0]])
    assert calibration.apply(scores).tolist() == [[0.0, -np.inf], [1.0, -1.0]]
    assert calibration.apply(0.5).shape == ()
    with_quality = Calibration.of({"s": 2.0}, {"q": 1.0}, -1.0, 0.5)
    quality = {"q": np.array([[10.0], [20.0]])}  # one value for all streams of a trial
    assert with_quality.apply(scores, quality=quality).tolist() == [[10.0, -np.inf], [21.0, 19.0]]


def test_what_does_not_fit():
    scores, target = two_systems()
    with pytest.raises(DataError, match="before fit"):
        Calibration().apply(scores["a"])
    with pytest.raises(DataError, match=r"no higher for targets than for nontargets \(slope -"):
        Calibration().fit({"a": -scores["a"]}, target)
    fitted = Calibration.of({"a": 1.0, "b": 1.0}, {"q": 1.0}, 0.0, 0.5)
    with pytest.raises(DataError, match=r"1 score\(s\) for a calibration of 2: a, b"):
        fitted.apply(scores["a"])
    with pytest.raises(DataError, match="takes q as well"):
        fitted.apply(*scores.values())
    with pytest.raises(DataError, match="trained without r"):
        fitted.apply(*scores.values(), quality={"q": 0.0, "r": 1.0})
    with pytest.raises(ConfigError, match="--prior"):
        Calibration(prior=1.0)


def test_a_file_is_read_back_equal(tmp_path: Path):
    scores, target = two_systems()
    quality = {"q": np.random.default_rng(1).normal(size=target.size)}
    fitted = Calibration(prior=0.07).fit(scores, target, quality)
    save(tmp_path / "c.json", fitted, {"zoë", "anna"}, {"trials": "x"})
    again = load(tmp_path / "c.json")
    assert again.speakers == {"anna", "zoë"}
    assert again.calibration.prior == 0.07
    applied = again.calibration.apply(*scores.values(), quality=quality)
    assert (applied == fitted.apply(*scores.values(), quality=quality)).all()  # to the last bit
    assert list(again.calibration.weights_) == ["a", "b"]


def test_the_page_on_formats_is_right(tmp_path: Path):
    """The example of docs/formats.md loads, and has all the keys."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    start = page.index('{"format": "csc calibration 1"')
    (tmp_path / "c.json").write_text(page[start : page.index("```", start)])
    assert load(tmp_path / "c.json").calibration.weights_
    assert set(json.loads((tmp_path / "c.json").read_text())) == set(VALUE)


def changed(**changes):
    return json.dumps({**VALUE, **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.json:1: is not JSON"),
        ('{\n"format": \n', "c.json:3: is not JSON"),
        ("[" * 100_000, "is not a calibration"),
        ("[]", "is not a calibration"),
        ("{}", "no 'format' of 'csc calibration 1'"),
        (changed(format="csc calibration 2"), "is not a calibration"),
        (changed(ofset=1), "unknown key 'ofset'; did you mean 'offset'"),
        (json.dumps({k: v for k, v in VALUE.items() if k != "prior"}), "key 'prior' is missing"),
        (changed()[:-1] + ', "prior": 0.5}', "key 'prior' is given twice"),
        (changed(offset="1"), "'offset' must be a finite number"),
        (changed(offset=float("nan")), "'offset' must be a finite number"),
        (changed(offset=True), "'offset' must be a finite number"),
        (changed(prior=1.0), "must lie between 0 and 1"),
        (changed(systems=[]), "'systems' is empty"),
        (changed(systems={}), "'systems' must be a list"),
        (changed(systems=[{"name": "a"}]), "each of 'systems' must be"),
        (changed(systems=[{"name": "a", "weight": 1}] * 2), "'a' stands twice in 'systems'"),
        (changed(quality=[{"name": "q", "weight": None}]), "'quality: weight' must be a finite number"),
        (changed(speakers="anna"), "'speakers' must be a list of texts"),
        (changed(trained_on=None), "'trained_on' must be an object"),
        (changed(trained_on={"enrollments": "anna"}), "'enrollments' of 'trained_on' must be a list of texts"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, message: str):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "c.json")
    assert str(caught.value).startswith(f"{tmp_path}/c.json:")
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path):
    with pytest.raises(DataError, match="cannot be read"):
        load(tmp_path / "nothing")
    (tmp_path / "c.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="is not a calibration"):
        load(tmp_path / "c.json")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), byte=st.integers(0, 255), keep=st.booleans())
def test_damage_anywhere_is_an_error_or_harmless(tmp_path: Path, cut: int, byte: int, keep: bool):
    data = bytearray(json.dumps(VALUE).encode())
    cut = min(cut, len(data) - 1)
    data[cut] = byte
    (tmp_path / "c.json").write_bytes(bytes(data if keep else data[:cut]))
    try:
        calibration = load_calibration(tmp_path / "c.json")
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(calibration.offset_)
