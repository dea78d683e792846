"""EER on other speakers while training goes on, and the early end that may hang on it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.metrics.detection import eer
from csc_cli.mixtures.render import render
from csc_cli.nn.model import load_model
from csc_cli.training.config import TrackingConfig, TrainConfig
from csc_cli.training.entry import other_speakers, train_model
from csc_cli.training.patience import Patience
from csc_cli.training.trainer import Trainer
from csc_cli.training.verification import Verification

AUTOCAST = torch.autocast("cpu", enabled=False)
Make = Callable[..., Trainer]


@pytest.fixture
def dev(make_data_dir: Callable[..., Path]) -> DataDir:
    return DataDir.load(make_data_dir("dev", speakers=3, utterances=5))


def test_eer_is_that_of_each_recording_alone(
    config: Callable[..., TrainConfig], dev: DataDir, make_model_dir: Callable[..., Path]
) -> None:
    """Every recording unpadded through the network, every pair scored in a loop."""
    verification, model = Verification(dev, config()), load_model(make_model_dir())
    vectors: dict[str, list[np.ndarray]] = {}
    speakers: dict[str, frozenset[str]] = {}
    for item in verification.recordings:
        x = torch.from_numpy(render(item.plan, verification.store).mixture)[None]
        with torch.no_grad():
            y = model(x, torch.tensor([x.shape[1]]))
            z = model.embed(y.query, y.segments, y.segment_mask[:, None])[0].numpy()
        power = y.separated[0].square().sum(-1).numpy()
        ratio_db = 10 * np.log10(power / float(x.square().sum()))
        vectors[item.plan.id] = [z[c] for c in np.argsort(-power) if ratio_db[c] >= -15 or power[c] == power.max()]
        speakers[item.plan.id] = item.speakers
    expected = {}
    enrolled = {name: [v[0] for id, v in vectors.items() if id.startswith("enroll") and name in speakers[id]]
                for name in dev.spk2utt}  # fmt: skip
    assert {len(own) for own in enrolled.values()} == {3}
    for condition in ("clean", "mixed"):
        scores, target = [], []
        for id, streams in vectors.items():
            if not id.startswith(condition):
                continue
            for name, own in enrolled.items():
                mean = np.mean(own, 0)
                scores.append(max(float(stream @ mean / np.linalg.norm(mean)) for stream in streams))
                target.append(name in speakers[id])
        assert len(scores) == 3 * 2 * 3 and sum(target) == (6 if condition == "clean" else 12)
        expected[f"dev_eer_{condition}"] = 100 * eer(np.array(scores), np.array(target))[0]
    assert verification.measure(model, AUTOCAST) == pytest.approx(expected, abs=1e-3)


def test_figures_stand_in_the_history(make_trainer: Make, dev: DataDir, tmp_path: Path) -> None:
    trainer = make_trainer()
    Trainer(trainer.config, DataDir.load(tmp_path / "data"), tmp_path / "with", torch.device("cpu"), dev=dev).run()
    rows = [json.loads(line) for line in (tmp_path / "with" / "train.jsonl").read_text().splitlines()]
    measured = [row for row in rows if "dev_eer_clean" in row]
    assert [row["step"] for row in measured] == [3, 6, 8]
    assert all(0 <= row["dev_eer_mixed"] <= 100 for row in measured)


def test_speakers_that_are_trained_on_are_refused(
    make_data_dir: Callable[..., Path], tiny: Path, tmp_path: Path
) -> None:
    data = make_data_dir("data", speakers=6, utterances=3)
    with pytest.raises(DataError, match=r"--dev .*data: speakers spk0, .* are trained on, too"):
        train_model(tiny, data, tmp_path / "exp", dev_dir=data)
    with pytest.raises(DataError, match=r"1 speaker\(s\) have two utterances"):
        Verification(DataDir.load(make_data_dir("one", speakers=1)), make_config(tiny))
    assert other_speakers(DataDir.load(data).subset([]), DataDir.load(data)) is not None


def make_config(conf: Path) -> TrainConfig:
    from csc_cli import config as configs

    return configs.load(TrainConfig, conf)


def test_patience_ends_at_the_first_value_that_is_late() -> None:
    patience = Patience(TrackingConfig(patience=2, stop_on="si_snri"))
    values = [1.0, 3.0, 2.0, 3.0]
    assert [patience.look(step, {"held_out_si_snri": value}) for step, value in enumerate(values)] == [
        True, True, False, False,
    ]  # fmt: skip
    assert patience.is_over and patience.best_step == 1
    unsure = Patience(TrackingConfig(patience=2, stop_on="si_snri"))
    assert [unsure.look(step, {"held_out_si_snri": value}) for step, value in enumerate([math.nan, 1.0, math.nan])] == [
        False, True, False,
    ]  # fmt: skip
    assert unsure.best == 1.0 and not unsure.is_over, "what is not a number is never the best"
    falling = Patience(TrackingConfig(patience=1, stop_on="eer_mixed"))
    assert falling.look(1, {"dev_eer_mixed": 20.0}) and falling.look(2, {"dev_eer_mixed": 10.0})
    assert not falling.look(3, {"dev_eer_mixed": 11.0}) and falling.is_over
    with pytest.raises(ConfigError, match="give speakers with --dev"):
        falling.look(4, {})


def test_best_model_is_kept_and_training_ends_early(make_trainer: Make, tmp_path: Path) -> None:
    trainer = make_trainer("tracking.patience=1", "tracking.stop_on=si_snri", "optimiser.steps=30")
    gains = iter([1.0, 2.0, 1.5, 9.0])
    kept: list[dict[str, torch.Tensor]] = []

    def held_out() -> dict[str, float]:
        kept.append({name: tensor.clone() for name, tensor in trainer.learner.model.state_dict().items()})
        return {"held_out_si_snri": next(gains)}

    trainer.held_out = held_out  # type: ignore[method-assign]
    trainer.run()
    assert trainer.step == 9
    best = load_model(tmp_path / "exp" / "best").state_dict()
    assert all(torch.equal(best[name], kept[1][name]) for name in best)
