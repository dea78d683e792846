import hashlib

import numpy as np
import pytest
import soundfile

from csc_cli.corpora.librispeech import MD5, prepare_librispeech
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir

# As in the corpus: comments, padding, and the one name with bars.
SPEAKERS = """; Some pipe(|) separated metadata about all LibriSpeech's speakers
;
;ID  |SEX| SUBSET           |MINUTES| NAME
19   | F | train-clean-100  | 25.19 | Kara Shallenberg
60   | M | train-clean-100  | 20.18 | |CBW|Simon
103  | F | train-clean-100  | 25.08 | Karen Savage
1034 | M | train-clean-100  | 25.17 | Kevin O'Coin
6930 | M | test-clean       | 8.26  | Nolan Fout
"""
CHAPTERS = {
    "train-clean-100": {
        ("19", "198"): 3,
        ("60", "121082"): 2,
        ("103", "1240"): 2,
        ("103", "1241"): 1,
        ("1034", "7"): 1,
    },
    "test-clean": {("6930", "75918"): 2},
}


@pytest.fixture
def corpus(tmp_path):
    """The folder that two archives unpack to, each recording a constant of its own."""
    root = tmp_path / "LibriSpeech"
    value = 0
    for subset, chapters in CHAPTERS.items():
        for (reader, chapter), count in chapters.items():
            folder = root / subset / reader / chapter
            folder.mkdir(parents=True)
            lines = ""
            for number in range(count):
                value += 100
                key = f"{reader}-{chapter}-{number:04d}"
                soundfile.write(folder / f"{key}.flac", np.full(160, value, dtype=np.int16), 16000)
                lines += f"{key} IT'S NUMBER {value}\n"
            (folder / f"{reader}-{chapter}.trans.txt").write_text(lines)
    (root / "SPEAKERS.TXT").write_text(SPEAKERS)
    (root / "BOOKS.TXT").touch()
    return root


def test_subsets_become_data_directories(corpus, tmp_path):
    summary = prepare_librispeech(corpus, tmp_path / "data")
    assert summary.splitlines() == [
        f"{tmp_path}/data/test-clean: 1 speakers, 2 utterances",
        f"{tmp_path}/data/train-clean-100: 4 speakers, 9 utterances",
    ]
    for subset in CHAPTERS:
        assert check_data_dir(tmp_path / "data" / subset, read_audio=True) == []
    data = DataDir.load(tmp_path / "data" / "train-clean-100")
    assert list(data.by_id) == sorted(data.by_id) and len(data.by_id) == 9
    assert data.extra["spk2gender"] == {"19": "f", "60": "m", "103": "f", "1034": "m"}
    utterance = data.by_id["103-1241-0000"]
    assert (utterance.speaker, data.extra["utt2chapter"][utterance.id]) == ("103", "1241")
    samples, rate = read_audio(utterance)
    assert rate == 16000
    assert data.extra["text"][utterance.id] == f"IT'S NUMBER {round(samples[0] * 32768)}"


def test_chosen_subsets_and_the_folder_above(corpus, tmp_path):
    prepare_librispeech(corpus.parent, tmp_path / "data", ["test-clean"])
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["test-clean"]


def test_what_is_missing_is_said(corpus, tmp_path):
    with pytest.raises(DataError, match=r"LibriSpeech: train-clean-360 not found \(looked in .* and .*LibriSpeech\)"):
        prepare_librispeech(corpus.parent, tmp_path / "data", ["train-clean-360", "test-clean"])
    with pytest.raises(ConfigError, match="no subset 'train-clean100'; did you mean 'train-clean-100'"):
        prepare_librispeech(corpus, tmp_path / "data", ["train-clean100"])
    (corpus / "SPEAKERS.TXT").unlink()
    with pytest.raises(DataError, match=r"SPEAKERS.TXT not found"):
        prepare_librispeech(corpus, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "test-clean/6930/75918/6930-75918-0001.flac").unlink(), "6930-75918-0001 have only a"),
        (lambda root: (root / "test-clean/6930/75918/6930-75918.trans.txt").unlink(), "trans.txt: cannot be read"),
        (lambda root: (root / "test-clean/6930/75918/6930-75919-0002.flac").touch(), "is not named 6930-75918-NNNN"),
        (lambda root: (root / "SPEAKERS.TXT").write_text("19 | F | x | 1 | y\n"), "no line for the readers 6930"),
        (lambda root: (root / "SPEAKERS.TXT").write_text(";c\n19 | X | x | 1 | y\n"), "SPEAKERS.TXT:2: must be"),
    ],
)
def test_damaged_corpora_are_refused(corpus, tmp_path, damage, message):
    damage(corpus)
    with pytest.raises(DataError, match=message):
        prepare_librispeech(corpus, tmp_path / "data", ["test-clean"])
    assert not (tmp_path / "data").exists()


def test_download(corpus, tmp_path, served, tar, csc, monkeypatch):
    for subset in CHAPTERS:
        files = {
            str(path.relative_to(corpus.parent)): path.read_bytes()
            for path in sorted(corpus.rglob("*"))
            if path.is_file() and (path.parent == corpus or subset in path.parts)
        }
        served.files[f"{subset}.tar.gz"] = tar(files)
        monkeypatch.setitem(MD5, subset, hashlib.md5(served.files[f"{subset}.tar.gz"]).hexdigest())
    wanted = [word for subset in CHAPTERS for word in ("--subset", subset)]
    source, data = tmp_path / "downloads", tmp_path / "data"
    csc("prepare", "librispeech", "--download", "--mirror", served.url, *wanted, source, data)
    assert {path.name for path in data.iterdir()} == set(CHAPTERS)
    assert len(DataDir.load(data / "train-clean-100").utterances) == 9
    result = csc("prepare", "librispeech", "--download", source, data, status=1)
    assert "name the subsets to download" in result.stderr
    result = csc("prepare", "librispeech", source / "nowhere", data, status=1)
    assert "SPEAKERS.TXT, a subset such as train-clean-100 not found" in result.stderr
