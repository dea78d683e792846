"""Logistic regression at a stated prior: the affine map of scores whose log likelihood ratios cost least.

With P the prior of a target, o = log P / (1 - P), llr = w . x + b:

    C(w, b) = P / T sum_targets log(1 + exp(-llr - o)) + (1 - P) / N sum_nontargets log(1 + exp(llr + o))

N. Brummer, L. Burget and others, "Fusion of heterogeneous speaker recognition systems in the STBU submission for the
NIST speaker recognition evaluation 2006", IEEE Transactions on Audio, Speech and Language Processing 15, 2007. At
P = 0.5 and in bits it is Cllr. Each kind of trial is weighted by P, not by its count in the list.

Legend: N trials, K inputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from csc_cli.errors import ConfigError, DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
ITERATIONS = 100
FLAT = 1e-9  # curvature, relative to that of guessing, below which the cost has no least point


def cost(llr: Floats, target: Bools, prior: float) -> float:
    """C in nats for the log likelihood ratios of N trials.

    >>> float(round(cost(np.zeros(2), np.array([True, False]), 0.5) / np.log(2), 6))
    1.0
    """
    offset = log_odds(prior)
    missed = np.logaddexp(0.0, -llr[target] - offset).mean()
    accepted = np.logaddexp(0.0, llr[~target] + offset).mean()
    return float(prior * missed + (1 - prior) * accepted)


def fit(inputs: Floats, target: Bools, prior: float) -> tuple[Floats, float]:
    """The weights (K,) and the offset of least cost, by Newton's method.

    Args:
        inputs: (N, K).
        target: (N,).
        prior: of a target, P.

    Raises:
        DataError: no target or no nontarget, inputs that are not finite, an input that is constant or follows from
            the others, or targets and nontargets that an affine map parts without error.
        ConfigError: an impossible prior.
    """
    log_odds(prior)
    _check(inputs, target)
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0)
    if (spread <= 1e-12 * np.abs(mean)).any():
        constant = ", ".join(str(k + 1) for k in np.flatnonzero(spread <= 1e-12 * np.abs(mean)))
        raise DataError(f"input {constant} of {len(spread)} is the same for all trials: it tells nothing; leave it out")
    x = np.concatenate([(inputs - mean) / spread, np.ones((len(inputs), 1))], axis=1)  # (N, K + 1)
    if np.linalg.eigvalsh(x.T @ x / len(x)).min() < 1e-10:
        raise DataError("one of the inputs follows from the others (is a system given twice?); leave it out")
    solution = _newton(x, target, prior)
    weights = solution[:-1] / spread
    return weights, float(solution[-1] - weights @ mean)


def log_odds(prior: float) -> float:
    """log P / (1 - P).

    Raises:
        ConfigError: a prior that is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise ConfigError(f"--prior {prior:g}: must lie between 0 and 1")
    return float(np.log(prior) - np.log1p(-prior))


def _check(inputs: Floats, target: Bools) -> None:
    for count, kind in ((int(target.sum()), "target"), (int((~target).sum()), "nontarget")):
        if count == 0:
            raise DataError(f"no {kind} among {target.size} trials: calibration needs both kinds")
    if not np.isfinite(inputs).all():
        bad = int((~np.isfinite(inputs)).any(axis=1).sum())
        raise DataError(f"{bad} of {len(inputs)} trials have scores or measures that are NaN or infinite; score again")


def _newton(x: Floats, target: Bools, prior: float) -> Floats:
    """The least point of C for inputs of mean 0 and variance 1, the last of them 1: (K + 1,)."""
    share = np.where(target, prior / target.sum(), (1 - prior) / (~target).sum())  # (N,) adds up to 1
    offset = log_odds(prior)
    w = np.zeros(x.shape[1])
    now = cost(x @ w, target, prior)
    for _ in range(ITERATIONS):
        posterior = expit(x @ w + offset)
        gradient = x.T @ (share * (posterior - target))
        curvature = (x.T * (share * posterior * (1 - posterior))) @ x
        if np.linalg.eigvalsh(curvature).min() < FLAT * prior * (1 - prior):
            break
        step = np.linalg.solve(curvature, gradient)
        decrease = float(gradient @ step)
        # The Newton decrement is twice what is left to gain, to first order: below rounding nothing is left.
        if decrease <= 1e-14 * now:
            return w - step
        length = 1.0
        while (then := cost(x @ (w - length * step), target, prior)) > now - 1e-4 * length * decrease and length > 1e-8:
            length /= 2
        w, now = w - length * step, then
    raise DataError(
        "an affine map parts the targets from the nontargets without error, so the best ratios are infinite; "
        "give more trials, or harder ones"
    )
