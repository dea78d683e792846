"""Probabilistic linear discriminant analysis, as Kaldi has it.

Model (S. Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006): a speaker y ~ N(mean, B), an utterance of
theirs x ~ N(y, W). `transform` A makes W the identity and B diagonal: A W A' = I, A B A' = diag(psi). In that
latent space u = A (x - mean).

Legend: N vectors, D dimensions, E enrollments, V test vectors, n utterances of an enrollment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csc_cli.backend.diagonal import diagonalise, with_signs
from csc_cli.backend.forms import PairForm
from csc_cli.backend.plda_training import estimate
from csc_cli.backend.statistics import SpeakerStatistics
from csc_cli.errors import ConfigError, DataError, some

Floats = NDArray[np.float64]
LengthNorm = Literal["expected", "simple", "none"]


class Plda:
    """The two-covariance model, learned by expectation maximisation."""

    mean_: Floats  # (D,)
    transform_: Floats  # (D, D), A
    psi_: Floats  # (D,), variances between speakers in the latent space, descending

    def __init__(self, *, iterations: int = 10) -> None:
        if iterations < 1:
            raise ConfigError(f"--num-em-iters {iterations}: must be at least 1")
        self.iterations = iterations

    @classmethod
    def of(cls, mean: ArrayLike, transform: ArrayLike, psi: ArrayLike) -> Plda:
        """Fitted, with these parameters.

        Raises:
            DataError: sizes that do not belong together, values that are not finite, a negative psi, or a transform
                that has no inverse.
        """
        plda = cls()
        plda.mean_, plda.transform_, plda.psi_ = (np.array(part, np.float64) for part in (mean, transform, psi))
        _check(plda)
        return plda

    @classmethod
    def of_covariances(cls, mean: ArrayLike, within: ArrayLike, between: ArrayLike) -> Plda:
        """Fitted, with this mean (D,) and these covariances (D, D).

        Raises:
            DataError: the within-speaker covariance is not positive definite, or a part is not finite.
        """
        return cls.of(np.asarray(mean), *_parameters(np.asarray(within), np.asarray(between)))

    def fit(self, x: NDArray[np.floating], speakers: Sequence[str] | NDArray[np.generic]) -> Plda:
        """Learn from x (N, D) and the speaker of each (N,).

        Raises:
            DataError: as `fit_statistics`.
        """
        return self.fit_statistics(SpeakerStatistics.of(x, speakers))

    def fit_statistics(self, statistics: SpeakerStatistics) -> Plda:
        """Learn from counts, means and scatter.

        Raises:
            DataError: one speaker, none with two utterances, or vectors that do not vary in every direction.
        """
        within, between = estimate(statistics, self.iterations)
        self.mean_ = statistics.means.mean(axis=0)
        self.transform_, self.psi_ = _parameters(within, between)
        return self

    @property
    def dim(self) -> int:
        return self.mean_.size

    @property
    def within_(self) -> Floats:
        """W (D, D), the covariance of a speaker's utterances."""
        inverse = np.linalg.inv(self.transform_)
        return inverse @ inverse.T

    @property
    def between_(self) -> Floats:
        """B (D, D), the covariance of speakers."""
        inverse = np.linalg.inv(self.transform_)
        return (inverse * self.psi_) @ inverse.T

    def transform(
        self,
        x: NDArray[np.floating],
        num_utts: int | NDArray[np.integer] = 1,
        *,
        length: LengthNorm = "expected",
        keys: Sequence[str] | None = None,
    ) -> Floats:
        """The vectors (N, D) in the latent space (N, D).

        Args:
            num_utts: of how many utterances each is the mean, one number or (N,).
            length: `expected` scales u so that u' (diag(psi) + I/n)^-1 u = D, what it is on average (Kaldi's
                default; D. Garcia-Romero and C. Espy-Wilson, "Analysis of i-vector length normalization in speaker
                recognition systems", Interspeech 2011, is the idea); `simple` scales it to length sqrt(D); `none`.
            keys: (N,) for the message.

        Raises:
            DataError: not fitted, vectors of another dimension, or vectors that equal the mean and so have no length.
        """
        if not hasattr(self, "mean_"):
            raise DataError("Plda: transform before fit; fit it first")
        if x.shape[1] != self.dim:
            raise DataError(f"the PLDA has {self.dim} dimensions and the vectors {x.shape[1]}; take them of one kind")
        u = (x - self.mean_) @ self.transform_.T
        if length == "none":
            return u
        inverse = 1.0 if length == "simple" else 1 / (self.psi_ + 1 / np.atleast_1d(num_utts)[:, None])
        squared = np.sum(np.square(u) * inverse, axis=1)
        if not squared.all():
            zero = [keys[row] if keys else f"row {row}" for row in np.flatnonzero(squared == 0).tolist()]
            raise DataError(f"{len(zero)} vector(s) are the PLDA's mean, of no length: {some(zero)}; leave them out")
        return u * np.sqrt(self.dim / squared)[:, None]

    def pair_form(self, enroll: Floats, num_utts: NDArray[np.integer], test: Floats) -> PairForm:
        """log p(v | the speaker of e) - log p(v | another speaker), of latent enroll (E, D) and test (V, D).

        With m = n psi / (n psi + 1) e and s = 1 + psi / (n psi + 1) (Ioffe 2006, between equations 4 and 5) it is
        log N(v; m, s) - log N(v; 0, 1 + psi), taken apart here into what is linear and what is quadratic in v.
        """
        counts, group = np.unique(num_utts, return_inverse=True)
        shrunk = counts[:, None] * self.psi_ + 1  # (G, D)
        variance = 1 + self.psi_ / shrunk
        alone = 1 + self.psi_
        mean = enroll * (counts[:, None] * self.psi_ / shrunk)[group]
        left = mean / variance[group]
        constant = -0.5 * (np.sum(mean * left, axis=1) + np.log(variance / alone).sum(axis=1)[group])
        return PairForm(left, test, constant, 0.5 * (1 / alone - 1 / variance), group.astype(np.int32))

    def smoothed(self, factor: float) -> Plda:
        """With `factor` times the between-speaker covariance added to the within-speaker one (Kaldi's --smoothing).

        Raises:
            ConfigError: a factor outside 0 to 1.
        """
        if not 0 <= factor <= 1:
            raise ConfigError(f"--smoothing {factor:g}: must lie between 0 and 1")
        within = 1 + factor * self.psi_
        return Plda.of(self.mean_, self.transform_ / np.sqrt(within)[:, None], self.psi_ / within)


def _parameters(within: Floats, between: Floats) -> tuple[Floats, Floats]:
    """A (D, D) and psi (D,), floored at zero; errors as `diagonalise`."""
    psi, transform, _ = diagonalise(within, between)
    return with_signs(transform), np.maximum(psi, 0)


def _check(plda: Plda) -> None:
    parts = plda.mean_, plda.transform_, plda.psi_
    dim = plda.mean_.size
    if [part.shape for part in parts] != [(dim,), (dim, dim), (dim,)] or not dim:
        mean, transform, psi = (" x ".join(map(str, part.shape)) or "one number" for part in parts)
        raise DataError(f"a mean of {mean}, a transform of {transform} and a psi of {psi} are no PLDA; train it again")
    if not all(np.isfinite(part).all() for part in parts):
        raise DataError("values that are not finite; train it again")
    if plda.psi_.min() < 0:
        raise DataError(f"a variance between speakers of {plda.psi_.min():g}; train it again")
    if np.linalg.matrix_rank(plda.transform_) < dim:
        raise DataError("a transform that has no inverse; train it again")
