"""The rival networks against SpeechBrain's, with its weights copied over.

SpeechBrain is no requirement of csc, but comes with its test extra. Its x-vector adds noise of
about 1e-5 to the means, which is switched off here.
"""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from csc_cli.dsp import torchaudio
from csc_cli.nn.baselines.embedder import Embedder, EmbedderConfig
from csc_cli.nn.baselines.features import Frames

try:
    torchaudio()  # SpeechBrain imports it too, and would fail on it beside some builds of torch
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    from speechbrain.lobes.models.Xvector import Xvector
    from speechbrain.nnet.pooling import StatisticsPooling
except ImportError:
    pytest.skip("SpeechBrain is not installed", allow_module_level=True)

# It leaves modules behind that fail when somebody looks at them, as pytest and inspect do with all that are loaded.
for name in [
    name for name, module in sys.modules.items() if type(module).__module__ == "speechbrain.utils.importutils"
]:
    del sys.modules[name]

MELS, WIDTH, EMBEDDING = 20, 16, 12


def pair(kind: str) -> tuple[nn.Module, Embedder]:
    """SpeechBrain's network with random weights and statistics, and ours with the same."""
    torch.manual_seed(3)
    widths = [WIDTH] * 4 + [3 * WIDTH]
    if kind == "ecapa":
        theirs = ECAPA_TDNN(MELS, lin_neurons=EMBEDDING, channels=widths)
    else:
        theirs = Xvector(in_channels=MELS, tdnn_channels=widths, lin_neurons=EMBEDDING, activation=nn.ReLU)
    ours = Embedder(EmbedderConfig(kind=kind, channels=WIDTH, embedding=EMBEDDING, mels=MELS), 8000)
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if value.dtype.is_floating_point:
                # Large enough that each layer matters, positive where a variance must be.
                value.copy_(value + 0.3 * (torch.rand_like(value) if "var" in name else torch.randn_like(value)))
        for mine, value in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert mine.squeeze().shape == value.squeeze().shape
            mine.copy_(value.view_as(mine))
    return theirs, ours


def embed(ours: Embedder, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Features (B, L, F), frames (B,) -> (B, E) by our frame layers, pooling and map."""
    mask = (torch.arange(features.shape[1]) < lengths[:, None])[:, None]
    frames = Frames(lengths, None if bool(mask.all()) else mask)
    return ours.heads[0](ours.pooling(ours.trunk(features.mT, frames), frames))[:, 0]


@pytest.fixture(autouse=True)
def no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        StatisticsPooling, "_get_gauss_noise", lambda _self, shape, device="cpu": torch.zeros(shape, device=device)
    )


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", ["xvector", "ecapa"])
def test_same_output_gradients_and_statistics(kind: str, training: bool) -> None:
    theirs, ours = pair(kind)
    theirs.train(training)
    ours.train(training)
    features = torch.randn(3, 90, MELS, generator=torch.Generator().manual_seed(5))
    weight = torch.randn(3, EMBEDDING, generator=torch.Generator().manual_seed(6))
    results = []
    for network in (theirs, ours):
        x = features.clone().requires_grad_()
        z = network(x).squeeze(1) if network is theirs else embed(ours, x, torch.full((3,), 90))
        (z * weight).sum().backward()
        results.append((z.detach(), x.grad))
    (z, gradient), (found, found_gradient) = results
    assert float(z.std()) > 0.1
    torch.testing.assert_close(found, z, rtol=1e-4, atol=2e-4)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
    for mine, value in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(mine.squeeze(), value.squeeze(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["xvector", "ecapa"])
def test_a_padded_batch_gives_what_theirs_gives_alone(kind: str) -> None:
    theirs, ours = (network.eval() for network in pair(kind))
    lengths = torch.tensor([70, 41, 12])
    features = torch.randn(3, 70, MELS, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        found = embed(ours, features, lengths)
        for index, length in enumerate(lengths.tolist()):
            alone = theirs(features[index : index + 1, :length])[0, 0]
            torch.testing.assert_close(found[index], alone, rtol=1e-4, atol=2e-4)
