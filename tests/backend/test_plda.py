"""PLDA against Kaldi's own programs, against the joint normal density, and what it must recover and keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from csc_cli.backend.adapt import AdaptConfig, adapt, mean_and_covariance
from csc_cli.backend.chain import Chain
from csc_cli.backend.diagonal import diagonalise
from csc_cli.backend.files import load_mean
from csc_cli.backend.model_files import read_matrix, read_plda
from csc_cli.backend.plda import Plda
from csc_cli.backend.transforms import Affine, Centre, LengthNorm
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.tables import read_keyed, stack_vectors

from .conftest import covariance, two_covariance

PARTS = ("mean_", "within_", "between_", "psi_")


def same_model(plda: Plda, other: Plda, tolerance: float = 1e-6) -> None:
    for part in PARTS:
        assert getattr(plda, part) == pytest.approx(getattr(other, part), abs=tolerance), part


def kaldi_chain(*, lda: bool) -> Chain:
    """As in the reference's README; the LDA there is Kaldi's own."""
    parts = [Centre.at(load_mean("mean.vec")), LengthNorm()]
    return Chain([parts[0], Affine.of(read_matrix("lda.mat")), parts[1]] if lda else parts)


@pytest.mark.parametrize(("lda", "name"), [(False, "plda"), (True, "plda.lda16")])
def test_training_as_kaldi(reference: Path, lda: bool, name: str) -> None:
    keys, x = stack_vectors("scp:train.scp")
    speakers = [read_keyed("train.utt2spk")[key][0] for key in keys]
    plda = Plda().fit(kaldi_chain(lda=lda).transform(x), speakers)
    same_model(plda, read_plda(name))


def test_smoothing_as_kaldi(reference: Path) -> None:
    smoothed, kaldi = read_plda("plda").smoothed(0.1), read_plda("plda.smoothed.txt")
    same_model(smoothed, kaldi, 2e-6)  # written with seven digits
    assert smoothed.transform_ == pytest.approx(kaldi.transform_, abs=2e-6)


def test_adaptation_as_kaldi(reference: Path) -> None:
    _, x = stack_vectors("scp:adapt.scp")
    x = kaldi_chain(lda=False).transform(x)
    mean, covariance_, count = mean_and_covariance([x[:100], x[100:]])
    assert count == len(x)
    adapted = adapt(read_plda("plda"), mean, covariance_, AdaptConfig(0.75, 0.25))
    same_model(adapted, read_plda("plda.adapted"))


def model(dim: int = 4, seed: int = 0) -> Plda:
    draw = np.random.default_rng(seed)
    return Plda.of_covariances(draw.normal(size=dim), covariance(draw, dim), covariance(draw, dim, 2))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_scores_are_ratios_of_joint_densities(count: int) -> None:
    """With the enrollment utterances themselves, not their mean: of which the mean is all that counts."""
    plda, draw = model(), np.random.default_rng(1)
    within, between, dim = plda.within_, plda.between_, plda.dim

    def joint(x: np.ndarray) -> float:
        """log p of utterances (n, D) of one speaker: blocks B, and W + B on the diagonal."""
        n = len(x)
        full = np.kron(np.ones((n, n)), between) + np.kron(np.eye(n), within)
        return float(multivariate_normal(np.tile(plda.mean_, n), full).logpdf(x.ravel()))

    enroll, test = draw.normal(size=(3, count, dim)) * 2, draw.normal(size=(4, dim)) * 2
    counts = np.full(3, count)
    latent = plda.transform(enroll.mean(axis=1), counts, length="none")
    form = plda.pair_form(latent, counts, plda.transform(test, length="none"))
    scores = form.of_all()
    for e, v in np.ndindex(3, 4):
        ratio = joint(np.vstack([enroll[e], test[v]])) - joint(enroll[e]) - joint(test[v][None])
        assert scores[e, v] == pytest.approx(ratio, abs=1e-9)


def test_one_utterance_against_another_is_symmetric() -> None:
    plda, x = model(), np.random.default_rng(1).normal(size=(6, 4))
    for length in ("expected", "simple", "none"):
        latent = plda.transform(x, length=length)
        scores = plda.pair_form(latent, np.ones(6, int), latent).of_all()
        assert scores == pytest.approx(scores.T, abs=1e-12)


def test_an_invertible_map_of_all_vectors_changes_no_score() -> None:
    draw = np.random.default_rng(2)
    counts = draw.integers(1, 8, 80)
    x, speakers = two_covariance(draw, covariance(draw, 4), covariance(draw, 4, 2), draw.normal(size=4), counts)
    mapped = x @ draw.normal(size=(4, 4)).T + draw.normal(size=4)

    def scores(x: np.ndarray) -> np.ndarray:
        # From W = B = I the path depends on the axes; at its end the maximum of the likelihood does not.
        plda = Plda(iterations=3000).fit(x, speakers)
        latent = plda.transform(x[:9])
        return plda.pair_form(latent, np.ones(9, int), latent).of_all()

    assert scores(mapped) == pytest.approx(scores(x), abs=1e-4)


def test_the_expected_length() -> None:
    """u' (diag(psi) + I/n)^-1 u = D, and the direction stays."""
    plda, x = model(), np.random.default_rng(3).normal(size=(5, 4))
    n = np.array([1, 2, 3, 4, 50])
    u, raw = plda.transform(x, n), plda.transform(x, length="none")
    assert (np.square(u) / (plda.psi_ + 1 / n[:, None])).sum(axis=1) == pytest.approx(np.full(5, 4.0))
    assert (u / raw).std(axis=1) == pytest.approx(np.zeros(5), abs=1e-9) and (u / raw > 0).all()
    assert np.square(plda.transform(x, length="simple")).sum(axis=1) == pytest.approx(np.full(5, 4.0))


def test_recovers_drawn_covariances() -> None:
    draw = np.random.default_rng(4)
    within, between, mean = covariance(draw, 3), covariance(draw, 3, 3), np.array([5.0, -3, 100])
    x, speakers = two_covariance(draw, within, between, mean, draw.integers(2, 12, 4000))
    plda = Plda(iterations=30).fit(x, speakers)
    assert plda.mean_ == pytest.approx(mean, abs=0.12)  # 4,000 speakers: standard error 0.03
    # The relative error of a variance from n draws is sqrt(2 / n): 4,000 speakers, 24,000 utterances.
    scale = np.sqrt(np.outer(np.diag(between), np.diag(between)))
    assert np.abs(plda.between_ - between).max() < 4 * np.sqrt(2 / 4000) * scale.max()
    assert np.abs(plda.within_ - within).max() < 4 * np.sqrt(2 / 24000) * np.diag(within).max()


def test_each_iteration_makes_the_data_more_likely() -> None:
    draw = np.random.default_rng(5)
    x, speakers = two_covariance(
        draw, covariance(draw, 3), covariance(draw, 3, 2), np.zeros(3), draw.integers(1, 5, 30)
    )

    def likelihood(plda: Plda) -> float:
        total = 0.0
        for k in np.unique(speakers):
            own = x[speakers == k] - plda.mean_
            n = len(own)
            full = np.kron(np.ones((n, n)), plda.between_) + np.kron(np.eye(n), plda.within_)
            total += multivariate_normal(np.zeros(3 * n), full).logpdf(own.ravel())
        return total

    path = [likelihood(Plda(iterations=i).fit(x, speakers)) for i in (1, 2, 3, 5, 8, 20)]
    assert all(np.diff(path) > 0)


def test_order_of_vectors_and_names_of_speakers_change_nothing() -> None:
    draw = np.random.default_rng(6)
    x, speakers = two_covariance(draw, covariance(draw, 3), covariance(draw, 3), np.ones(3), draw.integers(1, 5, 40))
    order = draw.permutation(len(x))
    names = np.array([f"s{(k * 7) % 40}" for k in speakers])
    same_model(Plda().fit(x[order], names[order]), Plda().fit(x, speakers), 1e-10)


def test_a_speaker_with_one_utterance_counts() -> None:
    draw = np.random.default_rng(7)
    counts = np.array([1] * 200 + [3] * 200)
    x, speakers = two_covariance(draw, np.eye(2), 4 * np.eye(2), np.zeros(2), counts)
    assert np.diag(Plda().fit(x, speakers).between_) == pytest.approx([4, 4], rel=0.25)
    assert np.isfinite(Plda().fit(x, speakers).transform_).all()


@pytest.mark.parametrize(
    ("speakers", "message"),
    [
        ([0] * 12, "one speaker; PLDA needs several"),
        (range(12), "none of 12 speakers has two utterances"),
        ([0, 1], r"2 speakers for vectors of shape \(12, 3\)"),
    ],
)
def test_what_cannot_be_learned(speakers, message: str) -> None:
    x = np.random.default_rng(8).normal(size=(12, 3))
    with pytest.raises(DataError, match=message):
        Plda().fit(x, list(speakers))


def test_a_singular_covariance_is_refused() -> None:
    x = np.random.default_rng(9).normal(size=(30, 3))
    flat = np.column_stack([x, x[:, 0] - x[:, 1]])
    with pytest.raises(DataError, match="30 vectors of 4 dimensions vary in 3 directions only"):
        Plda().fit(flat, [0, 1, 2] * 10)
    with pytest.raises(DataError, match="3 vectors of 3 dimensions vary in 2 directions"):
        Plda().fit(x[:3], [0, 0, 1])
    with pytest.raises(DataError, match="within-speaker covariance is singular"):
        diagonalise(np.diag([1.0, 0.0]), np.eye(2))
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        Plda().fit(x, [0, 1, 2] * 10)


def test_wrong_use() -> None:
    plda = model()
    with pytest.raises(DataError, match="4 dimensions and the vectors 3"):
        plda.transform(np.ones((2, 3)))
    with pytest.raises(DataError, match=r"1 vector\(s\) are the PLDA's mean.*: b; "):
        plda.transform(np.stack([plda.mean_ + 1, plda.mean_]), keys=["a", "b"])
    with pytest.raises(DataError, match="before fit"):
        Plda().transform(np.ones((2, 3)))
    for smoothing in (-0.1, 1.1):
        with pytest.raises(ConfigError, match="between 0 and 1"):
            plda.smoothed(smoothing)
    with pytest.raises(ConfigError, match="--num-em-iters 0"):
        Plda(iterations=0)
    with pytest.raises(ConfigError, match="--within-covar-scale -1"):
        AdaptConfig(within_covar_scale=-1)
    with pytest.raises(DataError, match="4 dimensions and the vectors 3"):
        adapt(plda, np.zeros(3), np.eye(3))


def test_impossible_parameters() -> None:
    for mean, transform, psi, message in (
        (np.zeros(2), np.eye(3), np.ones(2), "a mean of 2, a transform of 3 x 3 and a psi of 2 are no PLDA"),
        (np.zeros(2), np.eye(2), np.array([1, -1]), "variance between speakers of -1"),
        (np.array([0, np.inf]), np.eye(2), np.ones(2), "not finite"),
        (np.zeros(2), np.ones((2, 2)), np.ones(2), "no inverse"),
        (np.zeros(0), np.zeros((0, 0)), np.zeros(0), "are no PLDA"),
    ):
        with pytest.raises(DataError, match=message):
            Plda.of(mean, transform, psi)


def test_adaptation_to_its_own_domain_changes_nothing() -> None:
    plda = model()
    same_model(adapt(plda, plda.mean_, plda.within_ + plda.between_), plda, 1e-9)


def test_adaptation_shares_out_the_excess() -> None:
    """Twice the total covariance in all directions: the added W + B is given to the two by their scales."""
    plda = model()
    total = plda.within_ + plda.between_
    adapted = adapt(plda, plda.mean_, 2 * total, AdaptConfig(0.3, 0.7))
    assert adapted.within_ == pytest.approx(plda.within_ + 0.3 * total)
    assert adapted.between_ == pytest.approx(plda.between_ + 0.7 * total)
    shift = np.full(4, 3.0)
    moved = adapt(plda, plda.mean_ + shift, total, AdaptConfig(1.0, 0.0, 2.0))
    assert moved.mean_ == pytest.approx(plda.mean_ + shift)
    assert moved.within_ - plda.within_ == pytest.approx(2 * np.outer(shift, shift), abs=1e-9)
