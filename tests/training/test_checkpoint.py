"""Checkpoints: which is the newest, what does not fit, what is damaged; the history beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from csc_cli.errors import ConfigError, CscError, DataError
from csc_cli.history import read_history
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.training import checkpoint, identity
from csc_cli.training.history import History
from csc_cli.training.trainer import Trainer

DATA = DataDir(Path("data"), tuple(Utterance(f"{name}-1", name, f"{name}.wav") for name in ("anna", "bert", "cora")))


def state(**changes: Any) -> dict[str, Any]:
    plain = {"learner": {}, "optimiser": {}, "parted": False, "seconds": 1.0, "sums": {}}
    return {**plain, "settings": {"a": {"b": 1, "c": [1, 2]}}, "identity": identity.digest(DATA), **changes}


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    assert checkpoint.load_latest(tmp_path, {}, DATA) is None
    for step in (2, 9, 10, 100000000):
        checkpoint.save(tmp_path, step, state())
    assert checkpoint.steps(tmp_path) == [10, 100000000]
    found = checkpoint.load_latest(tmp_path, state()["settings"], DATA)
    assert found is not None and found["step"] == 100000000


def test_foreign_files_beside_the_checkpoints_are_passed_over(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 3, state())
    for name in ("step-last.pt", "step-.pt", "notes.txt", "step-00000009.pt.part", ".tmp-x-step-00000009.pt"):
        (tmp_path / name).write_text("mine")
    assert checkpoint.steps(tmp_path) == [3]


def test_changed_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 3, state())
    with pytest.raises(ConfigError, match=r"a\.b: 1 -> 2; a\.d: None -> 5.*another EXP") as raised:
        checkpoint.load_latest(tmp_path, {"a": {"b": 2, "c": [1, 2], "d": 5}}, DATA)
    assert "a.c" not in str(raised.value) and "step-00000003.pt" in str(raised.value)


def test_other_utterances_are_refused_with_the_difference(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 3, state(utterances=identity.fingerprints(DATA)))
    anna, bert, cora = DATA.utterances
    moved = DataDir(Path("elsewhere"), (replace(anna, recording="/other/place.wav"), bert, cora))
    assert checkpoint.load_latest(tmp_path, state()["settings"], moved) is not None
    other = DataDir(Path("other"), (anna, replace(bert, speaker="berta"), Utterance("dora-1", "dora", "dora.wav")))
    what = r"on other data than those of other \(3 utterances then, 3 now, 2 of them new or with another speaker "
    what += r"\(bert-1, dora-1\), 2 gone\)"
    with pytest.raises(ConfigError, match=what):
        checkpoint.load_latest(tmp_path, state()["settings"], other)
    fewer = DataDir(Path("fewer"), (anna, bert))
    with pytest.raises(ConfigError, match=r"3 utterances then, 2 now, none of them new, 1 gone"):
        checkpoint.load_latest(tmp_path, state()["settings"], fewer)
    with pytest.raises(ConfigError, match="the same utterances, but other recordings of noise"):
        checkpoint.load_latest(tmp_path, state()["settings"], DATA, "rooms")
    checkpoint.save(tmp_path, 4, state())  # of a csc that did not keep them
    with pytest.raises(ConfigError, match="was trained on other data; use another EXP"):
        checkpoint.load_latest(tmp_path, state()["settings"], fewer)


def test_a_key_that_came_later_counts_as_its_default(make_trainer: Callable[..., Trainer]) -> None:
    """A run of an older csc goes on; with another value than the default it is another training."""
    trainer = make_trainer("optimiser.steps=4")
    trainer.run()
    path = checkpoint.path_of(trainer.directory / "checkpoints", 4)
    saved = torch.load(path, weights_only=True)
    del saved["settings"]["objective"]["negatives"], saved["settings"]["inventory"]["block"]
    torch.save(saved, path)
    assert make_trainer("optimiser.steps=4").run().startswith("trained 0 of 4")
    with pytest.raises(ConfigError, match=r"objective\.negatives: None -> 2"):
        make_trainer("optimiser.steps=4", "objective.negatives=2").run()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def garbage(path: Path) -> None:
    path.write_bytes(b"\x80\x02garbage")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def without_keys(path: Path) -> None:
    torch.save({"step": 3}, path)


def not_a_dictionary(path: Path) -> None:
    torch.save([1, 2], path)


@pytest.mark.parametrize("damage", [truncated, garbage, empty, without_keys, not_a_dictionary])
def test_damaged_checkpoint_is_named_with_the_remedy(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    checkpoint.save(tmp_path, 2, state())
    damage(checkpoint.save(tmp_path, 3, state()))
    with pytest.raises(DataError, match=r"step-00000003\.pt.*remove it"):
        checkpoint.load_latest(tmp_path, state()["settings"], DATA)
    checkpoint.path_of(tmp_path, 3).unlink()
    found = checkpoint.load_latest(tmp_path, state()["settings"], DATA)
    assert found is not None and found["step"] == 2


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "ran").touch, ())

    torch.save({**state(), "version": 1, "step": 1, "extra": Evil()}, checkpoint.path_of(tmp_path, 1))
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load_latest(tmp_path, state()["settings"], DATA)
    assert not (tmp_path / "ran").exists()


def test_newer_format_is_refused(tmp_path: Path) -> None:
    torch.save({**state(), "version": 99, "step": 1}, checkpoint.path_of(tmp_path, 1))
    with pytest.raises(ConfigError, match="newer csc"):
        checkpoint.load_latest(tmp_path, state()["settings"], DATA)


def test_failed_write_leaves_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, 2, state())

    def fail(value: object, stream: BinaryIO) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="space"):
        checkpoint.save(tmp_path, 3, state())
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002.pt"]


@pytest.mark.parametrize("part", ["learner", "optimiser"])
def test_tensors_that_do_not_fit_are_an_error_of_one_line(make_trainer: Callable[..., Trainer], part: str) -> None:
    trainer = make_trainer("optimiser.steps=1")
    trainer.run()
    path = checkpoint.path_of(trainer.directory / "checkpoints", 1)
    saved = torch.load(path, weights_only=True)
    if part == "learner":
        saved["learner"].pop("temperature.a")
    else:
        saved["optimiser"]["param_groups"].pop()
    torch.save(saved, path)
    with pytest.raises(CscError, match=r"step-00000001\.pt.*does not fit") as raised:
        make_trainer("optimiser.steps=1").run()
    assert "\n" not in str(raised.value)


def lines(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_history_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    history = History(tmp_path, 0)
    for step in (2, 4, 6):
        history.add({"step": step, "loss": 1.0})
    history.close()
    with open(tmp_path / "train.jsonl", "a") as stream:
        stream.write('{"step": 8, "lo')
    history = History(tmp_path, 4)
    history.add({"step": 6, "loss": 2.0})
    history.close()
    assert lines(tmp_path / "train.jsonl") == [2, 4, 6]
    assert read_history(tmp_path / "train.jsonl")[-1] == {"step": 6, "loss": 2.0}


def test_damaged_line_of_the_history_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"step": 2}\nnot json\n{"step": 4}\n')
    with pytest.raises(DataError, match=r"train\.jsonl:2"):
        read_history(tmp_path / "train.jsonl")
    assert read_history(tmp_path / "absent.jsonl") == []
