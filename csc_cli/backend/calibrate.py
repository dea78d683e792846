"""Scores of one or more systems, and measures of quality, made into natural log likelihood ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from csc_cli.backend import logistic
from csc_cli.errors import DataError

Floats = NDArray[np.float64]


class Calibration:
    """llr = sum_k w_k score_k + sum_j v_j quality_j + b, by logistic regression (`logistic.fit`).

    One system makes it a calibration, several a fusion. Measures of quality, such as the logarithm of a duration, are
    added as in M. I. Mandasari, R. Saeidi, M. McLaren, D. A. van Leeuwen, "Quality measure functions for calibration of
    speaker recognition systems in various duration conditions", IEEE Transactions on Audio, Speech and Language
    Processing 21, 2013.
    """

    weights_: dict[str, float]  # by system, in the order of the scores
    quality_weights_: dict[str, float]  # by measure
    offset_: float

    def __init__(self, *, prior: float = 0.5) -> None:
        logistic.log_odds(prior)
        self.prior = prior

    @classmethod
    def of(
        cls, weights: Mapping[str, float], quality_weights: Mapping[str, float], offset: float, prior: float
    ) -> Calibration:
        """Fitted, with these values."""
        calibration = cls(prior=prior)
        calibration.weights_, calibration.quality_weights_ = dict(weights), dict(quality_weights)
        calibration.offset_ = offset
        return calibration

    def fit(
        self, scores: Mapping[str, ArrayLike], target: ArrayLike, quality: Mapping[str, ArrayLike] | None = None
    ) -> Calibration:
        """Learn from N trials.

        Args:
            scores: by system, (N,) each.
            target: (N,).
            quality: by measure, (N,) each.

        Raises:
            DataError: as `logistic.fit`; or a single system whose scores are higher for nontargets.
        """
        columns = {**scores, **(quality or {})}
        inputs = np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)
        weights, self.offset_ = logistic.fit(inputs, np.asarray(target, bool), self.prior)
        self.weights_ = dict(zip(scores, weights[: len(scores)].tolist(), strict=True))
        self.quality_weights_ = dict(zip(quality or {}, weights[len(scores) :].tolist(), strict=True))
        if len(scores) == 1 and weights[0] <= 0:
            raise DataError(
                f"the scores are no higher for targets than for nontargets (slope {weights[0]:g}); "
                "is the key of these trials right, and are the scores similarities?"
            )
        return self

    def apply(self, *scores: ArrayLike, quality: Mapping[str, ArrayLike] | None = None) -> Floats:
        """The log likelihood ratios.

        Args:
            scores: an array of any shape for each system, in the order of `weights_`; minus infinity (no such stream)
                stays so.
            quality: by measure, arrays that broadcast with the scores.

        Raises:
            DataError: not fitted, another number of systems, or a measure that is missing or not known.
        """
        if not hasattr(self, "weights_"):
            raise DataError("Calibration: apply before fit; fit it, or load one")
        if len(scores) != len(self.weights_):
            raise DataError(
                f"{len(scores)} score(s) for a calibration of {len(self.weights_)}: {', '.join(self.weights_)}"
            )
        given = dict(quality or {})
        _same_measures(list(given), list(self.quality_weights_))
        llr = np.full(np.shape(scores[0]), self.offset_)
        for weight, score in zip(self.weights_.values(), scores, strict=True):
            llr = llr + weight * np.asarray(score, np.float64)
        for name, weight in self.quality_weights_.items():
            llr = llr + weight * np.asarray(given[name], np.float64)
        return llr


def _same_measures(given: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in given]
    extra = [name for name in given if name not in wanted]
    if missing:
        raise DataError(f"the calibration takes {', '.join(missing)} as well: give the table(s) it was trained with")
    if extra:
        raise DataError(f"the calibration was trained without {', '.join(extra)}; leave it out, or train with it")
