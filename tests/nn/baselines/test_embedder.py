"""The rivals' network as a whole: padding, gradients, size, batches, refusals."""

from __future__ import annotations

import pytest
import torch

from csc_cli import config
from csc_cli.errors import ConfigError
from csc_cli.nn.baselines.embedder import Embedder, EmbedderConfig

KINDS = [
    (kind, pooling, embeddings)
    for kind in ("xvector", "ecapa")
    for pooling, embeddings in (("statistics", 1), ("statistics", 2), ("attentive", 1), ("attentive", 2))
] + [("xvector", "recursive", 2), ("ecapa", "recursive", 2), ("ecapa", "recursive", 3)]
every = pytest.mark.parametrize(("kind", "pooling", "embeddings"), KINDS)


def make(kind: str, pooling: str, embeddings: int) -> Embedder:
    """A small network in evaluation mode, with running statistics as after some training."""
    torch.manual_seed(2)
    settings = EmbedderConfig(kind, 16, 8, embeddings, pooling, mels=20)
    network = Embedder(settings, 8000)
    for _ in range(3):
        network(torch.randn(4, 4000), torch.full((4,), 4000))
    return network.eval()


@every
def test_padding_changes_nothing(kind: str, pooling: str, embeddings: int) -> None:
    network = make(kind, pooling, embeddings)
    lengths = torch.tensor([6000, 3333, 801, 150])
    samples = torch.randn(4, 6000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = network(samples, lengths)
        again = network(samples.masked_fill(torch.arange(6000) >= lengths[:, None], 5.0), lengths)
        alone = [network(samples[i : i + 1, :n], lengths[i : i + 1])[0] for i, n in enumerate(lengths.tolist())]
    assert together.shape == (4, embeddings, 8) and float(together.std()) > 0.02
    assert torch.equal(together, again)
    assert float((together - torch.stack(alone)).abs().max()) < 1e-5


@every
def test_gradient_reaches_every_parameter_and_the_samples(kind: str, pooling: str, embeddings: int) -> None:
    network = make(kind, pooling, embeddings).train()
    samples = torch.randn(3, 4000, generator=torch.Generator().manual_seed(3)).requires_grad_()
    lengths = torch.tensor([4000, 2500, 400])
    embedded = network.embed(samples, lengths)
    weight = torch.randn(embedded.vectors.shape, generator=torch.Generator().manual_seed(4))
    value = (embedded.vectors * weight).sum() + (0 if embedded.existence is None else embedded.existence.sum())
    value.backward()
    for name, parameter in network.named_parameters():
        # What normalisation takes away again, and the softmax's own constant, have no gradient but rounding.
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name
    assert bool(samples.grad[0].any()) and bool(samples.grad[2, :400].any())
    assert not samples.grad[2, 400:].any() and bool(torch.isfinite(samples.grad).all())


@pytest.mark.parametrize("kind", ["xvector", "ecapa"])
def test_the_networks_are_of_the_size_of_the_method(kind: str) -> None:
    network = Embedder(EmbedderConfig(kind), 8000)
    assert 1.8e6 < sum(parameter.numel() for parameter in network.parameters()) < 1.9e6


def test_existence_is_told_by_recursive_pooling_alone() -> None:
    samples, lengths = torch.randn(2, 2000), torch.tensor([2000, 900])
    assert make("ecapa", "attentive", 2).embed(samples, lengths).existence is None
    existence = make("ecapa", "recursive", 3).embed(samples, lengths).existence
    assert existence is not None and existence.shape == (2, 3)


def test_embeddings_beyond_the_talkers_stay_out_of_the_statistics() -> None:
    samples, lengths = torch.randn(3, 3000, generator=torch.Generator().manual_seed(5)), torch.full((3,), 3000)
    network = make("ecapa", "recursive", 2).double().train()
    inputs: list[torch.Tensor] = []
    norm = network.heads[0].norm
    norm.register_forward_pre_hook(lambda _module, given: inputs.append(given[0].detach()))
    norm.reset_running_stats()
    network.embed(samples.double(), lengths, torch.tensor([2, 1, 1]))
    real = torch.stack([inputs[0][0, :, 0], inputs[0][0, :, 1], inputs[0][1, :, 0], inputs[0][2, :, 0]])
    torch.testing.assert_close(norm.running_mean, 0.1 * real.mean(0))


def test_two_processes_see_the_batch_that_one_sees() -> None:
    """Each half is given the sums of both, layer by layer, by running the whole batch beside it."""
    network = make("ecapa", "attentive", 1).double().train()
    samples = torch.randn(4, 2000, generator=torch.Generator().manual_seed(6)).double()
    lengths = torch.tensor([2000, 1500, 2000, 700])
    sums: list[torch.Tensor] = []
    network.share_statistics(lambda own: sums.append(own) or own)
    whole = network(samples, lengths)
    for half in (slice(0, 2), slice(2, 4)):
        left = iter(sums)
        network.share_statistics(lambda own, left=left: next(left))
        # The shift is the running mean, which has moved; bring it back to what the sums were taken about.
        network.load_state_dict(make("ecapa", "attentive", 1).double().state_dict())
        torch.testing.assert_close(network(samples[half], lengths[half]), whole[half])


def test_settings_are_read_and_wrong_ones_refused() -> None:
    read = config.loads(EmbedderConfig, "kind: xvector\npooling: recursive\nembeddings: 2\nchannels: null\n")
    assert (read.width, read.pooled_by) == (360, "recursive")
    for text, message in [
        ("channels: 100", "channels=100: must be a multiple of 8 for ecapa"),
        ("pooling: recursive", "recursive pooling is for several, take 2"),
        ("embedding: 0", "must be at least 1"),
        ("mels: 3", "mels=3"),
        ("pooling: mean", "not one of statistics, attentive, recursive"),
    ]:
        with pytest.raises(ConfigError, match=message):
            config.loads(EmbedderConfig, text)
