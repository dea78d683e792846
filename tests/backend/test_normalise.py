"""Normalised scores against the textbook's formulas, score by score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from csc_cli.backend import normalise
from csc_cli.backend.backends import Backend, Cosine, PldaBackend
from csc_cli.backend.forms import PairForm
from csc_cli.backend.normalise import normaliser
from csc_cli.backend.plda import Plda
from csc_cli.errors import ConfigError, DataError

DIM, E, V, C = 5, 4, 6, 40


def sides(backend: Backend) -> tuple[PairForm, PairForm, PairForm]:
    """Forms of trials, of enrollments with the cohort, of the cohort with tests; enrollments of 1 to 4 utterances."""
    draw = np.random.default_rng(0)
    counts, ones = np.arange(1, E + 1), np.ones(C, int)
    names = [str(i) for i in range(C)]
    enroll = backend.enroll(draw.normal(size=(E, DIM)), counts, names[:E])
    test = backend.test(draw.normal(size=(V, DIM)), names[:V])
    cohort = draw.normal(size=(C, DIM))
    return (
        backend.form(enroll, counts, test),
        backend.form(enroll, counts, backend.test(cohort, names)),
        backend.form(backend.enroll(cohort, ones, names), ones, test),
    )


def plda() -> PldaBackend:
    draw = np.random.default_rng(1)
    return PldaBackend(Plda.of(draw.normal(size=DIM), draw.normal(size=(DIM, DIM)), draw.random(DIM) * 3))


def expected(norm: str, trials: np.ndarray, of_enroll: np.ndarray, of_test: np.ndarray, top: int) -> np.ndarray:
    """trials (E, V), cohort scores (E, C) and (C, V)."""
    normalised = np.empty_like(trials)
    for e, v in np.ndindex(trials.shape):
        left, right = of_enroll[e], of_test[:, v]
        if norm == "as":
            left, right = sorted(left)[-top:], sorted(right)[-top:]
        z = (trials[e, v] - np.mean(left)) / np.std(left)
        t = (trials[e, v] - np.mean(right)) / np.std(right)
        normalised[e, v] = {"z": z, "t": t}.get(norm, (z + t) / 2)
    return normalised


@pytest.mark.parametrize("backend", [Cosine, plda])
@pytest.mark.parametrize(("norm", "top"), [("z", 5), ("t", 5), ("s", 5), ("as", 2), ("as", 7), ("as", C)])
@pytest.mark.parametrize("block", [1, 100, 1 << 22])
def test_by_the_formula(backend: Callable[[], Backend], norm, top: int, block: int, monkeypatch) -> None:
    monkeypatch.setattr(normalise, "BLOCK_SCORES", block)
    trials, of_enroll, of_test = sides(backend())
    made = normaliser(norm, lambda: of_enroll, lambda: of_test, list("abcd"), list("uvwxyz"), top_n=top, nj=2)
    wanted = expected(norm, trials.of_all(), of_enroll.of_all(), of_test.of_all(), top)
    assert made.of_all(trials.of_all(), slice(None)) == pytest.approx(wanted, rel=1e-4, abs=2e-5)
    e, v = np.divmod(np.arange(E * V)[::-1], V)
    assert made.of_pairs(trials.of_pairs(e, v), e, v) == pytest.approx(wanted[e, v], rel=1e-4, abs=2e-5)


def test_scale_and_offset_of_all_scores_change_nothing() -> None:
    trials, of_enroll, of_test = sides(Cosine())

    def scaled(form: PairForm) -> PairForm:
        return PairForm(3 * form.left, form.right, form.constant + 7, form.curvature, form.group)

    results = []
    for change in (lambda form: form, scaled):
        forms = [change(form) for form in (trials, of_enroll, of_test)]
        made = normaliser("as", lambda f=forms: f[1], lambda f=forms: f[2], list("abcd"), list("uvwxyz"), top_n=9)
        results.append(made.of_all(forms[0].of_all(), slice(None)))
    assert results[0] == pytest.approx(results[1], abs=1e-4)


def test_what_is_no_cohort() -> None:
    _, of_enroll, of_test = sides(Cosine())

    def make(norm, form: PairForm = of_enroll, top: int = 3):
        return normaliser(norm, lambda: form, lambda: of_test, list("abcd"), list("uvwxyz"), top_n=top)

    with pytest.raises(ConfigError, match="--top-n 41: the cohort has 40 vectors only"):
        make("as", top=41)
    with pytest.raises(ConfigError, match="--top-n 1: must be at least 2"):
        make("as", top=1)
    flat = PairForm.product(of_enroll.left, np.tile(of_enroll.right[:1], (C, 1)))
    with pytest.raises(DataError, match=r"with 4 vector\(s\) do not vary: a, b, c, "):
        make("z", flat)
    with pytest.raises(DataError, match="do not vary"):
        make("as", flat)
    with pytest.raises(DataError, match="a cohort of one vector"):
        make("z", PairForm.product(of_enroll.left, of_enroll.right[:1]))
    infinite = PairForm.product(np.full((4, DIM), 3e38), np.full((C, DIM), 3e38))
    with np.errstate(all="ignore"), pytest.raises(DataError, match="do not vary"):
        make("as", infinite)
