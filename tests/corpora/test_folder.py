import numpy as np
import pytest
import soundfile

from csc_cli.corpora.folder import prepare_folder
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir


def make(root, *names: str) -> None:
    for value, name in enumerate(names, 1):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix[1:].upper()
        soundfile.write(path, np.full(1600, value * 1000, dtype=np.int16), 8000, format=kind)


def load(data) -> dict[str, DataDir]:
    return {part: DataDir.load(data / part) for part in ("train", "dev", "test") if (data / part).exists()}


def test_any_tree_of_speakers(tmp_path):
    source, data = tmp_path / "my recordings", tmp_path / "my data"
    make(source, "Anne Marie/1.wav", "Anne Marie/day 2/a b.WAV", "bob-2/x-1.flac", "cid/s1/t/y.ogg", "Ödön/z.wav")
    prepare_folder(source, data, dev_speakers=1, test_speakers=0.25)
    parts = load(data)
    assert {part: len(own.spk2utt) for part, own in parts.items()} == {"train": 2, "dev": 1, "test": 1}
    everyone = {key: utterance for own in parts.values() for key, utterance in own.by_id.items()}
    assert {key: utterance.speaker for key, utterance in everyone.items()} == {
        "Anne_Marie-1": "Anne_Marie",
        "Anne_Marie-day_2-a_b": "Anne_Marie",
        "bob_2-x-1": "bob_2",
        "cid-s1-t-y": "cid",
        "Ödön-z": "Ödön",
    }
    samples, rate = read_audio(everyone["Anne_Marie-day_2-a_b"])
    assert rate == 8000 and np.all(samples == 2000 / 32768)
    for part in parts:
        assert check_data_dir(data / part, read_audio=True) == []


def test_ids_sorted_by_utterance_are_sorted_by_speaker(tmp_path):
    # Kaldi needs both orders to agree; with these names raw paths would not give that.
    make(tmp_path / "in", *(f"{name}/z.wav" for name in ("a", "a-b", "a!c", "a+d", "a.e", "a_f", "aB")))
    prepare_folder(tmp_path / "in", tmp_path / "out", 0, 0)
    assert check_data_dir(tmp_path / "out" / "train") == []


def test_without_dev_and_test_all_is_train(tmp_path):
    make(tmp_path / "in", "a/1.wav", "b/1.wav")
    prepare_folder(tmp_path / "in", tmp_path / "out", 0, 0)
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["train"]


def test_hidden_files_are_no_recordings(tmp_path):
    make(tmp_path / "in", "a/1.wav", "a/._1.wav", ".trash/2.wav", "b/.old/3.wav", "b/4.wav")
    prepare_folder(tmp_path / "in", tmp_path / "out", 0, 0)
    assert set(DataDir.load(tmp_path / "out" / "train").by_id) == {"a-1", "b-4"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/1.wav", "a/1.flac"), "both be utterance 'a-1'"),
        (("a/s-1.wav", "a/s/1.wav"), "both be utterance 'a-s-1'"),
        (("a b/1.wav", "a_b/2.wav"), "both be speaker 'a_b'"),
        (("1.wav", "a/2.wav"), "1.wav lie in no speaker's folder"),
        (("a/x\ny.wav",), "cannot hold line breaks"),
    ],
)
def test_names_that_would_be_confused_are_refused(tmp_path, names, message):
    make(tmp_path / "in", *names)
    with pytest.raises(DataError, match=message):
        prepare_folder(tmp_path / "in", tmp_path / "out", 0, 0)
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path / 'nowhere'}: cannot be read as a folder"):
        prepare_folder(tmp_path / "nowhere", tmp_path / "out", 0, 0)
    (tmp_path / "in" / "a").mkdir(parents=True)
    (tmp_path / "in" / "a" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no recordings found \(looked for SPEAKER"):
        prepare_folder(tmp_path / "in", tmp_path / "out", 0, 0)
    make(tmp_path / "in", "a/1.wav", "b/1.wav")
    with pytest.raises(ConfigError, match="2 speakers are too few"):
        prepare_folder(tmp_path / "in", tmp_path / "out", 1, 1)
