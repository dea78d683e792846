"""The filterbank against Kaldi's, as torchaudio restates it, and what padding, level and a channel do to it."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch

from csc_cli.dsp import torchaudio
from csc_cli.errors import ConfigError
from csc_cli.nn.baselines.features import FLOOR, LogMel


def noise(seed: int, *shape: int) -> torch.Tensor:
    """Noise whose spectrum falls towards high frequencies, as that of speech does."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return torch.cumsum(x, -1) * 0.01 + 0.05 * x


@pytest.mark.parametrize(("rate", "mels", "samples"), [(8000, 64, 4010), (8000, 40, 200), (16000, 80, 9999)])
def test_energies_are_kaldis_with_the_floor_added(rate: int, mels: int, samples: int) -> None:
    x = noise(0, samples)
    x = x / x.square().mean().sqrt()
    kaldi = importlib.import_module(torchaudio().__name__ + ".compliance.kaldi")
    expected = kaldi.fbank(x[None], sample_frequency=rate, num_mel_bins=mels, window_type="povey").double().exp()
    width = rate // 40
    povey = torch.from_numpy(np.hanning(width)).pow(0.85)
    expected = (expected + FLOOR * povey.square().sum()).log()
    found, frames = LogMel(rate, mels, mean_removed=False)(x[None], torch.tensor([samples]))
    assert found.shape == (1, mels, len(expected)) and frames.counts.tolist() == [len(expected)]
    assert float((found[0].mT - expected).abs().max()) < 1e-3  # float32 against float32, of -13 to 10


def test_the_mean_of_each_bin_over_real_frames_is_removed_and_padding_is_zero() -> None:
    x, lengths = noise(1, 3, 3000), torch.tensor([3000, 1700, 90])
    features = LogMel(8000, 40)
    found, frames = features(x, lengths)
    assert frames.counts.tolist() == [36, 19, 1] and frames.mask is not None
    for index, (length, count) in enumerate(zip(lengths.tolist(), frames.counts.tolist(), strict=True)):
        assert float(found[index, :, :count].mean(1).abs().max()) < 1e-5
        assert not found[index, :, count:].any()
        alone, own = features(x[index : index + 1, :length], lengths[index : index + 1])
        assert own.mask is None and float((alone[0] - found[index, :, :count]).abs().max()) < 1e-5


def test_what_stands_behind_the_end_is_not_read() -> None:
    x, lengths = noise(2, 2, 2000), torch.tensor([1500, 130])
    other = x.clone()
    other[0, 1500:], other[1, 130:] = 9.0, float("nan")
    features = LogMel(8000, 40)
    torch.testing.assert_close(features(x, lengths)[0], features(torch.nan_to_num(other), lengths)[0])


@pytest.mark.parametrize("gain", [1e-4, 1.0, 300.0])
def test_level_says_nothing(gain: float) -> None:
    x, lengths = noise(3, 1, 2000), torch.tensor([2000])
    features = LogMel(8000, 64)
    torch.testing.assert_close(features(gain * x, lengths)[0], features(x, lengths)[0], atol=2e-3, rtol=0)


def test_silence_is_finite_and_so_is_its_gradient() -> None:
    x = torch.zeros(1, 1000, requires_grad=True)
    found, _ = LogMel(8000, 64)(x, torch.tensor([1000]))
    found.square().sum().backward()
    assert float(found.detach().abs().max()) < 1e-5 and bool(torch.isfinite(x.grad).all())


def test_gradient_numerically() -> None:
    features = LogMel(8000, 20).double()
    x = noise(4, 2, 500).double().requires_grad_()
    weight = torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    direction = torch.randn(2, 500, generator=torch.Generator().manual_seed(6), dtype=torch.float64)

    def value(step: torch.Tensor) -> torch.Tensor:
        return (features(x + step * direction, torch.tensor([500, 350]))[0] * weight).sum()

    assert torch.autograd.gradcheck(value, (torch.zeros((), dtype=torch.float64, requires_grad=True),))


def test_too_many_bins_are_refused() -> None:
    with pytest.raises(ConfigError, match="mels=200: at 8000 Hz"):
        LogMel(8000, 200)
