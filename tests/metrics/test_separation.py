"""SI-SNR against the formula written out, and its invariances."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.metrics.separation import LIMIT_DB, si_snr, si_snr_improvement


def written_out(estimate, reference):
    """Le Roux et al. 2019, eq. 3, sample by sample in plain Python."""
    count = len(reference)
    mean_e, mean_r = sum(estimate) / count, sum(reference) / count
    e, r = [x - mean_e for x in estimate], [x - mean_r for x in reference]
    scale = sum(a * b for a, b in zip(e, r, strict=True)) / sum(b * b for b in r)
    signal = sum((scale * b) ** 2 for b in r)
    return 10 * np.log10(signal / sum((a - scale * b) ** 2 for a, b in zip(e, r, strict=True)))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_formula(rng):
    reference = rng.normal(size=(3, 2, 400)) + 0.3
    estimate = reference + rng.normal(size=reference.shape) * np.array([0.1, 1, 4])[:, None, None] - 0.2
    found = si_snr(estimate, reference)
    assert found.shape == (3, 2)
    for index in np.ndindex(3, 2):
        assert found[index] == pytest.approx(written_out(estimate[index].tolist(), reference[index].tolist()), abs=1e-9)


def test_known_ratio(rng):
    """Noise orthogonal to the signal, 12 dB weaker."""
    signal, noise = np.sin(np.arange(8000) * np.pi / 8), np.cos(np.arange(8000) * np.pi / 8)
    assert si_snr(signal + 10 ** (-12 / 20) * noise, signal) == pytest.approx(12)


def test_scale_and_offset_change_nothing(rng):
    reference, noise = rng.normal(size=(2, 1000))
    value = si_snr(reference + noise, reference)
    assert si_snr(-3 * (reference + noise) + 5, 0.01 * reference - 2) == pytest.approx(value)


def test_float32_is_measured_in_float64(rng):
    reference = rng.normal(size=20_000).astype(np.float32)
    assert si_snr(
        reference + np.float32(1e-4) * rng.normal(size=20_000).astype(np.float32), reference
    ) == pytest.approx(80, abs=1)


def test_perfect_and_empty_estimates_are_finite(rng):
    reference = rng.normal(size=100)
    assert si_snr(reference, reference) == pytest.approx(LIMIT_DB, abs=5)
    assert si_snr(np.zeros(100), reference) == -LIMIT_DB


@pytest.mark.parametrize("talkers", [1, 2, 3, 4])
def test_best_permutation_by_brute_force(rng, talkers):
    references = rng.normal(size=(talkers, 500))
    mixture = references.sum(axis=0)
    estimates = references[rng.permutation(talkers)] + 1.5 * rng.normal(size=references.shape)
    found = si_snr_improvement(estimates, references, mixture)
    best = max(permutations(range(talkers)), key=lambda order: si_snr(estimates[list(order)], references).sum())
    assert found.permutation.tolist() == list(best)
    assert found.si_snr == pytest.approx(si_snr(estimates[list(best)], references))
    gain = [si_snr(estimates[e], r) - si_snr(mixture, r) for e, r in zip(best, references, strict=True)]
    assert found.improvement == pytest.approx(gain)


def test_permuting_the_estimates_permutes_the_answer(rng):
    references = rng.normal(size=(3, 500))
    estimates = references + 0.5 * rng.normal(size=references.shape)
    straight = si_snr_improvement(estimates, references, references.sum(axis=0))
    turned = si_snr_improvement(estimates[[2, 0, 1]], references, references.sum(axis=0))
    assert straight.permutation.tolist() == [0, 1, 2]
    assert turned.permutation.tolist() == [1, 2, 0]
    assert turned.si_snr == pytest.approx(straight.si_snr)


def test_the_mixture_as_estimate_gains_nothing(rng):
    references = rng.normal(size=(2, 500))
    mixture = references.sum(axis=0)
    assert si_snr_improvement([mixture, mixture], references, mixture).improvement == pytest.approx([0, 0])


def test_spare_estimates_are_left_over(rng):
    reference = rng.normal(size=(1, 500))
    estimates = np.concatenate([rng.normal(size=(1, 500)), reference + 0.1 * rng.normal(size=(1, 500))])
    assert si_snr_improvement(estimates, reference, reference[0]).permutation.tolist() == [1]


@pytest.mark.parametrize(
    ("estimate", "reference", "message"),
    [
        (np.ones(4), np.zeros(4), "silent"),
        (np.ones(4), np.full(4, 0.1), "silent"),
        (np.ones(4), np.ones(5), "4 samples and a reference of 5"),
        (np.full(4, np.nan), np.arange(4.0), "NaN"),
        (np.zeros(0), np.zeros(0), "no samples"),
    ],
)
def test_what_cannot_be_measured(estimate, reference, message):
    with pytest.raises(DataError, match=message):
        si_snr(estimate, reference)


def test_too_few_estimates(rng):
    with pytest.raises(DataError, match="1 estimates for 2 talkers"):
        si_snr_improvement(rng.normal(size=(1, 9)), rng.normal(size=(2, 9)), rng.normal(size=9))
