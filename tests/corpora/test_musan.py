import hashlib

import numpy as np
import pytest
import soundfile

from csc_cli.corpora import musan
from csc_cli.corpora.download import Remote
from csc_cli.corpora.musan import prepare_musan
from csc_cli.errors import DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir

FILES = {
    "noise": [
        "free-sound/noise-free-sound-0000",
        "free-sound/noise-free-sound-0842",
        "sound-bible/noise-sound-bible-0000",
    ],
    "music": ["fma/music-fma-0000", "fma-western-art/music-fma-wa-0000", "hd-classical/music-hd-0001"],
    "speech": ["librivox/speech-librivox-0000", "us-gov/speech-us-gov-0000"],
}
ANNOTATIONS = {
    "music/fma": "music-fma-0000 folk,country Y Jason Shaw\nmusic-fma-0009 rock N lost\n\n",
    "music/fma-western-art": "music-fma-wa-0000 baroque N\n",
    "speech/librivox": "speech-librivox-0000 f english\n",
    "noise/free-sound": "noise-free-sound-0000 A dial tone: several words\n",
}


@pytest.fixture
def corpus(tmp_path):
    root = tmp_path / "musan"
    for kind, files in FILES.items():
        for name in files:
            path = root / kind / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.ones(160, dtype=np.int16), 16000)
            (path.parent / "LICENSE").touch()
    for folder, text in ANNOTATIONS.items():
        (root / folder / "ANNOTATIONS").write_text(text)
    (root / "README").touch()
    return root


def test_kinds_become_data_directories(corpus, tmp_path):
    data = tmp_path / "data"
    summary = prepare_musan(corpus.parent, data)
    assert summary.splitlines()[0] == f"{data}/noise: 3 recordings"
    loaded = {kind: DataDir.load(data / kind) for kind in FILES}
    for kind, files in FILES.items():
        assert check_data_dir(data / kind, read_audio=True) == []
        keys = {name.split("/")[1]: name.split("/")[0] for name in files}
        assert set(loaded[kind].by_id) == set(keys)
        assert loaded[kind].extra["utt2kind"] == dict.fromkeys(keys, kind)
        assert loaded[kind].extra["utt2source"] == keys
        assert all(utterance.speaker == key for key, utterance in loaded[kind].by_id.items())
    music = loaded["music"].extra
    assert music["utt2genre"] == {"music-fma-0000": "folk,country", "music-fma-wa-0000": "baroque"}
    assert music["utt2vocals"] == {"music-fma-0000": "Y", "music-fma-wa-0000": "N"}
    assert music["utt2artist"] == {"music-fma-0000": "Jason Shaw"}
    assert loaded["speech"].extra["utt2sex"] == {"speech-librivox-0000": "f"}
    assert loaded["speech"].extra["utt2language"] == {"speech-librivox-0000": "english"}
    assert set(loaded["noise"].extra) == {"utt2kind", "utt2source"}


def test_what_is_missing_is_said(corpus, tmp_path):
    (corpus / "music").rename(corpus / "musik")
    with pytest.raises(DataError, match=r"musan: music not found \(looked in .* and .*musan\)"):
        prepare_musan(corpus.parent, tmp_path / "data")
    (corpus / "music").mkdir()
    with pytest.raises(DataError, match=r"music: no recordings found"):
        prepare_musan(corpus, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_download(corpus, tmp_path, served, tar, csc, monkeypatch):
    files = {str(path.relative_to(corpus.parent)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    served.files["musan.tar.gz"] = tar(files)
    digest = hashlib.md5(served.files["musan.tar.gz"]).hexdigest()
    monkeypatch.setattr(musan, "ARCHIVE", Remote(musan.ARCHIVE.url, f"md5:{digest}"))
    csc("prepare", "musan", "--download", "--mirror", served.url, tmp_path / "downloads", tmp_path / "data")
    assert len(DataDir.load(tmp_path / "data" / "noise").utterances) == 3
