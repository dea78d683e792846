import hashlib

import numpy as np
import pytest
import soundfile

from csc_cli.corpora.speechocean762 import prepare_speechocean762
from csc_cli.errors import DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir

SPEAKERS = {"train": ("0001", "0005", "0006", "9000"), "test": ("0003", "1030")}


@pytest.fixture
def corpus(tmp_path):
    """The public corpus's layout, tabs and capital endings and all, with two utterances a speaker."""
    root = tmp_path / "my corpora" / "speechocean762"
    for part, speakers in SPEAKERS.items():
        lines = {name: [] for name in ("wav.scp", "utt2spk", "text", "spk2gender", "spk2age", "spk2utt")}
        for speaker in speakers:
            keys = [f"0{speaker}0{number:03d}" for number in (11, 35)]
            folder = root / "WAVE" / f"SPEAKER{speaker}"
            folder.mkdir(parents=True)
            for key in keys:
                soundfile.write(folder / f"{key}.WAV", np.full(800, int(key) % 30_000, np.int16), 16_000, format="WAV")
                lines["wav.scp"].append(f"{key}\tWAVE/SPEAKER{speaker}/{key}.WAV")
                lines["utt2spk"].append(f"{key}\t{speaker}")
                lines["text"].append(f"{key}\tSAID IN {key}")
            lines["spk2gender"].append(f"{speaker}\tm")
            lines["spk2age"].append(f"{speaker}\t{int(speaker) % 50}")
            lines["spk2utt"].append(f"{speaker}\t{' '.join(keys)}")
        (root / part).mkdir()
        for name, table in lines.items():
            (root / part / name).write_text("".join(line + "\n" for line in table))
    (root / "resource").mkdir()
    return root


@pytest.mark.parametrize("above", [False, True])
def test_public_layout(corpus, tmp_path, above):
    prepare_speechocean762(corpus.parent if above else corpus, tmp_path / "out")
    for part, speakers in SPEAKERS.items():
        assert check_data_dir(tmp_path / "out" / part, read_audio=True) == []
        data = DataDir.load(tmp_path / "out" / part)
        assert tuple(data.spk2utt) == speakers
        assert data.extra["text"][f"{speakers[0]}-0{speakers[0]}0011"] == f"SAID IN 0{speakers[0]}0011"
        assert data.extra["spk2gender"] == dict.fromkeys(speakers, "m")
        assert data.extra["spk2age"] == {speaker: str(int(speaker) % 50) for speaker in speakers}
        for key, utterance in data.by_id.items():
            samples, rate = read_audio(utterance)
            assert rate == 16_000 and np.all(samples == int(key.split("-")[1]) % 30_000 / 32768)
    assert not (tmp_path / "out" / "dev").exists()


def test_dev_is_taken_from_train(corpus, tmp_path):
    prepare_speechocean762(corpus, tmp_path / "out", dev_speakers=1)
    train, dev, test = (set(DataDir.load(tmp_path / "out" / part).spk2utt) for part in ("train", "dev", "test"))
    assert (len(train), len(dev)) == (3, 1)
    assert train | dev == set(SPEAKERS["train"])
    assert test == set(SPEAKERS["test"])


def test_an_age_that_is_no_number_is_named(corpus, tmp_path):
    (corpus / "train" / "spk2age").write_text("0001\tten\n0005\t7\n0006\t8\n9000\t9\n")
    with pytest.raises(DataError, match=r"train/spk2age: the age of '0001' is no number: 'ten'"):
        prepare_speechocean762(corpus, tmp_path / "out", dev_speakers=1)


def test_dev_without_tables_of_speakers(corpus, tmp_path):
    (corpus / "train" / "spk2age").unlink()
    (corpus / "train" / "spk2gender").unlink()
    prepare_speechocean762(corpus, tmp_path / "out", dev_speakers=0.5)
    assert len(DataDir.load(tmp_path / "out" / "dev").spk2utt) == 2


def test_without_other_tables(corpus, tmp_path):
    for name in ("text", "spk2age", "spk2gender", "spk2utt"):
        (corpus / "train" / name).unlink()
    prepare_speechocean762(corpus, tmp_path / "out")
    assert DataDir.load(tmp_path / "out" / "train").extra == {}


def test_missing_layout_names_what_and_where(corpus, tmp_path):
    (corpus / "test" / "utt2spk").unlink()
    with pytest.raises(DataError) as error:
        prepare_speechocean762(corpus, tmp_path / "out")
    assert f"{corpus}: test/utt2spk not found (looked in {corpus} and" in str(error.value)
    with pytest.raises(DataError, match=r"train/wav.scp, train/utt2spk, test/wav.scp, test/utt2spk not found"):
        prepare_speechocean762(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_recordings_are_counted(corpus, tmp_path):
    for path in (corpus / "WAVE" / "SPEAKER0005").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"train/wav.scp: 2 of 8 recordings are not there: WAVE/SPEAKER0005/"):
        prepare_speechocean762(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tables_in_disaccord_are_refused(corpus, tmp_path):
    table = corpus / "train" / "utt2spk"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(DataError, match=r"000010011 are in only one of wav.scp and utt2spk"):
        prepare_speechocean762(corpus, tmp_path / "out")


def test_speakers_of_both_parts_are_refused(corpus, tmp_path):
    for name in ("wav.scp", "utt2spk"):
        first = (corpus / "train" / name).read_text().splitlines(keepends=True)[0]
        table = corpus / "test" / name
        table.write_text("".join(sorted([first, *table.read_text().splitlines(keepends=True)])))
    with pytest.raises(DataError, match="speakers 0001 are in train and in test"):
        prepare_speechocean762(corpus, tmp_path / "out")


def test_dev_of_the_shared_part_has_its_share_of_sexes_and_ages(shared, tmp_path):
    prepare_speechocean762(shared / "corpora" / "speechocean762", tmp_path, dev_speakers=24)
    train, dev = (DataDir.load(tmp_path / part) for part in ("train", "dev"))
    assert (len(train.spk2utt), len(dev.spk2utt)) == (86, 24)
    assert train.extra["spk2age"].keys() == set(train.spk2utt) and dev.extra["spk2age"].keys() == set(dev.spk2utt)

    def count(data, sex, low, high):
        return sum(
            data.extra["spk2gender"][speaker] == sex and low <= int(age) < high
            for speaker, age in data.extra["spk2age"].items()
        )

    for sex in "fm":
        for low, high in ((0, 12), (12, 18), (18, 99), (0, 99)):
            both = count(dev, sex, low, high) + count(train, sex, low, high)
            assert abs(count(dev, sex, low, high) - both * 24 / 110) < 1


def test_shared_part(shared, tmp_path):
    summary = prepare_speechocean762(shared / "corpora" / "speechocean762", tmp_path)
    assert "train: 110 speakers, 2200 utterances" in summary
    assert "test: 40 speakers, 800 utterances" in summary
    parts = {part: DataDir.load(tmp_path / part) for part in ("train", "test")}
    assert set(parts["train"].spk2utt).isdisjoint(parts["test"].spk2utt)
    for part, data in parts.items():
        assert check_data_dir(tmp_path / part) == []
        assert set(data.extra) == {"text", "spk2gender", "spk2age"}
        assert all(key.startswith(f"{utterance.speaker}-") for key, utterance in data.by_id.items())
        # The corpus's file names hold the speaker too.
        assert all(f"SPEAKER{utterance.speaker}/" in utterance.recording for utterance in data.utterances)


def test_download(corpus, tmp_path, served, tar, csc):
    files = {str(path.relative_to(corpus.parent)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}
    served.files["speechocean762.tar.gz"] = tar(
        {f"speechocean762/{name.partition('/')[2]}": files[name] for name in files}
    )
    digest = hashlib.sha256(served.files["speechocean762.tar.gz"]).hexdigest()
    command = ["prepare", "speechocean762", "--download", "--mirror", served.url]
    refused = csc(*command, "--sha256", "0" * 64, tmp_path / "downloads", tmp_path / "data", status=1)
    assert digest in refused.stderr and not (tmp_path / "data").exists()
    csc(*command, "--sha256", digest, tmp_path / "downloads", tmp_path / "data")
    assert (tmp_path / "data" / "train" / "wav.scp").exists()
    assert (tmp_path / "downloads" / "speechocean762" / "train" / "text").exists()
