"""Switches that change how a step is computed, not what: activation checkpointing, torch.compile, the device."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from csc_cli.errors import ConfigError, CscError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

Make = Callable[..., Trainer]
SETTINGS = ("model.encoder.galr.dropout=0.2", "objective.guide_until=0.6")


def one_step(trainer: Trainer) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the first step."""
    trainer.learner.train()
    losses = trainer.stepper.losses(trainer.batches[0], 0, 0)
    losses.total.backward()
    named = trainer.learner.named_parameters()
    return losses.total.item(), {name: p.grad for name, p in named if p.grad is not None}


@contextmanager
def kept_bytes() -> Iterator[list[int]]:
    """The size of all distinct storages that autograd keeps for the backward pass while the block lasts."""
    sizes: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    total: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total.append(sum(sizes.values()))


def test_checkpointing_changes_no_gradient(make_trainer: Make) -> None:
    """Dropout is drawn again alike; what is kept is less."""
    kept, results = [], []
    for name, on in (("off", "false"), ("on", "true")):
        trainer = make_trainer(*SETTINGS, f"optimiser.activation_checkpointing={on}", name=name)
        with kept_bytes() as total:
            results.append(one_step(trainer))
        kept.append(total[0])
    (loss, gradients), (loss_again, again) = results
    assert loss_again == pytest.approx(loss, rel=1e-6) and gradients.keys() == again.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-6, atol=1e-6, msg=name)
    assert kept[1] < 0.7 * kept[0]


def test_checkpointing_where_there_is_nothing_to_make_again_is_refused(config: Callable[..., TrainConfig]) -> None:
    with pytest.raises(ConfigError, match="activation_checkpointing"):
        config("model.encoder=null", "model.embedder={kind: xvector}", "optimiser.activation_checkpointing=true")


# As wide as can be for the time of a test, but with as many chunks as a long recording has.
LONG = ("model.encoder.galr.chunk=8", "model.encoder.galr.chunk_hop=8", "batch.one_talker=0", "batch.held_out=0")


def bytes_of(
    make_data_dir: Callable[..., Path], tmp_path: Path, config: Callable[..., TrainConfig], crop_s: float
) -> int:
    if not (tmp_path / "long").exists():
        make_data_dir("long", speakers=4, utterances=2, seconds=21)
    settings = config(*LONG, f"mixtures.crop_s={crop_s}")
    trainer = Trainer(settings, DataDir.load(tmp_path / "long"), tmp_path / "exp", torch.device("cpu"))
    with kept_bytes() as total:
        one_step(trainer)
    return total[0]


def test_memory_is_linear_in_the_length_of_crops(
    make_data_dir: Callable[..., Path],
    tmp_path: Path,
    config: Callable[..., TrainConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From 2 s to 20 s (63 to 625 chunks) what a step keeps grows by the same for each second."""
    two, eleven, twenty = (bytes_of(make_data_dir, tmp_path, config, crop_s) for crop_s in (2.0, 11.0, 20.0))
    assert twenty <= 10.2 * two
    assert twenty - eleven <= 1.05 * (eleven - two)
    monkeypatch.setattr("csc_cli.nn.galr.FEW_CHUNKS", 10**6)
    assert bytes_of(make_data_dir, tmp_path, config, 20.0) > 15 * two, "the check must see the (S, S) matrices"


@pytest.mark.parametrize("backend", ["eager", pytest.param("aot_eager", marks=pytest.mark.long)])
def test_compiled_step_has_the_same_loss_and_gradients(make_trainer: Make, backend: str) -> None:
    plain = one_step(make_trainer(name="plain"))
    compiled = make_trainer(f"optimiser.compile={backend}", name="compiled")
    names = compiled.learner.state_dict().keys()
    loss, gradients = one_step(compiled)
    assert loss == pytest.approx(plain[0], rel=1e-5) and gradients.keys() == plain[1].keys()
    for name, gradient in plain[1].items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)
    assert names == make_trainer(name="other").learner.state_dict().keys(), "tensors keep their names"


def test_failing_compiler_is_an_error_of_one_line(make_trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import BackendCompilerFailed

    trainer = make_trainer("optimiser.compile=eager")

    def fail(*_: object) -> dict[str, float]:
        raise BackendCompilerFailed(lambda: None, RuntimeError("no C++ compiler\nat all"), [])

    monkeypatch.setattr(trainer, "update", fail)
    with pytest.raises(
        CscError, match=r"optimiser\.compile=eager: BackendCompilerFailed: .*; set it to null"
    ) as raised:
        trainer.run()
    assert "\n" not in str(raised.value)


ASKS = r"(is_available|is_bf16|device_count|current_|get_|set_|synchronize|memory|max_memory|mem_get|empty_cache)"
CALLS = [name for name in dir(torch.cuda) if re.match(ASKS, name)]


def test_training_on_a_cpu_makes_no_call_of_cuda(make_trainer: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to ask whether there is a GPU: a driver that hangs, or another's GPU, is not touched."""
    trainer = make_trainer("optimiser.steps=4", "optimiser.precision=auto", name="here")
    called: list[str] = []

    def forbid(name: str, real: Callable) -> Callable:
        def call(*arguments: object, **more: object) -> object:
            # torch's own book-keeping (its optimisers, its generators) may ask whether CUDA is there.
            caller = traceback.extract_stack()[-2].filename
            if "/torch/" not in caller:
                called.append(f"{name} by {caller}")
            return real(*arguments, **more)

        return call

    for name in CALLS:
        if callable(getattr(torch.cuda, name)):
            monkeypatch.setattr(torch.cuda, name, forbid(name, getattr(torch.cuda, name)))

    def initialise() -> None:
        raise AssertionError("CUDA is initialised")

    monkeypatch.setattr(torch.cuda, "_lazy_init", initialise)
    trainer.workers = 1
    trainer.run()
    Trainer(trainer.config, trainer.data, trainer.directory, torch.device("cpu")).run()
    assert called == []
    assert "is_available" in CALLS and "device_count" in CALLS and "synchronize" in CALLS


@pytest.mark.parametrize(("kind", "pinned"), [("cpu", False), ("cuda", True)])
def test_memory_is_pinned_for_a_gpu_alone(
    make_trainer: Make, monkeypatch: pytest.MonkeyPatch, kind: str, pinned: bool
) -> None:
    asked = {}
    monkeypatch.setattr("csc_cli.training.trainer.DataLoader", lambda *_, **options: asked.update(options) or iter(()))
    trainer = make_trainer()
    trainer.device = torch.device(kind)
    assert list(trainer.load()) == []
    assert asked["pin_memory"] is pinned


@pytest.mark.parametrize(
    ("setting", "without"),
    [
        ("objective.contrastive_weight=0", ("model.encoder.speaker", "model.readout", "inventory", "temperature")),
        ("objective.learn_alpha=false", ("temperature",)),
        ("objective.speaker_loss=aam", ("temperature",)),
        ("inventory.rows=attended", ("inventory",)),
        ("model.cross_attention=false", ("model.readout.query", "model.readout.key")),
        ("optimiser.frozen=[encoder.trunk, readout]", ("model.encoder.trunk", "model.readout")),
        ("objective.separation=none", ()),
    ],
)
def test_each_switch_takes_the_gradient_from_what_it_says_alone(
    make_trainer: Make, setting: str, without: tuple[str, ...]
) -> None:
    trainer = make_trainer("objective.guide_until=0", setting)
    names = {name for name, _ in make_trainer(name="plain").learner.named_parameters()}
    _, gradients = one_step(trainer)
    reached = {name for name, gradient in gradients.items() if gradient.any()}
    assert reached == {name for name in names if not any(map(name.startswith, without))}
