"""The model directory: written, read, damaged; seeds; devices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from csc_cli.errors import ConfigError, DataError
from csc_cli.nn.encoder import EncoderConfig
from csc_cli.nn.filterbank import FilterbankConfig
from csc_cli.nn.galr import GalrConfig
from csc_cli.nn.model import CscModel, ModelConfig, load_model, new_model, pick_device, save_model

SETTINGS = {
    "sample_rate": 8000,
    "encoder": {
        "filterbank": {"window": 64, "hop": 32},
        "galr": {"features": 8, "hidden": 8, "chunk": 10, "chunk_hop": 10, "mapped": 4, "heads": 2, "feedforward": 16},
        "trunk_blocks": 1,
        "embedding": 8,
    },
    "readout_heads": 2,
}


def make(seed: int = 0) -> CscModel:
    galr = GalrConfig(**SETTINGS["encoder"]["galr"])
    encoder = EncoderConfig(filterbank=FilterbankConfig(window=64, hop=32), galr=galr, trunk_blocks=1, embedding=8)
    return new_model(ModelConfig(8000, encoder, readout_heads=2), seed)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_model(make(), tmp_path / "model", yaml.safe_dump({"model": SETTINGS}))
    return tmp_path / "model"


def test_model_comes_back_as_it_was(directory: Path) -> None:
    model, loaded = make().eval(), load_model(directory)
    x, lengths = torch.randn(2, 500), torch.tensor([500, 300])
    with torch.no_grad():
        for one, two in zip(model(x, lengths), loaded(x, lengths), strict=True):
            assert torch.equal(one, two)
    assert not loaded.training and loaded.config == model.config


def test_weights_are_a_function_of_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, two, other = make(1), make(1), make(2)
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.encoder.bottleneck[0].weight, other.encoder.bottleneck[0].weight)


def test_embedding_of_one_recording_is_that_in_a_batch() -> None:
    model = make().eval()
    x, lengths = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0)), torch.tensor([2000, 900, 64])
    with torch.no_grad():
        encoded = model(x, lengths)
        z = model.embed(encoded.query, encoded.segments, encoded.segment_mask[:, None])
        torch.testing.assert_close(z.norm(dim=-1), torch.ones(3, 2))
        for b in range(3):
            one = model(x[b : b + 1, : lengths[b]], lengths[b : b + 1])
            alone = model.embed(one.query, one.segments, one.segment_mask[:, None])
            torch.testing.assert_close(z[b], alone[0], atol=1e-5, rtol=1e-5)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def not_tensors(path: Path) -> None:
    path.write_bytes(b"\xff" * 100)


def huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize("damage", [truncate, empty, not_tensors, huge_header])
def test_damaged_weights_are_named(directory: Path, damage: Callable[[Path], None]) -> None:
    damage(directory / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors.*damaged"):
        load_model(directory)


def drop(state: dict) -> None:
    del state["readout.out.weight"]


def add(state: dict) -> None:
    state["surplus"] = torch.zeros(1)


def reshape(state: dict) -> None:
    state["readout.out.weight"] = torch.zeros(3, 3)


@pytest.mark.parametrize("change", [drop, add, reshape])
def test_weights_that_do_not_fit_the_settings_are_named(directory: Path, change: Callable[[dict], None]) -> None:
    path = directory / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)
    with pytest.raises(DataError, match=r"model\.safetensors.*does not fit.*(readout\.out\.weight|surplus)"):
        load_model(directory)


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml"])
def test_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(DataError, match=name):
        load_model(directory)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no 'model' block"),
        ("- 1\n", "no 'model' block"),
        ("model: 3\n", "block"),
        ("model: {}\n", "sample_rate"),
        ("model: {sample_rate: 8000, encodr: {}}\n", "did you mean 'encoder'"),
        ("model: {sample_rate: [\n", "cannot be read"),
        ("model: {sample_rate: 8000, readout_heads: 3}\n", "readout_heads"),
    ],
)
def test_wrong_settings_are_named(directory: Path, text: str, message: str) -> None:
    (directory / "config.yaml").write_text(text)
    with pytest.raises((ConfigError, DataError), match=message) as raised:
        load_model(directory)
    assert "config.yaml" in str(raised.value)


def test_settings_that_are_not_text(directory: Path) -> None:
    (directory / "config.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"config\.yaml"):
        load_model(directory)


def test_failed_save_leaves_the_old_model(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (directory / "model.safetensors").read_bytes()

    def fail(state: dict, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(make(1), directory, yaml.safe_dump({"model": SETTINGS}))
    assert (directory / "model.safetensors").read_bytes() == before
    assert {path.name for path in directory.iterdir()} == {"model.safetensors", "config.yaml"}


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "cpu:x"])
def test_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--device"):
        pick_device(name)
    assert pick_device("cpu").type == "cpu"
