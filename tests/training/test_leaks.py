"""What must not pass from one place to another: own streams, labels, information that is not there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from csc_cli.nn.encoder import Encoded
from csc_cli.training.config import ObjectiveConfig
from csc_cli.training.fresh import fresh_loss
from csc_cli.training.trainer import Trainer
from tests.training.losses import Spy


def global_vectors(own_stream: bool, labels: torch.Tensor, seed: int = 0) -> tuple[Spy, torch.Tensor]:
    """The spy after a batch of B mixtures, with queries held fixed; and the segments (B, C, S, E), a leaf."""
    torch.manual_seed(1)
    spy = Spy(6, 2).double()
    mixtures, streams = labels.shape
    generator = torch.Generator().manual_seed(2)
    segments = torch.randn(mixtures, streams, 4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    queries = torch.randn(mixtures, streams, 6, generator=generator, dtype=torch.float64)
    mask = torch.ones(mixtures, 4, dtype=torch.bool)
    mask[1, 2:] = False
    config = ObjectiveConfig(own_stream=own_stream)
    choice = torch.Generator().manual_seed(seed)
    fresh_loss(spy, queries, segments, mask, labels, torch.tensor(5.0).double(), choice, config)
    return spy, segments


LABELS = torch.tensor([[3, 5], [5, 7], [7, 3], [5, 3], [7, -1], [3, 7]])


@pytest.mark.parametrize("seed", range(3))
def test_no_global_vector_of_an_anchor_sees_the_anchors_own_mixture(seed: int) -> None:
    spy, segments = global_vectors(False, LABELS, seed)
    names = [3, 5, 7]
    for anchor in range(LABELS.numel()):
        mixture = anchor // 2
        for place, name in enumerate(names):
            gradient = torch.autograd.grad(spy.seen.vectors[anchor, place, 0], segments, retain_graph=True)[0]
            assert not gradient[mixture].any()
            assert gradient.any(), "a vector that depends on nothing would pass, too"
            assert not gradient[name != LABELS].any(), "keys of another speaker"


def test_own_stream_among_the_keys_leaks() -> None:
    leaked = 0
    for seed in range(5):
        spy, segments = global_vectors(True, LABELS, seed)
        for anchor in range(LABELS.numel()):
            for place in range(3):
                gradient = torch.autograd.grad(spy.seen.vectors[anchor, place, 0], segments, retain_graph=True)[0]
                leaked += int(gradient[anchor // 2].any())
    assert leaked > 20


def test_keys_are_a_random_non_empty_part_of_the_real_segments() -> None:
    taken = torch.zeros(LABELS.numel(), 3, LABELS.numel())
    draws = 400
    for seed in range(draws):
        spy, _ = global_vectors(False, LABELS, seed)
        groups = spy.groups.unflatten(-1, (LABELS.numel(), 4))  # (A, J, streams, S)
        real = torch.ones(6, 4, dtype=torch.bool)
        real[1, 2:] = False
        real = real.repeat_interleave(2, 0)
        chosen = groups.any(-1)
        assert torch.equal(groups, chosen[..., None] & real), "a stream is a key with all of its real segments"
        assert chosen.any(-1).all()
        taken += chosen
    for anchor in range(LABELS.numel()):
        for place, name in enumerate([3, 5, 7]):
            allowed = [s for s in range(LABELS.numel()) if LABELS.flatten()[s] == name and s // 2 != anchor // 2]
            n = len(allowed)
            # Each with probability 1/2; where none is drawn (1 in 2^n) one is taken.
            expected = 0.5 + 0.5**n / n
            for stream in range(LABELS.numel()):
                share = float(taken[anchor, place, stream]) / draws
                assert share == (pytest.approx(expected, abs=0.12) if stream in allowed else 0)


def blind(trainer: Trainer, spread: Callable[[int], torch.Tensor]) -> float:
    """The held-out bound of embeddings that know nothing: `spread(streams)` draws them, (streams, E)."""
    mask = torch.ones(64, 1, dtype=torch.bool)

    def forward(mixture: torch.Tensor, lengths: torch.Tensor, guide: None = None) -> Encoded:
        batch, streams = len(mixture), trainer.config.model.encoder.streams
        separated = torch.randn(batch, streams, mixture.shape[1])
        segments = spread(batch * streams).view(batch, streams, 1, -1)
        return Encoded(separated, mixture, segments, mask[:batch], segments[:, :, 0])

    trainer.learner.model.forward = forward  # type: ignore[method-assign]
    trainer.learner.model.embed = lambda query, segments, mask: functional.normalize(query, dim=-1)  # type: ignore[method-assign]
    return trainer.held_out()["held_out_bound"]


@pytest.mark.parametrize("separation", ["si_snr", "none"])
@pytest.mark.parametrize("alpha", [1.0, 4.0, 30.0])
def test_random_embeddings_have_no_information(
    make_trainer: Callable[..., Trainer], separation: str, alpha: float
) -> None:
    torch.manual_seed(0)
    settings = (f"objective.alpha={alpha}", f"objective.separation={separation}", "batch.held_out_mixtures=200")
    bound = blind(make_trainer(*settings), lambda count: torch.randn(count, 8))
    assert bound <= 0.1


def test_rows_that_know_who_is_held_out_give_blind_embeddings_no_information(
    make_trainer: Callable[..., Trainer], make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    """Half of the speakers have nothing held out: that the others are asked for is no information of z."""
    data = make_data_dir("uneven", speakers=8, utterances=4)
    kept = [line.split() for line in (data / "utt2spk").read_text().splitlines()]
    kept = [(key, speaker) for key, speaker in kept if speaker < "spk4" or key[-1] in "01"]
    for name in ("wav.scp", "utt2spk"):
        lines = (data / name).read_text().splitlines()
        wanted = {key for key, _ in kept}
        (data / name).write_text("".join(line + "\n" for line in lines if line.split()[0] in wanted))
    members: dict[str, list[str]] = {}
    for key, speaker in kept:
        members.setdefault(speaker, []).append(key)
    (data / "spk2utt").write_text("".join(f"{s} {' '.join(keys)}\n" for s, keys in sorted(members.items())))
    torch.manual_seed(0)
    trainer = make_trainer("batch.held_out_mixtures=60", "objective.alpha=20", data=data)
    rows = trainer.learner.inventory.vectors
    with torch.no_grad():
        rows[:] = -1.0
        rows[trainer.corpus.held_out_rows(trainer.config)] = 1.0
    assert blind(trainer, lambda count: torch.ones(count, 8)) <= 0.1


@pytest.mark.parametrize("streams", [2, 3])
def test_permutation_chosen_by_labels_is_not_counted_as_information(
    make_trainer: Callable[..., Trainer], streams: int
) -> None:
    """Without the separation task the best of all assignments is taken, which itself knows the labels."""
    torch.manual_seed(0)
    settings = ("objective.separation=none", "batch.held_out_mixtures=200", "objective.alpha=1")
    settings = (*settings, f"model.encoder.streams={streams}")
    trainer = make_trainer(*settings)
    v, other = torch.eye(8)[:2]
    # Half of the rows lean to v and half away, by what makes the most of it: f is 4 times as large on one side.
    lean = math.log(4) / 4
    side = torch.where(torch.arange(6)[:, None] % 2 == 0, lean, -lean)
    with torch.no_grad():
        trainer.learner.inventory.vectors[:] = side * v + (1 - lean**2) ** 0.5 * other
    # A third stream is of use where both talkers lean to one side.
    signs = torch.tensor([1.0, -1.0, 1.0])[:streams, None] * v
    bound = blind(trainer, lambda count: signs.repeat(count // streams, 1))
    assert -1 < bound <= 0.1


@pytest.mark.parametrize("rows", ["learned", "attended"])
def test_perfect_embeddings_reach_the_ceiling(make_trainer: Callable[..., Trainer], rows: str) -> None:
    trainer = make_trainer("objective.alpha=50", f"inventory.rows={rows}")
    inventory = trainer.learner.inventory
    with torch.no_grad():
        inventory.vectors[:] = torch.eye(8)[:6]
        inventory.visited[:] = True
    batches = []
    measure = trainer.learner.measure
    trainer.learner.measure = lambda batch, autocast: (batches.append(batch), measure(batch, autocast))[1]  # type: ignore[method-assign]

    def forward(mixture: torch.Tensor, lengths: torch.Tensor, guide: None = None) -> Encoded:
        z = torch.eye(8)[batches[-1].labels][:, :, None]
        return Encoded(batches[-1].sources, mixture, z, torch.ones(len(mixture), 1, dtype=torch.bool), z[:, :, 0])

    trainer.learner.model.forward = forward  # type: ignore[method-assign]
    trainer.learner.model.embed = lambda query, segments, mask: query  # type: ignore[method-assign]
    figures = trainer.held_out()
    assert figures["held_out_bound"] == pytest.approx(math.log(6), abs=1e-4)
    assert figures["held_out_bound"] <= trainer.ceiling() + 1e-5
    assert figures["held_out_si_snri"] > 20


SELF_SUPERVISED = ("inventory.label=utterance", "inventory.momentum=0.0")


@pytest.mark.parametrize("rows", ["learned", "attended"])
def test_utterance_rows_do_not_look_at_utt2spk(make_trainer: Callable[..., Trainer], rows: str) -> None:
    """Speakers dealt out anew: the same weights bit for bit, the same curves, past the end of the curriculum."""
    states, lines = [], []
    for name in ("plain", "shuffled"):
        trainer = make_trainer(*SELF_SUPERVISED, f"inventory.rows={rows}", name=name)
        if name == "shuffled":
            relabel(trainer)
        assert trainer.run().startswith("trained 8 of 8")
        assert trainer.batches.parted
        states.append(trainer.learner.state_dict())
        rows_of = [json.loads(line) for line in (trainer.directory / "train.jsonl").read_text().splitlines()]
        lines.append([{key: value for key, value in row.items() if key != "seconds"} for row in rows_of])
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert lines[0] == lines[1]
    assert any("held_out_si_snri" in row for row in lines[0])


def relabel(trainer: Trainer) -> None:
    """The same utterances in the same order, their speakers (three of six) dealt out anew; rebuilt from there."""
    from csc_cli.kaldi.datadir import DataDir

    data = DataDir.load(trainer.directory.parent / "data")
    other = [replace(one, speaker=f"spk{place % 3}") for place, one in enumerate(data.utterances)]
    data = DataDir(data.path, tuple(other))
    trainer.__init__(trainer.config, data, trainer.directory, torch.device("cpu"))  # type: ignore[misc]


def test_speaker_rows_do_look_at_utt2spk(make_trainer: Callable[..., Trainer]) -> None:
    """The control of the test above: a check that cannot fail would check nothing."""
    states = []
    for name in ("plain", "shuffled"):
        trainer = make_trainer("optimiser.steps=2", name=name)
        if name == "shuffled":
            relabel(trainer)
        trainer.run()
        states.append(trainer.learner.model.state_dict())
    assert not all(torch.equal(value, states[1][key]) for key, value in states[0].items())
