"""Parts of a back-end in a row, fitted once and used for both sides of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.files import load_mean, mean_of
from csc_cli.backend.model_files import read_matrix, write_array_file
from csc_cli.backend.settings import ChainSettings
from csc_cli.backend.transforms import Affine, Centre, LengthNorm, Transform
from csc_cli.errors import ConfigError, DataError

Floats = NDArray[np.float64]


class Chain:
    """Transforms, one after the other.

    >>> import numpy as np
    >>> x, speakers = np.random.default_rng(0).normal(size=(60, 4)), ["a", "b", "c"] * 20
    >>> from csc_cli.backend.lda import LDA
    >>> chain = Chain([Centre(), LDA(dim=2), LengthNorm(scaleup=False)]).fit(x, speakers)
    >>> np.linalg.norm(chain.transform(x), axis=1).round(6).tolist() == [1.0] * 60
    True
    """

    def __init__(self, parts: Sequence[Transform]) -> None:
        self.parts = list(parts)

    def fit(self, x: NDArray[np.floating], speakers: Any = None) -> Chain:
        """Fit each part on what the ones before it make of x (N, D); `speakers` (N,)."""
        for part in self.parts:
            x = part.fit(x, speakers).transform(x)
        return self

    def transform(self, x: NDArray[np.floating], *, keys: Sequence[str] | None = None) -> Floats:
        """x (N, D) -> (N, d); errors as the parts'."""
        for part in self.parts:
            x = part.transform(x, keys=keys)
        return np.asarray(x, np.float64)

    def save(self, folder: str | Path) -> None:
        """Write `mean.vec` (text) and `transform.mat` (binary), as Kaldi's recipes have them.

        Raises:
            ConfigError: the parts are not a centre, a transform and a length normalisation, in that order, each once
                at most: Kaldi's files do not say more.
        """
        _check_order(self.parts)
        for part in self.parts:
            if isinstance(part, Centre):
                write_array_file(f"{folder}/mean.vec", part.mean_, binary=False)
            elif isinstance(part, Affine):
                write_array_file(f"{folder}/transform.mat", part.matrix_.astype(np.float32))

    @classmethod
    def load(cls, folder: str | Path) -> Chain:
        """What `mean.vec` and `transform.mat` of a folder say, where they are; then length normalisation.

        Raises:
            DataError: the folder has neither, or one is damaged.
        """
        folder = Path(folder)
        parts: list[Transform] = []
        if (folder / "mean.vec").exists():
            parts.append(Centre.at(load_mean(str(folder / "mean.vec"))))
        if (folder / "transform.mat").exists():
            parts.append(Affine.of(read_matrix(str(folder / "transform.mat"))))
        if not parts:
            raise DataError(f"{folder}: has neither mean.vec nor transform.mat; is it the right folder?")
        return cls([*parts, LengthNorm()])


def chain_of(settings: ChainSettings) -> Chain:
    """What `settings` ask to be done to vectors.

    Raises:
        DataError: a file is damaged, or holds something else.
    """
    parts: list[Transform] = []
    if settings.mean is not None:
        parts.append(Centre.at(load_mean(settings.mean)))
    if settings.center_on is not None:
        parts.append(Centre.at(mean_of(settings.center_on)))
    if settings.transform is not None:
        parts.append(Affine.of(read_matrix(settings.transform)))
    if settings.length_norm:
        parts.append(LengthNorm())
    return Chain(parts)


def _check_order(parts: Sequence[Transform]) -> None:
    kinds = [next((i for i, kind in enumerate((Centre, Affine, LengthNorm)) if isinstance(part, kind)), -1)
             for part in parts]  # fmt: skip
    if kinds != sorted(set(kinds)) or -1 in kinds:
        names = ", ".join(type(part).__name__ for part in parts)
        raise ConfigError(f"a chain of {names} cannot be kept in Kaldi's files; keep its parts one by one")
