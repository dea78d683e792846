"""`csc trials` as typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from csc_cli.cli.main import main


def csc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three speakers with three utterances of 0.5 s of noise each, at 16 kHz in one recording with segments."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    soundfile.write(folder / "all.flac", 0.1 * rng.standard_normal(9 * 8000), 16000)
    ids = [f"{speaker}-{number}" for speaker in "abc" for number in range(3)]
    (folder / "wav.scp").write_text(f"all {folder}/all.flac\n")
    (folder / "segments").write_text("".join(f"{id} all {i / 2} {i / 2 + 0.5}\n" for i, id in enumerate(ids)))
    (folder / "utt2spk").write_text("".join(f"{id} {id[0]}\n" for id in ids))
    return folder


def test_makes_the_protocol(data, tmp_path):
    out = tmp_path / "out"
    result = csc("trials", "--quiet", "--set", "enrollment=2", data, out)
    assert result.exit_code == 0
    assert result.output.splitlines()[0] == f"{out}: 3 speakers enrolled"
    assert "2talkers_-5dB: 3 recordings, 6 target, 3 nontarget trials" in result.output
    keys = [line.split()[2] for line in (out / "trials").read_text().splitlines()]
    assert (keys.count("target"), keys.count("nontarget")) == (3 + 18, 6 + 9)
    for part in ("enroll", "test"):
        assert csc("data", "validate", out / part).exit_code == 0
    assert soundfile.info(next((out / "test" / "wav").iterdir())).samplerate == 8000


def test_settings_come_from_a_file_and_options(data, tmp_path):
    config = tmp_path / "trials.yaml"
    config.write_text("enrollment: 1\ntests: 1\nsir_db: [2.5]\n")
    arguments = ["trials", "--quiet", "--no-write-audio", "--config", config, "--set", "tests=2", "--seed", "3"]
    assert csc(*arguments, data, tmp_path / "out").exit_code == 0
    conditions = [line.split()[1] for line in (tmp_path / "out" / "utt2cond").read_text().splitlines()]
    assert sorted(conditions) == ["2talkers_+2.5dB"] * 6 + ["clean"] * 6
    assert not (tmp_path / "out" / "test" / "wav").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "enrolment=1"], "did you mean 'enrollment'"),
        (["--set", "enrollment=0"], "enrollment=0"),
        (["--set", "sir_db=[0,0]"], "holds a value twice"),
    ],
)
def test_failures_are_one_line(data, tmp_path, arguments, says):
    result = csc("trials", *arguments, data, tmp_path / "out")
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert says in result.output
    assert not (tmp_path / "out").exists()


def test_one_speaker_is_too_few(data, tmp_path):
    for name in ("segments", "utt2spk"):
        lines = (data / name).read_text().splitlines(keepends=True)
        (data / name).write_text("".join(line for line in lines if line.startswith("a-")))
    result = csc("trials", data, tmp_path / "out")
    assert result.exit_code == 1
    assert "nobody is left to interfere" in result.output


def test_a_deleted_recording_names_its_line(data, tmp_path):
    (data / "all.flac").unlink()
    result = csc("trials", data, tmp_path / "out")
    assert result.exit_code == 1
    assert f"{tmp_path}/out/enroll/mix.jsonl:1: mixture 'a-" in result.output
    assert not (tmp_path / "out" / "trials").exists()
