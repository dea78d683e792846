"""`csc simulate` as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from csc_cli.cli.main import main


def csc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def failed(result: Result) -> str:
    """The one line that says what is wrong; there is no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two speakers with two utterances of 1 s of noise each."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    ids = [f"{speaker}-{number}" for speaker in "ab" for number in range(2)]
    for id in ids:
        soundfile.write(folder / f"{id}.wav", 0.1 * rng.standard_normal(8000), 8000)
    (folder / "wav.scp").write_text("".join(f"{id} {folder}/{id}.wav\n" for id in ids))
    (folder / "utt2spk").write_text("".join(f"{id} {id[0]}\n" for id in ids))
    return folder


def plan(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "mix.jsonl").read_text().splitlines()]


def test_a_mixture_for_each_utterance(data, tmp_path):
    out = tmp_path / "out"
    result = csc("simulate", "--quiet", data, out)
    assert result.exit_code == 0
    assert result.output.startswith(f"{out}: 4 mixtures of 2 talker(s); mix.jsonl sha256 ")
    assert sorted(mixture["sources"][0]["utterance"] for mixture in plan(out)) == ["a-0", "a-1", "b-0", "b-1"]
    assert not (out / "wav.scp").exists()


def test_options_reach_the_plan(data, tmp_path):
    out = tmp_path / "out"
    arguments = ["--num", "3", "--talkers", "1", "--seed", "5", "--write-audio", "--quiet"]
    arguments += ["--set", "crop_s=0.5", "--set", "noise.probability=0", "--set", "level_db=[-30,-30]"]
    assert csc("simulate", *arguments, data, out).exit_code == 0
    assert [(mixture["length"], mixture["noise"], len(mixture["sources"])) for mixture in plan(out)] == [
        (4000, None, 1)
    ] * 3
    assert {mixture["sources"][0]["level_db"] for mixture in plan(out)} == {-30.0}
    assert soundfile.info(out / "wav" / "mix0000002.wav").frames == 4000
    assert csc("simulate", *arguments[:4], "--seed", "6", "--quiet", data, tmp_path / "other").exit_code == 0
    assert plan(tmp_path / "other") != plan(out)


def test_a_config_and_a_plan_can_be_given(data, tmp_path):
    config = tmp_path / "mix.yaml"
    config.write_text("sample_rate: 8000\ncrop_s: 0.25\n")
    assert csc("simulate", "--quiet", "--config", config, data, tmp_path / "one").exit_code == 0
    assert {mixture["length"] for mixture in plan(tmp_path / "one")} == {2000}
    result = csc("simulate", "--quiet", "--plan", tmp_path / "one" / "mix.jsonl", data, tmp_path / "two")
    assert result.exit_code == 0
    assert plan(tmp_path / "one") == plan(tmp_path / "two")
    assert len(list((tmp_path / "two" / "wav").iterdir())) == 4


def test_failures_are_one_line(data, tmp_path):
    out = tmp_path / "out"
    assert "unknown key 'crop'; did you mean 'crop_s'" in failed(csc("simulate", "--set", "crop=1", data, out))
    assert "nobody is left to interfere" in failed(csc("simulate", "--talkers", "3", data, out))
    assert "not made by this command" in failed(csc("simulate", data, data))
    (tmp_path / "empty.jsonl").write_text("")
    assert "is empty" in failed(csc("simulate", "--plan", tmp_path / "empty.jsonl", data, out))
    (tmp_path / "bad.jsonl").write_text("{}\n")
    assert "bad.jsonl:1: mixture: missing key 'id'" in failed(
        csc("simulate", "--plan", tmp_path / "bad.jsonl", data, out)
    )
    (data / "a-0.wav").unlink()
    message = failed(csc("simulate", "--quiet", "--write-audio", data, out))
    assert f"{out}/mix.jsonl:" in message
    assert "a-0.wav" in message
    assert not (out / "wav.scp").exists()
    assert csc("simulate", "--num", "0", data, out).exit_code == 2
