"""Centring and length normalisation, also against Kaldi's own programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.files import load_mean
from csc_cli.backend.transforms import Centre, unit_length
from csc_cli.errors import DataError
from csc_cli.kaldi.tables import stack_vectors


def test_centre():
    x = np.random.default_rng(0).normal(3, 1, size=(50, 4)).astype(np.float32)
    centre = Centre().fit(x)
    assert centre.transform(x).mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert (centre.fit(x).mean_ == Centre().fit(x).mean_).all()  # twice is once
    assert (Centre.at(centre.mean_).transform(x) == centre.transform(x)).all()


def test_centre_before_fit_or_of_another_dimension():
    with pytest.raises(DataError, match="before fit"):
        Centre().transform(np.zeros((1, 2)))
    with pytest.raises(DataError, match="3 values and the vectors 2"):
        Centre.at(np.zeros(3)).transform(np.zeros((1, 2)))


def test_unit_length():
    x = np.random.default_rng(0).normal(size=(9, 5))
    y = unit_length(x, list("abcdefghi"))
    assert np.square(y).sum(axis=1) == pytest.approx(np.ones(9))
    assert np.linalg.matrix_rank(np.stack([x[0], y[0]])) == 1
    assert (x[0] * y[0] >= 0).all()


def test_vectors_of_length_zero_are_named():
    x = np.ones((3, 2))
    x[1] = 0
    with pytest.raises(DataError, match=r"1 vector\(s\) of length zero.*: b; "):
        unit_length(x, ["a", "b", "c"])


def test_as_kaldi_does(shared: Path):
    folder = shared / "kaldi" / "reference"
    if not folder.is_dir():
        pytest.skip("no Kaldi reference in the shared test data")
    keys, test = stack_vectors(f"scp:{folder}/test.scp")
    centred = Centre.at(load_mean(str(folder / "mean.vec"))).transform(test)
    kaldi_keys, kaldi_centred = stack_vectors(f"ark,t:{folder}/test.centred.txt")
    assert keys == kaldi_keys
    assert centred == pytest.approx(kaldi_centred, abs=1e-5)
    _, kaldi_normalised = stack_vectors(f"ark,t:{folder}/test.length_normalised.txt")
    # Kaldi's programs scale to the root of the dimension; the direction is the same.
    assert unit_length(centred, keys) * np.sqrt(test.shape[1]) == pytest.approx(kaldi_normalised, abs=1e-5)
