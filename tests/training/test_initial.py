"""What a training begins from: weights of other models, and parts that stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import load_model
from csc_cli.training.config import TrainConfig
from csc_cli.training.entry import train_model
from csc_cli.training.initial import Initial, take_weights
from csc_cli.training.trainer import Trainer

Make = Callable[..., Trainer]


def begin(make_trainer: Make, tmp_path: Path, given: Path, *overrides: str) -> Trainer:
    """A trainer that begins from the model directory `given`."""
    trainer = make_trainer(*overrides, name="other")
    data = DataDir.load(tmp_path / "data")
    return Trainer(trainer.config, data, tmp_path / "begun", torch.device("cpu"), initial=[Initial(given)])


@pytest.fixture
def given(make_trainer: Make, tmp_path: Path) -> Path:
    """A model trained for three steps with another seed."""
    make_trainer("optimiser.steps=3", "seed=5", name="given").run()
    return tmp_path / "given"


def test_training_begins_from_the_weights_of_a_model(make_trainer: Make, tmp_path: Path, given: Path) -> None:
    trainer = begin(make_trainer, tmp_path, given)
    own, theirs = trainer.learner.model.state_dict(), load_model(given).state_dict()
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    fresh = make_trainer(name="fresh").learner.model.state_dict()
    assert not torch.equal(fresh["encoder.speaker_out.weight"], own["encoder.speaker_out.weight"])


def test_a_part_of_a_model_is_enough(make_trainer: Make, tmp_path: Path, given: Path) -> None:
    model, before = make_trainer(name="fresh").learner.model, make_trainer(name="fresh").learner.model.state_dict()
    take_weights(model, [Initial.parse(f"encoder.trunk={given}")])
    after, theirs = model.state_dict(), load_model(given).state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved and all(name.startswith("encoder.trunk.") for name in moved)
    assert all(torch.equal(after[name], theirs[name]) for name in after if name.startswith("encoder.trunk."))


def test_frozen_parts_stay_bit_for_bit_and_the_others_move(make_trainer: Make, tmp_path: Path, given: Path) -> None:
    frozen = ("encoder.trunk", "encoder.standardise")
    trainer = begin(make_trainer, tmp_path, given, f"optimiser.frozen=[{', '.join(frozen)}]")
    before = {name: tensor.clone() for name, tensor in trainer.learner.model.state_dict().items()}
    trainer.run()
    after = load_model(tmp_path / "begun").state_dict()
    for name, tensor in after.items():
        if name.startswith(tuple(f"{part}." for part in frozen)):
            assert torch.equal(tensor, before[name]), name
    assert not torch.equal(after["encoder.speaker_out.weight"], before["encoder.speaker_out.weight"])
    assert not torch.equal(after["encoder.bottleneck.0.weight"], before["encoder.bottleneck.0.weight"])


def test_unknown_part_is_named(make_trainer: Make) -> None:
    with pytest.raises(DataError, match=r"no part 'encoder.trunck'.*encoder"):
        make_trainer("optimiser.frozen=[encoder.trunck]")


def test_weights_of_another_size_or_of_another_network_are_refused(
    make_trainer: Make, tmp_path: Path, given: Path, make_model_dir: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match=r"--init .*given: of another size than this model: .*use its settings"):
        begin(make_trainer, tmp_path, given, "model.encoder.embedding=12")
    with pytest.raises(ConfigError, match="has nothing in common"):
        take_weights(torch.nn.Linear(2, 2), [Initial(given)])
    with pytest.raises(ConfigError, match="was trained at 16000 Hz, this model is for 8000 Hz"):
        Initial(make_model_dir("wide", sample_rate=16000)).digest(8000)


def test_a_checkpoint_remembers_what_it_began_from(
    config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path], tiny: Path, tmp_path: Path, given: Path
) -> None:
    train_model(tiny, tmp_path / "data", tmp_path / "exp", ("optimiser.steps=2",), initial=[Initial(given)])
    assert f"initial: [{Initial(given).digest(8000)}]" in (tmp_path / "exp" / "config.yaml").read_text()
    with pytest.raises(ConfigError, match=r"other settings \(initial: .* -> "):
        train_model(tiny, tmp_path / "data", tmp_path / "exp", ("optimiser.steps=2",))


def test_rows_are_made_for_the_new_speakers_and_the_old_ones_are_dropped(
    make_trainer: Make, make_data_dir: Callable[..., Path], tmp_path: Path, given: Path
) -> None:
    """Eight speakers after six: as many rows, drawn as without --init; nothing of the six is left."""
    others = make_data_dir("others", speakers=8, utterances=3, seed=1)
    fresh = make_trainer(data=others, name="fresh")
    data = DataDir.load(others)
    begun = Trainer(fresh.config, data, tmp_path / "begun", torch.device("cpu"), initial=[Initial(given)])
    assert begun.corpus.rows.keys() == {(f"spk{number}", 1.0) for number in range(8)}
    rows = begun.learner.state_dict()["inventory.vectors"]
    assert len(rows) == 8 and torch.equal(rows, fresh.learner.state_dict()["inventory.vectors"])
    assert not any(name.startswith("inventory") for name in load_model(given).state_dict())
    assert begun.run().startswith("trained 8 of 8 steps")
