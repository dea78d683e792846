"""Keys change with what decides a result, and with nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.experiment import keys


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the same name: `first` imports `second` within a function; `third` is imported by nobody."""
    root = tmp_path / "csc_cli"
    (root / "plots").mkdir(parents=True)
    files = {
        "__init__": "", "plots/__init__": "", "plots/draw": "COLOUR = 1\n", "third": "x = 1\n",
        "first": "from csc_cli.plots import draw\n\ndef f():\n    from csc_cli import second\n    return second.x\n",
        "second": '"""Words."""\n\nx = 1  # a comment\n',
    }  # fmt: skip
    for name, text in files.items():
        (root / f"{name}.py").write_text(text)
    monkeypatch.setattr(keys, "PACKAGE", root)
    return root


def write(path: Path, text: str) -> None:
    """Another text at another time, as an editor leaves it."""
    path.write_text(text)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))


@pytest.mark.parametrize(
    ("file", "text", "is_other"),
    [
        ("second.py", '"""Words."""\n\nx = 2  # a comment\n', True),
        ("second.py", '"""Other words."""\nx = 1\n# another comment\n', False),
        ("first.py", "def f():\n    from csc_cli import second\n    return second.x\n", True),
        ("third.py", "x = 2\n", False),
        ("plots/draw.py", "COLOUR = 2\n", False),
    ],
)
def test_code_is_what_is_imported_without_its_words(package: Path, file: str, text: str, is_other: bool) -> None:
    before = keys.code_digest(("csc_cli.first",))
    write(package / file, text)
    assert (keys.code_digest(("csc_cli.first",)) != before) == is_other


def test_what_trains_and_what_scores_is_all_there() -> None:
    trains, scores = (set(keys.sources(entries)) for entries in (keys.TRAINING, keys.SCORING))
    assert {"csc_cli.training.trainer", "csc_cli.nn.galr", "csc_cli.mixtures.render", "csc_cli.seeds"} <= trains
    assert {"csc_cli.extraction.embed", "csc_cli.backend.scoring", "csc_cli.metrics.intervals"} <= scores
    assert not any(module.startswith("csc_cli.plots") for module in trains | scores)
    assert "csc_cli.training.trainer" not in scores, "a model is scored the same, however it was trained"


def test_data_are_known_by_their_contents_wherever_they_lie(make_data_dir: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data_dir("data", speakers=2, utterances=2)
    before = keys.data_identity(data)
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    scp = (moved / "wav.scp").read_text()
    (moved / "wav.scp").write_text(scp.replace(str(data), str(moved)))
    assert keys.data_identity(moved) == before
    with open(moved / "wav" / "spk0-utt0.wav", "ab") as stream:
        stream.write(b"12")
    assert keys.data_identity(moved) != before
    (data / "utt2spk").write_text((data / "utt2spk").read_text().replace("spk0-utt0 spk0", "spk0-utt0 spk1"))
    (data / "spk2utt").unlink()
    assert keys.data_identity(data) != before


def test_a_folder_without_trials_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="csc trials"):
        keys.trials_identity(tmp_path)


def test_an_external_command_is_known_by_its_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "make.py").write_text("1")
    before = keys.command_identity("python3 make.py {data} {out}")
    assert keys.command_identity("python3 make.py {data} {out} --fast") != before
    (tmp_path / "make.py").write_text("2")
    assert keys.command_identity("python3 make.py {data} {out}") != before
    with pytest.raises(DataError, match="quotes"):
        keys.command_identity("make '{data} {out}")
