"""A training small enough for a test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from csc_cli import config as configs
from csc_cli.kaldi.datadir import DataDir
from csc_cli.training import checkpoint
from csc_cli.training.config import TrainConfig
from csc_cli.training.trainer import Trainer

TINY = """\
model:
  sample_rate: 8000
  encoder:
    filterbank: {window: 64, hop: 32}
    galr: {features: 8, hidden: 8, chunk: 10, chunk_hop: 10, mapped: 4, heads: 2, feedforward: 16}
    trunk_blocks: 1
    embedding: 8
  readout_heads: 2
mixtures: {crop_s: 0.5}
batch: {utterances: 4, conditions: 1, held_out: 0.34, held_out_mixtures: 4, one_talker: 0.4}
objective: {parted_latest: 0.4, parted_db: 50}
optimiser: {steps: 8, warmup: 2, precision: float32}
tracking: {log_every: 2, held_out_every: 3, checkpoint_every: 4}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bit for bit the same, whatever the machine's cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The config file."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def config() -> Callable[..., TrainConfig]:
    """The tiny settings with some replaced: config("batch.utterances=6")."""
    return lambda *overrides: configs.loads(TrainConfig, TINY, "tiny.yaml", overrides)


@pytest.fixture
def make_trainer(
    config: Callable[..., TrainConfig], make_data_dir: Callable[..., Path], tmp_path: Path
) -> Callable[..., Trainer]:
    """A trainer on six speakers with three utterances each (or on `data`), in a folder of its own."""

    def make(*overrides: str, data: Path | None = None, name: str = "exp") -> Trainer:
        folder = tmp_path / "data"
        if data is None and not folder.exists():
            make_data_dir("data", speakers=6, utterances=3)
        return Trainer(config(*overrides), DataDir.load(data or folder), tmp_path / name, torch.device("cpu"))

    return make


@pytest.fixture
def assert_same_training() -> Callable[[Path, Path], None]:
    """That two model directories hold the same last checkpoint, bit for bit, and the same history but for seconds."""

    def check(one: Path, two: Path) -> None:
        assert_equal(last_state(one), last_state(two))
        assert history(one) == history(two)

    return check


def history(directory: Path) -> list[dict]:
    rows = [json.loads(line) for line in (directory / "train.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def last_state(directory: Path) -> dict:
    folder = directory / "checkpoints"
    return torch.load(checkpoint.path_of(folder, checkpoint.steps(folder)[-1]), weights_only=True)


def assert_equal(one: object, two: object, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, two), where
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            if key != "seconds":
                assert_equal(one[key], two[key], f"{where}.{key}")
    elif isinstance(one, list):
        for place, pair in enumerate(zip(one, two, strict=True)):
            assert_equal(*pair, f"{where}[{place}]")
    else:
        assert one == two, where
