"""GE2E and NT-Xent against loops in float64, gradients numerically."""

from __future__ import annotations

import math

import pytest
import torch

from csc_cli.nn.pairs import Ge2e, ge2e_loss, nt_xent_loss

W, B = torch.tensor(6.0, dtype=torch.float64), torch.tensor(-2.0, dtype=torch.float64)
LABELS = [4, 1, 4, 7, 1, -1, 4, 9]  # 7 and 9 have one embedding, -1 takes no part


def embeddings(seed: int, count: int = 8, size: int = 4) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def test_ge2e_leaves_an_embedding_out_of_its_own_centre() -> None:
    z = embeddings(0)
    loss = ge2e_loss(z, torch.tensor(LABELS), W, B)
    unit = [v / v.norm() for v in z]
    for a, label in enumerate(LABELS):
        similarity = {}
        for name in sorted(set(LABELS) - {-1}):
            members = [unit[i] for i, own in enumerate(LABELS) if own == name and not (name == label and i == a)]
            if members:
                similarity[name] = float(W) * cosine(unit[a], sum(members) / len(members)) + float(B)
        if label not in similarity:
            assert float(loss[a]) == 0
            continue
        expected = -similarity[label] + math.log(sum(map(math.exp, similarity.values())))
        assert float(loss[a]) == pytest.approx(expected, abs=1e-9)


def test_nt_xent_is_simclrs_for_pairs_and_the_mean_over_positives_for_more() -> None:
    z = embeddings(1)
    loss = nt_xent_loss(3 * z, torch.tensor(LABELS), 0.2)
    known = [i for i, label in enumerate(LABELS) if label >= 0]
    for a, label in enumerate(LABELS):
        positives = [i for i in known if i != a and LABELS[i] == label]
        if a not in known or not positives:
            assert float(loss[a]) == 0
            continue
        total = sum(math.exp(cosine(z[a], z[i]) / 0.2) for i in known if i != a)
        terms = [-math.log(math.exp(cosine(z[a], z[p]) / 0.2) / total) for p in positives]
        assert float(loss[a]) == pytest.approx(sum(terms) / len(terms), abs=1e-9)


def test_gradients_numerically() -> None:
    z, labels = embeddings(2).requires_grad_(), torch.tensor(LABELS)
    w, b = W.clone().requires_grad_(), B.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, w, b: ge2e_loss(z, labels, w, b), (z, w, b))
    assert torch.autograd.gradcheck(lambda z: nt_xent_loss(z, labels, 0.3), (z,))


@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, -1, -1], [0, 1, 2], [5, 5, 5]])
def test_batches_with_nothing_to_tell_apart_stay_finite(labels: list[int]) -> None:
    z = embeddings(3, 3).requires_grad_()
    target = torch.tensor(labels)
    for loss in (ge2e_loss(z, target, W, B), nt_xent_loss(z, target, 0.1)):
        assert loss.shape == (3,) and bool(torch.isfinite(loss).all())
        gradient = torch.autograd.grad(loss.sum(), z)[0]
        assert bool(torch.isfinite(gradient).all())


def test_ge2es_scale_is_learned_and_stays_positive() -> None:
    loss = Ge2e()
    assert float(loss.log_weight.detach().exp()) == pytest.approx(10) and float(loss.bias.detach()) == -5
    z, labels = embeddings(4).float(), torch.tensor(LABELS)
    loss(z, labels).sum().backward()
    assert loss.log_weight.grad is not None and float(loss.log_weight.grad) != 0
    torch.testing.assert_close(loss(z, labels), ge2e_loss(z, labels, torch.tensor(10.0), torch.tensor(-5.0)))
