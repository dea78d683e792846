import hashlib

import numpy as np
import pytest
import soundfile

from csc_cli.corpora import rirs_noises
from csc_cli.corpora.download import Remote
from csc_cli.corpora.rirs_noises import prepare_rirs_noises
from csc_cli.errors import DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir

REAL = "real_rirs_isotropic_noises"
FILES = [
    "simulated_rirs/smallroom/Room001/Room001-00001",
    "simulated_rirs/smallroom/Room001/Room001-00002",
    "simulated_rirs/smallroom/Room002/Room002-00001",
    "simulated_rirs/largeroom/Room001/Room001-00001",
    f"{REAL}/RVB2014_type1_rir_largeroom1_far_angla",
    f"{REAL}/air_type1_air_binaural_booth_1_2",
    f"{REAL}/RWCP_type4_rir_p30l",
    f"{REAL}/RVB2014_type1_noise_largeroom1_1",
    f"{REAL}/RWCP_type4_noise_p30l",
    "pointsource_noises/noise-free-sound-0000",
    "pointsource_noises/noise-free-sound-0842",
]
LISTS = {
    f"{REAL}/rir_list": (
        f"--rir-id 00001 --room-id RVB2014_largeroom1 RIRS_NOISES/{FILES[4]}.wav\n"
        f"--rir-id 00037 --room-id AIR_booth RIRS_NOISES/{FILES[5]}.wav\n"
        f"--rir-id 00300 --room-id RWCP_p30l RIRS_NOISES/{FILES[6]}.wav\n"
    ),
    f"{REAL}/noise_list": (
        f"--noise-id 00001 --noise-type isotropic --room-linkage RVB2014_largeroom1 RIRS_NOISES/{FILES[7]}.wav\n"
    ),
    "pointsource_noises/noise_list": (
        f"--noise-id 00001 --noise-type point-source --bg-fg-type foreground RIRS_NOISES/{FILES[9]}.wav\n"
        f"--noise-id 00843 --noise-type point-source --bg-fg-type background RIRS_NOISES/{FILES[10]}.wav\n"
    ),
    "simulated_rirs/smallroom/rir_list": (
        f"--rir-id Room001-00001 --room-id smallroom-Room001 RIRS_NOISES/{FILES[0]}.wav\n"
    ),
}


@pytest.fixture
def corpus(tmp_path):
    root = tmp_path / "RIRS_NOISES"
    for name in FILES:
        path = root / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        channels = 8 if "RVB2014" in name else 1
        soundfile.write(path, np.ones((160, channels), dtype=np.int16), 16000)
    for name, text in LISTS.items():
        (root / name).write_text(text)
    (root / "simulated_rirs" / "README").touch()
    return root


def test_rooms_and_noises_become_data_directories(corpus, tmp_path):
    data = tmp_path / "data"
    summary = prepare_rirs_noises(corpus, data)
    assert summary.splitlines() == [
        f"{data}/simulated_rirs: 4 recordings of 3 rooms",
        f"{data}/real_rirs: 3 recordings of 3 rooms",
        f"{data}/pointsource_noises: 2 recordings",
        f"{data}/isotropic_noises: 2 recordings of 1 rooms",
    ]
    loaded = {path.name: DataDir.load(path) for path in data.iterdir()}
    for name in loaded:
        assert check_data_dir(data / name, read_audio=True) == []
    rooms = {
        key: utterance.speaker
        for part in ("simulated", "real")
        for key, utterance in loaded[f"{part}_rirs"].by_id.items()
    }
    assert rooms == {
        "smallroom-Room001-00001": "smallroom-Room001",
        "smallroom-Room001-00002": "smallroom-Room001",
        "smallroom-Room002-00001": "smallroom-Room002",
        "largeroom-Room001-00001": "largeroom-Room001",
        "RVB2014_largeroom1-RVB2014_type1_rir_largeroom1_far_angla": "RVB2014_largeroom1",
        "AIR_booth-air_type1_air_binaural_booth_1_2": "AIR_booth",
        "RWCP_p30l-RWCP_type4_rir_p30l": "RWCP_p30l",
    }
    kinds = {key: kind for part in loaded.values() for key, kind in part.extra["utt2kind"].items()}
    assert {kinds[key] for key in rooms} == {"simulated", "real"}
    assert loaded["isotropic_noises"].extra["utt2room"] == {"RVB2014_type1_noise_largeroom1_1": "RVB2014_largeroom1"}
    assert set(loaded["isotropic_noises"].by_id) == {"RVB2014_type1_noise_largeroom1_1", "RWCP_type4_noise_p30l"}
    grounds = {"noise-free-sound-0000": "foreground", "noise-free-sound-0842": "background"}
    assert loaded["pointsource_noises"].extra["utt2ground"] == grounds
    assert {kinds[key] for key in grounds} == {"point-source"}


def test_without_lists_names_tell(corpus, tmp_path):
    for name in LISTS:
        (corpus / name).unlink()
    prepare_rirs_noises(corpus.parent, tmp_path / "data")
    assert len(DataDir.load(tmp_path / "data" / "isotropic_noises").by_id) == 2
    assert len(DataDir.load(tmp_path / "data" / "real_rirs").by_id) == 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "simulated_rirs").rename(root / "other"), r"simulated_rirs not found \(looked in"),
        (lambda root: (root / f"{FILES[9]}.wav").rename(root / "x") and (root / f"{FILES[10]}.wav").unlink(),
         "no recordings for pointsource_noises found"),
        (lambda root: (root / REAL / "rir_list").write_text("--rir-id 1 --room-id\n"), "rir_list:1: must be"),
        (lambda root: (root / REAL / "rir_list").write_text("--rir-id 'open x.wav\n"), "rir_list:1: must be"),
        (lambda root: (root / REAL / "noise_list").write_bytes(b"--rir-id 1 x.wav\n\xff"), "noise_list:2: is no text"),
        (lambda root: (root / "simulated_rirs/smallroom/Room001/x.wav").touch(), "x.wav: is not named Room001-"),
    ],
)  # fmt: skip
def test_damaged_corpora_are_refused(corpus, tmp_path, damage, message):
    damage(corpus)
    with pytest.raises(DataError, match=message):
        prepare_rirs_noises(corpus, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_download(corpus, tmp_path, served, zipped, csc, monkeypatch):
    files = {str(path.relative_to(corpus.parent)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    served.files["rirs_noises.zip"] = zipped(files)
    digest = hashlib.md5(served.files["rirs_noises.zip"]).hexdigest()
    monkeypatch.setattr(rirs_noises, "ARCHIVE", Remote(rirs_noises.ARCHIVE.url, f"md5:{digest}"))
    csc("prepare", "rirs_noises", "--download", "--mirror", served.url, tmp_path / "downloads", tmp_path / "data")
    assert len(DataDir.load(tmp_path / "data" / "simulated_rirs").utterances) == 4
