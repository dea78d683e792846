"""The encoder as a whole: batches, padding, silence, consistency, the guide, pooling."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from csc_cli.nn.encoder import EncoderConfig, Guide, SeparativeEncoder, consistent, segment_count
from csc_cli.nn.filterbank import FilterbankConfig
from csc_cli.nn.galr import GalrConfig

KINDS = [
    (kind, hop, heard)
    for kind, hop, heard in itertools.product(["stft", "learned"], [5, 10], ["masked", "trunk", "tdnn"])
]


def make(
    kind: str = "stft",
    hop: int = 10,
    heard: str = "masked",
    streams: int = 2,
    window: int = 64,
    consistency: str = "even",
) -> SeparativeEncoder:
    torch.manual_seed(3)
    config = EncoderConfig(
        streams=streams,
        filterbank=FilterbankConfig(kind=kind, window=window, hop=window // 2, filters=20),
        galr=GalrConfig(features=8, hidden=8, chunk=10, chunk_hop=hop, mapped=4, heads=2, feedforward=16),
        trunk_blocks=2,
        speaker_blocks=1,
        speaker_input="masked" if heard == "tdnn" else heard,
        speaker_network="tdnn" if heard == "tdnn" else "galr",
        speaker_channels=8,
        consistency=consistency,
        embedding=6,
    )
    return SeparativeEncoder(config).eval()


def speech(batch: int = 3, samples: int = 3000, seed: int = 0) -> torch.Tensor:
    """Noise with syllables, about -30 dB of full scale."""
    time = torch.arange(samples) / 1000
    noise = torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))
    return 0.03 * noise * (1.1 + torch.sin(6.28 * time * torch.tensor([[2.0], [3.0], [5.0]])[:batch]))


@pytest.mark.parametrize("consistency", ["even", "power"])
@pytest.mark.parametrize(("kind", "hop", "heard"), KINDS)
def test_batch_of_one_is_batch_of_many_and_padding_does_not_leak(
    kind: str, hop: int, heard: str, consistency: str
) -> None:
    encoder, x = make(kind, hop, heard, consistency=consistency), speech()
    lengths = torch.tensor([3000, 1111, 64])
    garbage = torch.where(torch.arange(3000) < lengths[:, None], x, 1e4 * torch.ones(()))
    with torch.no_grad():
        together = encoder(garbage, lengths)
        for b, length in enumerate(lengths.tolist()):
            alone = encoder(x[b : b + 1, :length], lengths[b : b + 1])
            torch.testing.assert_close(together.separated[b, :, :length], alone.separated[0], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(together.query[b], alone.query[0], atol=1e-5, rtol=1e-5)
            count = alone.segments.shape[2]
            assert together.segment_mask[b].sum() == count == int(segment_count(encoder, lengths[b]))
            torch.testing.assert_close(together.segments[b, :, :count], alone.segments[0], atol=1e-5, rtol=1e-5)
            assert not together.segments[b, :, count:].any()
            assert not together.separated[b, :, length:].any() and not together.noise[b, length:].any()


@pytest.mark.parametrize("consistency", ["even", "power"])
@pytest.mark.parametrize(("kind", "hop", "heard"), KINDS)
def test_streams_and_noise_add_up_to_the_mixture(kind: str, hop: int, heard: str, consistency: str) -> None:
    encoder, x = make(kind, hop, heard, consistency=consistency), speech()
    lengths = torch.tensor([3000, 1111, 64])
    with torch.no_grad():
        encoded = encoder(x, lengths)
    real = x * (torch.arange(3000) < lengths[:, None])
    torch.testing.assert_close(encoded.separated.sum(1) + encoded.noise, real, atol=1e-5, rtol=0)


@pytest.mark.parametrize("by_power", [False, True])
def test_what_sources_lack_is_shared_out_evenly_or_by_their_energy(by_power: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 3, 50, generator=generator, dtype=torch.float64)
    sources[0, 1] = 0
    sources[1] = 0
    mixture = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    found = consistent(sources, mixture, by_power)
    torch.testing.assert_close(found.sum(1), mixture, atol=1e-5, rtol=0)
    energy = [sum(float(x) ** 2 for x in sources[0, c]) for c in range(3)]
    for c in range(3):
        share = energy[c] / sum(energy) if by_power else 1 / 3
        torch.testing.assert_close(found[0, c], sources[0, c] + share * (mixture[0] - sources[0].sum(0)))
    torch.testing.assert_close(found[1], (mixture[1] / 3).expand(3, -1))
    assert torch.autograd.gradcheck(lambda x: consistent(x, mixture, by_power), (sources[:1].requires_grad_(),))


def test_query_is_the_mean_of_the_real_segments() -> None:
    with torch.no_grad():
        encoded = make()(speech(), torch.tensor([3000, 1111, 64]))
    for b in range(3):
        expected = encoded.segments[b][:, encoded.segment_mask[b]].mean(1)
        torch.testing.assert_close(encoded.query[b], expected)


@pytest.mark.parametrize("gain", [1e-3, 30.0])
def test_level_of_the_recording_scales_the_streams_and_nothing_else(gain: float) -> None:
    encoder, x, lengths = make(), speech(), torch.full((3,), 3000)
    with torch.no_grad():
        plain, scaled = encoder(x, lengths), encoder(gain * x, lengths)
    torch.testing.assert_close(scaled.separated / gain, plain.separated, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(scaled.segments, plain.segments, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(("kind", "hop", "heard"), KINDS)
def test_silence_gives_no_nan_forward_or_backward(kind: str, hop: int, heard: str, guided: bool) -> None:
    encoder = make(kind, hop, heard).train()
    x = speech()
    x[1:] = 0
    x[0, :700] = 0
    guide = Guide(torch.stack([x, torch.zeros_like(x)], 1), torch.tensor([True, True, False])) if guided else None
    x.requires_grad_()
    encoded = encoder(x, torch.tensor([3000, 3000, 1000]), guide)
    loss = sum(part.square().sum() for part in (encoded.separated, encoded.noise, encoded.segments, encoded.query))
    loss.backward()
    assert all(torch.isfinite(part).all() for part in encoded if part.is_floating_point())
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("heard", ["masked", "trunk", "tdnn"])
@pytest.mark.parametrize("kind", ["stft", "learned"])
def test_every_parameter_gets_a_gradient(kind: str, heard: str) -> None:
    encoder = make(kind, 5, heard).train()
    encoded = encoder(speech(), torch.tensor([3000, 1111, 500]))
    generator = torch.Generator().manual_seed(1)
    loss = sum((part * torch.randn(part.shape, generator=generator)).sum() for part in encoded[:1] + encoded[2:3])
    loss.backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without


def test_three_streams_work_as_two_do() -> None:
    encoder, x = make(streams=3), speech()
    with torch.no_grad():
        encoded = encoder(x, torch.full((3,), 3000))
    assert encoded.separated.shape == (3, 3, 3000) and encoded.segments.shape[:2] == (3, 3)
    torch.testing.assert_close(encoded.separated.sum(1) + encoded.noise, x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["stft", "learned"])
def test_guide_replaces_what_the_speaker_head_hears_and_only_there(kind: str) -> None:
    encoder, x, lengths = make(kind), speech(), torch.full((3,), 3000)
    sources = torch.stack([x * 0.7, x * 0.3], 1) + 0.01 * torch.stack([speech(seed=1), -speech(seed=1)], 1)
    with torch.no_grad():
        plain = encoder(x, lengths)
        guided = encoder(x, lengths, Guide(sources, torch.tensor([True, False, False])))
        swapped = encoder(x, lengths, Guide(sources.flip(1), torch.tensor([True, False, False])))
    torch.testing.assert_close(guided.separated, plain.separated)
    torch.testing.assert_close(guided.segments[1:], plain.segments[1:])
    assert not torch.allclose(guided.segments[0], plain.segments[0], atol=1e-4)
    torch.testing.assert_close(swapped.segments[0], guided.segments[0].flip(0))


def test_shortest_recording_is_one_window() -> None:
    encoder = make()
    with torch.no_grad():
        encoded = encoder(speech(1, 64), torch.tensor([64]))
    assert all(torch.isfinite(part).all() for part in encoded if part.is_floating_point())


def test_statistics_of_a_segment_are_those_of_its_real_frames() -> None:
    config = make().config
    encoder = SeparativeEncoder(replace(config, speaker_statistics=5)).eval()
    x = torch.randn(2, 3, 10, 8, generator=torch.Generator().manual_seed(4))
    mask = (torch.arange(30).reshape(3, 10) < 24)[None, :, :, None].expand(2, -1, -1, 1)
    with torch.no_grad():
        pooled = encoder.pool(x, mask).double()
        wide = encoder.speaker_wide(x).double().clamp(min=0)
    for item in range(2):
        for segment, frames in enumerate((10, 10, 4)):
            real = wide[item, segment, :frames].numpy()
            expected = np.concatenate([real.mean(0), np.maximum(real.std(0), 1e-2)])
            np.testing.assert_allclose(pooled[item, segment].numpy(), expected, atol=1e-4)
