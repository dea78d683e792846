"""Chains of parts, kept in Kaldi's files; affine transforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from csc_cli.backend.chain import Chain, chain_of
from csc_cli.backend.lda import LDA
from csc_cli.backend.settings import ChainSettings
from csc_cli.backend.transforms import Affine, Centre, LengthNorm
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.tables import stack_vectors


@pytest.fixture
def data() -> tuple[np.ndarray, list[str]]:
    draw = np.random.default_rng(0)
    return draw.normal(3, 1, size=(60, 4)) @ draw.normal(size=(4, 4)), ["a", "b", "c"] * 20


def test_each_part_is_fitted_on_what_the_ones_before_make(data) -> None:
    x, speakers = data
    chain = Chain([Centre(), LengthNorm(), LDA(dim=2)]).fit(x, speakers)
    y = x - x.mean(axis=0)
    y *= 2 / np.linalg.norm(y, axis=1, keepdims=True)
    assert chain.transform(x) == pytest.approx(LDA(dim=2).fit(y, speakers).transform(y))
    once = chain.transform(x)
    assert (chain.fit(x, speakers).transform(x) == once).all()


def test_kept_and_loaded(data, tmp_path: Path) -> None:
    x, speakers = data
    chain = Chain([Centre(), LDA(dim=3), LengthNorm()]).fit(x, speakers)
    chain.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mean.vec", "transform.mat"]
    assert Chain.load(tmp_path).transform(x) == pytest.approx(chain.transform(x), abs=1e-5)
    names = ChainSettings(mean=f"{tmp_path}/mean.vec", transform=f"{tmp_path}/transform.mat", length_norm=True)
    assert chain_of(names).transform(x) == pytest.approx(chain.transform(x), abs=1e-5)
    (tmp_path / "transform.mat").unlink()
    assert Chain.load(tmp_path).transform(x) == pytest.approx(LengthNorm().transform(x - x.mean(axis=0)), abs=1e-9)


@pytest.mark.parametrize("parts", [[LengthNorm(), Centre()], [Centre(), Centre()], [LDA(dim=2), Affine()], [object()]])
def test_what_kaldis_files_cannot_say(parts, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be kept in Kaldi's files"):
        Chain(parts).save(tmp_path)
    with pytest.raises(DataError, match=r"neither mean.vec nor transform.mat"):
        Chain.load(tmp_path)


def test_affine_with_and_without_an_offset() -> None:
    draw = np.random.default_rng(1)
    x, matrix = draw.normal(size=(5, 3)), draw.normal(size=(2, 4))
    assert Affine.of(matrix).transform(x) == pytest.approx(x @ matrix[:, :3].T + matrix[:, 3])
    assert Affine.of(matrix[:, :3]).transform(x) == pytest.approx(x @ matrix[:, :3].T)
    with pytest.raises(DataError, match=r"4 columns, for vectors of 3 values .* not 5; "):
        Affine.of(matrix).transform(np.ones((1, 5)))
    with pytest.raises(DataError, match="Affine: transform before fit"):
        Affine().transform(x)


def test_rows_that_cannot_be_scaled_are_named() -> None:
    x = np.ones((3, 2))
    x[1] = 0
    with pytest.raises(DataError, match=r"length zero.*: row 1; "):
        LengthNorm().transform(x)
    with pytest.raises(DataError, match=r"length zero.*: b; "):
        Chain([LengthNorm()]).transform(x, keys=["a", "b", "c"])


def test_kaldis_own_transforms(reference: Path) -> None:
    keys, x = stack_vectors("scp:test.scp")
    for settings, kaldi in (
        (ChainSettings(mean="mean.vec"), "test.centred.txt"),
        (ChainSettings(mean="mean.vec", length_norm=True), "test.length_normalised.txt"),
        (ChainSettings(mean="mean.vec", transform="lda.mat"), "test.lda16.txt"),
    ):
        theirs = stack_vectors(f"ark,t:{kaldi}")
        assert theirs[0] == keys
        assert chain_of(settings).transform(x) == pytest.approx(theirs[1], abs=2e-5)
