import hashlib
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader")

from csc_cli.corpora.synth import prepare_synth
from csc_cli.errors import ConfigError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir

SPEAKERS = {"train": 3, "dev": 1, "test": 2}


def audio(data: Path) -> dict[str, str]:
    files = sorted(path for path in (data / "audio").rglob("*") if path.is_file())
    return {str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tables(data: Path) -> dict[str, str]:
    files = [path for part in SPEAKERS for path in (data / part).iterdir()]
    return {str(path.relative_to(data)): path.read_text().replace(str(data), "DATA") for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    data = tmp_path_factory.mktemp("synth") / "my data"
    prepare_synth(data, SPEAKERS, utterances=4, seed=0)
    return data


def test_data_directories_are_sound(made):
    for part, count in SPEAKERS.items():
        assert check_data_dir(made / part, read_audio=True) == []
        data = DataDir.load(made / part)
        assert len(data.spk2utt) == count
        assert all(len(own) == 4 for own in data.spk2utt.values())
        for utterance in data.utterances:
            samples, rate = read_audio(utterance)
            assert rate == 8000
            assert 2 < len(samples) / rate < 9
            assert 0.05 < np.abs(samples).max() < 0.9


def test_speakers_and_sentences_are_disjoint(made):
    parts = [DataDir.load(made / part) for part in SPEAKERS]
    speakers = [speaker for data in parts for speaker in data.spk2utt]
    texts = [text for data in parts for text in data.extra["text"].values()]
    assert len(set(speakers)) == len(speakers) == 6
    assert len(set(texts)) == len(texts) == 24


def test_processes_change_no_byte(made, tmp_path):
    prepare_synth(tmp_path, SPEAKERS, utterances=4, seed=0, nj=2)
    assert audio(tmp_path) == audio(made)
    assert tables(tmp_path) == tables(made)


def test_size_changes_no_utterance(made, tmp_path):
    prepare_synth(tmp_path, {"train": 1, "dev": 2, "test": 1}, utterances=5, seed=0)
    both = audio(tmp_path).items() & audio(made).items()
    assert len(both) == 3 * 4
    common = audio(tmp_path).keys() & audio(made).keys()
    assert len(common) == len(both)


def test_seed_changes_every_utterance(made, tmp_path):
    prepare_synth(tmp_path, SPEAKERS, utterances=4, seed=1)
    assert audio(tmp_path).keys() == audio(made).keys()
    assert set(audio(tmp_path).values()).isdisjoint(audio(made).values())


def test_rerun_makes_what_is_not_whole_and_nothing_else(tmp_path):
    speakers = {"train": 2, "dev": 0, "test": 1}
    prepare_synth(tmp_path, speakers, utterances=3, seed=0)
    wanted = audio(tmp_path)
    files = sorted((tmp_path / "audio").rglob("*.flac"))
    files[0].unlink()
    files[1].write_bytes(b"")
    files[2].write_bytes(files[2].read_bytes()[:20])
    (tmp_path / "train" / "wav.scp").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in files[3:]}
    prepare_synth(tmp_path, speakers, utterances=3, seed=0)
    assert audio(tmp_path) == wanted
    assert {path: path.stat().st_mtime_ns for path in files[3:]} == stamps
    assert check_data_dir(tmp_path / "train", read_audio=True) == []


def test_another_seed_in_the_same_folder_is_refused(made):
    before = audio(made)
    with pytest.raises(ConfigError, match="choose another folder or remove"):
        prepare_synth(made, SPEAKERS, utterances=4, seed=1)
    assert audio(made) == before


def test_audio_of_unknown_origin_is_refused(tmp_path):
    (tmp_path / "audio").mkdir()
    with pytest.raises(ConfigError, match=r"synth.json: cannot be written or read"):
        prepare_synth(tmp_path, SPEAKERS, utterances=4, seed=0)


def test_damaged_note_is_refused(tmp_path):
    (tmp_path / "synth.json").write_text("{")
    with pytest.raises(ConfigError, match=r"synth.json: cannot be written or read"):
        prepare_synth(tmp_path, SPEAKERS, utterances=4, seed=0)


@pytest.mark.parametrize(
    ("speakers", "utterances"),
    [({"train": 0, "dev": 1, "test": 1}, 2), ({"train": 1, "dev": -1, "test": 1}, 2), ({"train": 1}, 2)]
    + [(SPEAKERS, 0), (SPEAKERS, 1001), ({"train": 10**12, "dev": 0, "test": 0}, 1)],
)
def test_impossible_numbers_are_refused(tmp_path, speakers, utterances):
    with pytest.raises(ConfigError):
        prepare_synth(tmp_path / "out", speakers, utterances, seed=0)
    assert not (tmp_path / "out").exists()
