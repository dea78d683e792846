"""Separation losses against plain float64 loops with other formulae, and their invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from csc_cli.nn.si_snr import TAU, limited, pairwise_scale_aware, pairwise_si_snr, silent_loss


def draw(seed: int, batch: int = 3, streams: int = 2, samples: int = 400) -> tuple[torch.Tensor, ...]:
    """Estimates, references (float64) with an offset, and a mask with different lengths."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(batch, streams, samples, generator=generator, dtype=torch.float64) * 0.1 + 0.02
    rest = torch.randn(batch, streams, samples, generator=generator, dtype=torch.float64) * 0.05 - 0.01
    lengths = torch.tensor([samples - 37 * place for place in range(batch)])
    return references.flip(1) * 0.4 + references + rest, references, torch.arange(samples) < lengths[:, None]


def reference_si_snr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """Least squares fit of the reference and an offset; SI-SNR from the angle alone."""
    a = estimate - estimate.mean()
    b = reference - reference.mean()
    cosine = float(np.dot(a, b) / math.sqrt(np.dot(a, a) * np.dot(b, b)))
    return 10 * math.log10(cosine**2 / (1 - cosine**2))


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_si_snr_is_that_of_the_angle_between_signals(streams: int) -> None:
    estimates, references, mask = draw(1, streams=streams)
    found = pairwise_si_snr(estimates, references, mask)
    for b in range(3):
        for i in range(streams):
            for j in range(streams):
                real = mask[b].numpy()
                expected = reference_si_snr(estimates[b, i].numpy()[real], references[b, j].numpy()[real])
                assert float(found[b, i, j]) == pytest.approx(expected, abs=1e-4, rel=1e-3), (b, i, j)


def test_si_snr_ignores_scale_offset_and_what_lies_in_the_padding() -> None:
    estimates, references, mask = draw(2)
    plain = pairwise_si_snr(estimates, references, mask)
    louder = pairwise_si_snr(-7 * estimates + 3, references * 5 - 1, mask)
    torch.testing.assert_close(louder, plain, atol=1e-4, rtol=0)
    garbage = torch.where(mask[:, None], 0.0, 1e3)
    torch.testing.assert_close(pairwise_si_snr(estimates + garbage, references - garbage, mask), plain)


def test_si_snr_in_float32_follows_float64_up_to_40_db() -> None:
    _, references, mask = draw(3)
    noise = torch.randn(references.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for db in (-20, 0, 20, 40):
        estimates = references + noise * references.std() * 10 ** (-db / 20)
        wide = pairwise_si_snr(estimates, references, mask)
        narrow = pairwise_si_snr(estimates.float(), references.float(), mask)
        torch.testing.assert_close(narrow.double(), wide, atol=0.02, rtol=0)


@pytest.mark.parametrize("limit", [5.0, 30.0])
def test_limited_si_snr_counts_the_error_as_no_smaller_than_the_limit_says(limit: float) -> None:
    snr = torch.tensor([-200.0, -20.0, 0.0, 12.0, 29.0, 60.0, 200.0], dtype=torch.float64, requires_grad=True)
    found = limited(snr, limit)
    for value, result in zip(snr.tolist(), found.tolist(), strict=True):
        assert result == pytest.approx(-10 * math.log10(10 ** (-value / 10) + 10 ** (-limit / 10)), abs=1e-9)
    assert torch.autograd.gradcheck(lambda x: limited(x, limit), (snr,))
    found.sum().backward()
    assert float(snr.grad[0]) == pytest.approx(1) and float(snr.grad[-1]) < 1e-6 and (snr.grad.diff() <= 0).all()


def test_scale_aware_loss_is_the_plain_sum() -> None:
    estimates, references, mask = draw(4, streams=3)
    found = pairwise_scale_aware(estimates, references, mask)
    for b in range(3):
        for i in range(3):
            for j in range(3):
                error = energy = 0.0
                for t in range(int(mask[b].sum())):
                    error += float(references[b, j, t] - estimates[b, i, t]) ** 2
                    energy += float(references[b, j, t]) ** 2
                expected = 10 * math.log10(error / energy + TAU)
                assert float(found[b, i, j]) == pytest.approx(expected, abs=1e-4)


def test_scale_aware_loss_is_least_at_the_reference_and_knows_scale() -> None:
    _, references, mask = draw(5)
    best = pairwise_scale_aware(references, references, mask).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(best, torch.full_like(best, 10 * math.log10(TAU)), atol=1e-3, rtol=0)
    for gain in (0.5, 2.0, -1.0):
        cost = pairwise_scale_aware(gain * references, references, mask).diagonal(dim1=1, dim2=2)
        expected = 10 * math.log10((1 - gain) ** 2 + TAU)
        torch.testing.assert_close(cost, torch.full_like(cost, expected), atol=1e-3, rtol=0)


def test_silent_loss_is_the_plain_sum() -> None:
    estimates, references, mask = draw(6)
    mixture = references.sum(1)
    found = silent_loss(estimates, mixture, mask)
    for b in range(3):
        for i in range(2):
            left = power = 0.0
            for t in range(int(mask[b].sum())):
                left += float(estimates[b, i, t]) ** 2
                power += float(mixture[b, t]) ** 2
            assert float(found[b, i]) == pytest.approx(10 * math.log10(left / power + TAU), abs=1e-4)


@pytest.mark.parametrize("loss", [pairwise_si_snr, pairwise_scale_aware, silent_loss])
def test_gradients_numerically(loss) -> None:
    estimates, references, mask = draw(7, batch=2, samples=90)
    other = references.sum(1) if loss is silent_loss else references
    assert torch.autograd.gradcheck(lambda x: loss(x, other, mask), estimates.requires_grad_(), atol=1e-5)


@pytest.mark.parametrize("which", ["estimate", "reference", "both"])
def test_silence_gives_finite_numbers_and_gradients(which: str) -> None:
    estimates, references, mask = (x.float() if x.is_floating_point() else x for x in draw(8))
    if which != "reference":
        estimates = torch.zeros_like(estimates)
    if which != "estimate":
        references = torch.zeros_like(references)
    estimates.requires_grad_()
    values = torch.cat([
        pairwise_si_snr(estimates, references, mask).flatten(),
        pairwise_scale_aware(estimates, references, mask).flatten(),
        silent_loss(estimates, references.sum(1), mask).flatten(),
    ])  # fmt: skip
    values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(estimates.grad).all()
