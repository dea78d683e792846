import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from csc_cli.cli.main import main
from csc_cli.kaldi.datadir import DataDir


def run(*arguments: object):
    result = CliRunner().invoke(main, ["prepare", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def recordings(tmp_path):
    for speaker in ("ann", "bob", "cid d"):
        path = tmp_path / "in put" / speaker / "1.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.ones(800, np.int16), 8000)
    return tmp_path / "in put"


@pytest.mark.parametrize("command", ["synth", "speechocean762", "folder"])
def test_each_has_help_with_an_example(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"csc prepare {command} " in result.output.split("Examples:")[1]


def test_synth(tmp_path):
    pytest.importorskip("espeakng_loader")
    data = tmp_path / "my data"
    options = ("--train-speakers", 2, "--dev-speakers", 0, "--test-speakers", 1, "--utterances", 2, "--quiet")
    result = run("synth", *options, "--seed", 3, data)
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.output.splitlines()] == [f"{data}/train", f"{data}/test"]
    assert len(DataDir.load(data / "train").utterances) == 4
    result = run("synth", *options, "--seed", 4, data)
    assert result.exit_code == 1
    assert "choose another folder" in result.output
    assert run("synth", "--utterances", 0, data).exit_code == 2


def test_folder(recordings, tmp_path):
    result = run("folder", "--dev-speakers", 0, "--test-speakers", 1, recordings, tmp_path / "out")
    assert result.exit_code == 0, result.output
    parts = [set(DataDir.load(tmp_path / "out" / part).spk2utt) for part in ("train", "test")]
    assert parts[0] | parts[1] == {"ann", "bob", "cid_d"} and len(parts[1]) == 1
    result = run("folder", "--test-speakers", 3, recordings, tmp_path / "out2")
    assert result.exit_code == 1
    assert "too few" in result.output
    assert run("folder", tmp_path / "nowhere", tmp_path / "out2").exit_code == 2
    result = run("folder", recordings / "ann" / "1.wav", tmp_path / "out2")
    assert (result.exit_code, "cannot be read as a folder" in result.output) == (1, True)
    assert not (tmp_path / "out2").exists()


def test_speechocean762(recordings, shared, tmp_path):
    result = run("speechocean762", "--dev-speakers", 10, shared / "corpora" / "speechocean762", tmp_path / "out")
    assert result.exit_code == 0, result.output
    counts = {part: len(DataDir.load(tmp_path / "out" / part).spk2utt) for part in ("train", "dev", "test")}
    assert counts == {"train": 100, "dev": 10, "test": 40}
    result = run("speechocean762", recordings, tmp_path / "out2")
    assert result.exit_code == 1
    assert "train/wav.scp" in result.output and str(recordings) in result.output
