"""LDA against Kaldi's own program, scikit-learn's eigenvalue solution, and its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.files import load_mean
from csc_cli.backend.lda import LDA
from csc_cli.backend.model_files import read_matrix
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.tables import read_keyed, stack_vectors

from .conftest import covariance, two_covariance


def test_as_kaldi(reference: Path) -> None:
    keys, x = stack_vectors("scp:train.scp")
    speakers = [read_keyed("train.utt2spk")[key][0] for key in keys]
    lda = LDA(dim=16, total_covariance_factor=0.1).fit(x - load_mean("mean.vec"), speakers)
    kaldi = read_matrix("lda.mat")
    signs = np.sign(np.sum(lda.matrix_ * kaldi, axis=1))
    assert lda.matrix_ * signs[:, None] == pytest.approx(kaldi, abs=1e-5)
    keys, test = stack_vectors("scp:test.scp")
    theirs = stack_vectors("ark,t:test.lda16.txt")[1]
    assert lda.transform(test - load_mean("mean.vec")) * signs == pytest.approx(theirs, abs=1e-4)


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return two_covariance(draw, covariance(draw, 5), covariance(draw, 5), draw.normal(size=5), draw.integers(1, 9, 60))


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0])
def test_what_it_makes_of_the_covariances(data, factor: float) -> None:
    x, speakers = data
    y = LDA(dim=4, total_covariance_factor=factor).fit(x, speakers).transform(x)
    assert y.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    means = np.stack([y[speakers == k].mean(axis=0) for k in speakers])
    within, between = (y - means).T @ (y - means) / len(y), means.T @ means / len(y)
    assert within + factor * between == pytest.approx(np.eye(4), abs=1e-9)
    assert between == pytest.approx(np.diag(np.diag(between)), abs=1e-9)
    assert (np.diff(np.diag(between)) < 0).all()


def test_the_directions_are_scikit_learns(data) -> None:
    discriminant = pytest.importorskip("sklearn.discriminant_analysis")
    x, speakers = data
    more = np.bincount(speakers)[speakers] > 1  # it warns of speakers of one utterance
    x, speakers = x[more], speakers[more]
    theirs = discriminant.LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(x, speakers).scalings_[:, :3].T
    ours = LDA(dim=3).fit(x, speakers).matrix_[:, :-1]
    cosines = np.sum(ours * theirs, axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert np.abs(cosines) == pytest.approx(np.ones(3), abs=1e-9)


def test_the_floor(data) -> None:
    """A direction in which speakers do not vary at all would be stretched without end; the floor limits it."""
    x, speakers = data
    means = np.stack([x[speakers == k].mean(axis=0) for k in speakers])
    x[:, 0] = means[:, 0]
    for floor in (1e-2, 1e-4):
        lda = LDA(dim=5, covariance_floor=floor).fit(x, speakers)
        within = (x - means).T @ (x - means) / len(x)
        largest = np.linalg.eigvalsh(within)[-1]
        stretched = np.linalg.norm(lda.matrix_[:, :-1], ord=2) ** 2
        assert stretched == pytest.approx(1 / (floor * largest), rel=1e-6)


def test_signs_do_not_depend_on_the_machine(data) -> None:
    x, speakers = data
    matrix = LDA(dim=5).fit(x, speakers).matrix_[:, :-1]
    assert (matrix[np.arange(5), np.abs(matrix).argmax(axis=1)] > 0).all()


def test_what_cannot_be_learned(data) -> None:
    x, speakers = data
    with pytest.raises(DataError, match="--dim 6: the vectors have 5 dimensions"):
        LDA(dim=6).fit(x, speakers)
    with pytest.raises(DataError, match="one speaker; LDA needs several"):
        LDA(dim=2).fit(x, np.zeros(len(x)))
    with pytest.raises(DataError, match="none of 4 speakers has two utterances"):
        LDA(dim=2).fit(x[:4], range(4))
    with pytest.raises(DataError, match="5 vectors of 5 dimensions vary in 4 directions"):
        LDA(dim=2).fit(x[:5], [0, 0, 1, 1, 1])
    with pytest.raises(DataError, match="before fit"):
        LDA(dim=2).transform(x)
    with pytest.raises(DataError, match="give the speaker of each"):
        LDA(dim=2).fit(x)
    for settings in ({"dim": 0}, {"total_covariance_factor": 1.1}, {"covariance_floor": -1.0}):
        with pytest.raises(ConfigError, match=f"--{next(iter(settings)).replace('_', '-')}"):
            LDA(**settings)
