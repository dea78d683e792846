"""A disk that is full wherever training writes: one line, the last checkpoint whole, a rerun goes on."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest

from csc_cli import files
from csc_cli.training import board, checkpoint, history
from csc_cli.training.space import is_full
from tests.training.conftest import assert_equal, last_state

Csc = Callable[..., click.testing.Result]
STEPS = ("--set", "optimiser.steps=8", "--set", "tracking.checkpoint_every=4", "--set", "tracking.patience=9")


class Full:
    """A file on a disk with room for `left` more bytes."""

    def __init__(self, stream: Any, left: int = 0) -> None:
        self.stream, self.left = stream, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def write(self, data: Any) -> int:
        size = len(data) if isinstance(data, str) else memoryview(data).nbytes
        if size > self.left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.stream.name)
        self.left -= size
        return int(self.stream.write(data))


class Disk:
    """Fills up at the write number `at` of a file whose name has `part` in it."""

    def __init__(self, part: str, at: int, room: int = 0) -> None:
        self.part, self.at, self.room, self.seen = part, at, room, 0

    def open(self, path: Any, *arguments: Any, **more: Any) -> Any:
        stream = open(path, *arguments, **more)  # noqa: SIM115 (the caller closes it)
        writes = stream.writable() and self.part in str(path)
        self.seen += writes
        return Full(stream, self.room) if writes and self.seen == self.at else stream


@pytest.fixture
def run(csc: Csc, tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path) -> Callable[..., Any]:
    data = make_data_dir("data", speakers=6, utterances=3)
    return lambda name, status=0: csc("train", "--device", "cpu", *STEPS, tiny, data, tmp_path / name, status=status)


@pytest.fixture(scope="module")
def whole() -> dict[str, dict]:
    return {}


@pytest.mark.parametrize(
    ("module", "part", "at", "room"),
    [
        (files, "step-00000004", 1, 0),  # the first checkpoint, nothing of it
        (files, "step-00000008", 1, 5000),  # the second one, a part of it
        (history, "train.jsonl", 1, 200),  # its second or third line
        (board, "tfevents", 1, 300),  # TensorBoard's
        (files, "config.yaml", 1, 0),  # of the best model so far
        (files, "config.yaml", 3, 0),
    ],
)
def test_each_place_that_writes(
    run: Callable[..., click.testing.Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, dict],
    module: Any, part: str, at: int, room: int,
) -> None:  # fmt: skip
    disk = Disk(part, at, room)
    with monkeypatch.context() as patch:
        patch.setattr(module, "open", disk.open, raising=False)
        result = run("exp", status=1)
    assert_one_line(result.stderr, tmp_path / "exp")
    assert run("exp").stdout.startswith("trained")
    assert_equal(reference(run, tmp_path, whole), last_state(tmp_path / "exp"))


@pytest.mark.parametrize("name", ["safetensors.torch.save_file", "csc_cli.plots.curves.plot_curves"])
@pytest.mark.parametrize("at", [1, 2])
def test_weights_and_pictures(
    run: Callable[..., click.testing.Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: dict[str, dict],
    name: str, at: int,
) -> None:  # fmt: skip
    from safetensors import SafetensorError

    calls: list[Path] = []

    def full(*arguments: Any) -> None:
        calls.append(arguments[-1])
        if len(calls) == at:
            if name.startswith("safetensors"):
                Path(arguments[-1]).write_bytes(b"half of it")
                raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if name.startswith("safetensors"):
            real(*arguments)

    from safetensors.torch import save_file as real

    with monkeypatch.context() as patch:
        patch.setattr(name, full)
        result = run("exp", status=1)
    assert_one_line(result.stderr, tmp_path / "exp")
    assert run("exp").stdout.startswith("trained")
    assert_equal(reference(run, tmp_path, whole), last_state(tmp_path / "exp"))


def assert_one_line(said: str, directory: Path) -> None:
    errors = [line for line in said.splitlines() if line.startswith("Error")]
    assert len(errors) == 1 and f"{directory}: the disk is full" in errors[0], said
    assert "Traceback" not in said and "the same command goes on" in errors[0]
    left = [path for path in directory.rglob("*") if path.name.startswith(".tmp-")]
    assert not left
    steps = checkpoint.steps(directory / "checkpoints")
    assert (f"the checkpoint of step {steps[-1]} is whole" if steps else "there was no checkpoint yet") in errors[0]
    if steps:
        last_state(directory)


def reference(run: Callable[..., click.testing.Result], tmp_path: Path, whole: dict[str, dict]) -> dict:
    """The last state of a run that nothing happened to."""
    if not whole:
        run("reference")
        whole |= last_state(tmp_path / "reference")
    return whole


def test_what_torch_says_about_a_full_disk_is_understood(tmp_path: Path) -> None:
    """The real thing: a device that is always full."""
    import torch

    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(Exception) as caught, open("/dev/full", "wb") as stream:  # torch's own kind of error
        torch.save({"weights": torch.zeros(100_000)}, stream)
    assert is_full(caught.value)
    assert not is_full(RuntimeError("shapes do not fit")) and not is_full(OSError(errno.EACCES, "not allowed"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for one checkpoint, not for three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.long
def test_real_file_system_without_room(
    small_disk: Path, tiny: Path, make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    data = make_data_dir("data", speakers=6, utterances=3)

    def train(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "csc_cli.cli.main", "train", "--device", "cpu", *STEPS]
        command += ["--set", "tracking.checkpoint_every=1", "--set", "tracking.kept=8"]
        return subprocess.run([*command, str(tiny), str(data), str(folder)], capture_output=True, text=True)

    full = train(small_disk / "exp")
    assert full.returncode == 1 and "Traceback" not in full.stderr, full.stderr
    assert_one_line(full.stderr, small_disk / "exp")
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    again, other = train(small_disk / "exp"), train(tmp_path / "whole")
    assert again.returncode == other.returncode == 0, again.stderr + other.stderr
    assert_equal(last_state(small_disk / "exp"), last_state(tmp_path / "whole"))
