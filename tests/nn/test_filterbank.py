"""Framing, the STFT and the learned filterbank against loops and perfect reconstruction."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from csc_cli.errors import ConfigError
from csc_cli.nn.filterbank import FilterbankConfig, make_filterbank

SHAPES = [(256, 64), (256, 128), (32, 8), (16, 8)]


@pytest.mark.parametrize(("window", "hop"), SHAPES)
@pytest.mark.parametrize("length", [1, 7, 256, 2000, 2049])
def test_stft_reconstructs_perfectly(window: int, hop: int, length: int) -> None:
    bank = make_filterbank(FilterbankConfig(window=window, hop=hop))
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
    torch.testing.assert_close(bank.synthesise(bank.analyse(x), length), x, atol=2e-6, rtol=0)


@pytest.mark.parametrize("kind", ["stft", "learned"])
@pytest.mark.parametrize(("window", "hop"), SHAPES)
def test_frames_against_a_loop(kind: str, window: int, hop: int) -> None:
    bank = make_filterbank(FilterbankConfig(kind=kind, window=window, hop=hop, filters=6))
    x = torch.randn(1, 700, generator=torch.Generator().manual_seed(0))
    spectrum = bank.analyse(x)[0]
    signal = x[0].double().numpy()
    padded = np.concatenate([np.zeros(window - hop), signal, np.zeros(2 * window)])
    count = int(bank.frame_count(torch.tensor(700)))
    assert len(spectrum) == count
    assert (count - 1) * hop < 700 + window - hop <= count * hop  # the last frame holds the last sample, no more follow
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    taper = np.sqrt(hann * 2 * hop / window)  # Hann summed over its shifts is window / (2 hop)
    for place in (0, 3, count - 1):
        frame = padded[place * hop : place * hop + window]
        if kind == "stft":
            n = np.arange(window)
            bins = range(window // 2 + 1)
            expected = np.array([(frame * taper * np.exp(-2j * np.pi * k * n / window)).sum() for k in bins])
            np.testing.assert_allclose(spectrum[place].numpy(), expected, atol=1e-5 * window)
        else:
            expected = np.maximum(frame @ bank.analysis.detach().double().numpy(), 0)
            np.testing.assert_allclose(spectrum[place].detach().numpy(), expected, atol=1e-5)


def test_magnitude_of_white_noise_is_about_one() -> None:
    for window, hop in SHAPES:
        bank = make_filterbank(FilterbankConfig(window=window, hop=hop))
        x = torch.randn(4, 8000, generator=torch.Generator().manual_seed(1))
        power = bank.magnitude(bank.analyse(x)).square()[:, 10:-10, 1:-1].mean()
        assert float(power) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("kind", ["stft", "learned"])
def test_overlap_add_is_the_transpose_of_framing(kind: str) -> None:
    bank = make_filterbank(FilterbankConfig(kind=kind, window=32, hop=8))
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 100, generator=generator, dtype=torch.float64)
    frames = torch.randn(bank.frames(x).shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((bank.frames(x) * frames).sum(), (x * bank.overlap_add(frames, 100)).sum())


def test_silence_has_finite_gradients() -> None:
    for kind in ("stft", "learned"):
        bank = make_filterbank(FilterbankConfig(kind=kind, window=32, hop=8))
        x = torch.zeros(1, 100, requires_grad=True)
        spectrum = bank.analyse(x)
        (bank.magnitude(spectrum).log1p().sum() + bank.synthesise(spectrum, 100).sum()).backward()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("wrong", [{"window": 100, "hop": 64}, {"hop": 0}, {"window": 64, "hop": 64}])
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="hop"):
        FilterbankConfig(**wrong)
