"""`csc train` as a user meets it: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import Result

Run = Callable[..., Result]

CONF = """\
model:
  sample_rate: 8000
  encoder:
    filterbank: {window: 64, hop: 32}
    galr: {features: 8, hidden: 8, chunk: 10, chunk_hop: 10, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    embedding: 8
  readout_heads: 2
mixtures: {crop_s: 0.5}
batch: {utterances: 4, conditions: 1, held_out: 0.34, held_out_mixtures: 4}
optimiser: {steps: 3, warmup: 2, precision: float32}
tracking: {log_every: 1, held_out_every: 2, checkpoint_every: 2}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(make_data_dir: Callable[..., Path]) -> Path:
    return make_data_dir("data", speakers=4, utterances=3)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(CONF)
    return path


@pytest.fixture
def train(csc: Run, conf: Path, data: Path, tmp_path: Path) -> Run:
    """`csc train` on the CPU, on the tiny config."""

    def run(*options: object, status: int = 0, exp: Path | str = "exp", conf: Path = conf, data: Path = data) -> Result:
        result = csc("train", conf, data, tmp_path / exp, "--device", "cpu", *options, status=status)
        assert "Traceback" not in result.output
        return result

    return run


def test_model_directory_is_complete_and_portable(train: Run, tmp_path: Path) -> None:
    from csc_cli.nn.model import load_model

    result = train()
    assert result.stdout.startswith("trained 3 of 3 steps")
    exp = tmp_path / "exp"
    names = {"model.safetensors", "config.yaml", "train.jsonl", "curves.png", "checkpoints", "tensorboard"}
    assert {path.name for path in exp.iterdir()} == names
    assert not any(path.is_symlink() for path in exp.rglob("*"))
    settings = yaml.safe_load((exp / "config.yaml").read_text())
    assert settings["optimiser"]["steps"] == 3 and settings["objective"]["own_stream"] is False
    assert str(tmp_path) not in (exp / "config.yaml").read_text()
    rows = [json.loads(line) for line in (exp / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 2, 3, 3]
    wanted = {"loss", "separation", "inventory", "segment", "batch", "si_snri", "bound", "ceiling", "alpha"}
    assert all(wanted <= row.keys() for row in rows if "loss" in row)
    assert all({"held_out_si_snri", "held_out_bound"} <= row.keys() for row in rows if "loss" not in row)
    exp.rename(tmp_path / "moved")
    assert load_model(tmp_path / "moved").config.sample_rate == 8000


def test_zero_steps_write_the_untrained_model(train: Run, tmp_path: Path) -> None:
    from csc_cli.nn.model import load_model

    train("--max-steps", 0, exp="untrained")
    train("--max-steps", 0, exp="again")
    train("--max-steps", 0, "--seed", 1, exp="other")
    weights = [load_model(tmp_path / name).encoder.bottleneck[0].weight for name in ("untrained", "again", "other")]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_a_key_set_on_the_command_line_is_in_the_resolved_config(train: Run, tmp_path: Path) -> None:
    train("--max-steps", 1, "--set", "objective.alpha=7", "--set", "mixtures.sir_db=[0, 3]")
    settings = yaml.safe_load((tmp_path / "exp" / "config.yaml").read_text())
    assert settings["objective"]["alpha"] == 7 and settings["mixtures"]["sir_db"] == [0, 3]
    assert settings["optimiser"]["steps"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {steps: 3}", r"tiny.yaml:13: unknown key 'optimizer'; did you mean 'optimiser'?"),
        ("seed: 1.5", "'seed: 1.5' must be a whole number"),
        ("seed: 1\nseed: 2", "key 'seed' is given twice"),
        ("objective: {own_stream: on}", "must be true or false"),
        ("objective: {alpha: 0}", "alpha=0"),
        ("a: [", "not valid YAML"),
    ],
)
def test_fault_of_the_config_is_named_with_its_line(
    train: Run, conf: Path, tmp_path: Path, text: str, message: str
) -> None:
    conf.write_text(CONF + text + "\n")
    result = train(status=1)
    assert message in result.stderr and "tiny.yaml:" in result.stderr
    assert not (tmp_path / "exp").exists()


def test_missing_key_is_named(train: Run, conf: Path) -> None:
    conf.write_text(CONF.replace("  sample_rate: 8000\n", ""))
    assert "missing key 'model.sample_rate'" in train(status=1).stderr
    conf.write_text(CONF)
    assert "did you mean 'steps'" in train("--set", "optimiser.step=1", status=1).stderr


def test_changed_settings_are_refused_with_the_difference(train: Run, tmp_path: Path) -> None:
    train()
    before = (tmp_path / "exp" / "model.safetensors").read_bytes()
    result = train("--set", "objective.alpha=9", "--max-steps", 5, status=1)
    assert "objective.alpha: 4.0 -> 9.0" in result.stderr and "optimiser.steps: 3 -> 5" in result.stderr
    assert "another EXP" in result.stderr
    assert (tmp_path / "exp" / "model.safetensors").read_bytes() == before


def test_freeze_is_the_setting(train: Run, tmp_path: Path) -> None:
    train("--freeze", "encoder.trunk", "--freeze", "readout")
    assert "frozen: [encoder.trunk, readout]" in (tmp_path / "exp" / "config.yaml").read_text()
    result = train("--freeze", "encoder.trunk", status=1)
    assert "optimiser.frozen: ['encoder.trunk', 'readout'] -> ['encoder.trunk']" in result.stderr


def test_other_data_is_refused(train: Run, make_data_dir: Callable[..., Path]) -> None:
    train()
    assert "other data" in train(status=1, data=make_data_dir("more", speakers=5, utterances=3)).stderr


def test_damaged_checkpoint_is_named_with_the_remedy(train: Run, tmp_path: Path) -> None:
    train()
    path = tmp_path / "exp" / "checkpoints" / "step-00000003.pt"
    path.write_bytes(path.read_bytes()[:1000])
    result = train(status=1)
    assert "step-00000003.pt: damaged" in result.stderr and "remove it" in result.stderr
    path.unlink()
    assert "going on from step 2" in train().stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_recording_with_nan_is_named(train: Run, data: Path, workers: int) -> None:
    for key in ("spk1-utt0", "spk1-utt1", "spk1-utt2"):
        soundfile.write(data / "wav" / f"{key}.wav", np.full(8000, np.nan, np.float32), 8000, subtype="FLOAT")
    result = train("--workers", workers, "--set", "optimiser.steps=50", status=1)
    assert "spk1-utt" in result.stderr and "not finite" in result.stderr
    lines = result.stderr.strip().splitlines()
    assert all("spk1-utt" in line for line in lines), result.stderr
    assert [line.startswith("Error: ") for line in lines] == [False] * (len(lines) - 1) + [True]


def test_data_that_are_no_data_directory(train: Run, tmp_path: Path, data: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "wav.scp" in train(status=1, data=tmp_path / "empty").stderr
    assert train(status=2, data=tmp_path / "absent").exit_code == 2
    (data / "utt2spk").write_text("spk0-utt0 spk0\n")
    assert train(status=1).stderr.startswith("Error: ")


def test_too_few_speakers(train: Run, make_data_dir: Callable[..., Path]) -> None:
    result = train(status=1, data=make_data_dir("one", speakers=1, utterances=4))
    assert "1 speakers, but a batch needs 2" in result.stderr


def test_exp_that_is_a_file_or_cannot_be_written(train: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    result = train(status=1, exp="file")
    assert "file" in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("device", ["cuda:77", "gpu"])
def test_device_that_is_not_there(csc: Run, conf: Path, data: Path, tmp_path: Path, device: str) -> None:
    assert "--device" in csc("train", conf, data, tmp_path / "exp", "--device", device, status=1).stderr
    assert not (tmp_path / "exp").exists()


def test_loss_that_is_not_finite_stops_the_training_with_the_mixtures_named(train: Run, tmp_path: Path) -> None:
    result = train("--set", "optimiser.learning_rate=1e30", "--set", "optimiser.warmup=0", "--max-steps", 50, status=1)
    assert "the loss is" in result.stderr and "lower optimiser.learning_rate" in result.stderr
    assert "mixtures" in result.stderr
