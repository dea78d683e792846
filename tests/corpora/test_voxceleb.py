import hashlib
import random
import shutil
import stat
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.corpora import voxceleb_download, walk
from csc_cli.corpora.voxceleb import prepare_voxceleb
from csc_cli.errors import DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.trials import read_trials

# As in the corpus: videos' ids hold - and _, also at their beginning; the tables differ in form.
META1 = (
    "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n"
    "id10001\tA.J._Buckley\tm\tIreland\tdev\n"
    "id10003\tA.R._Rahman\tm\tTrinidad & Tobago\tdev\n"
    "id10270\tEartha_Kitt\tf\tUSA\ttest\n"
    "id10309\tEzra_Miller\tm\tUSA\ttest\n"
)
META2 = (
    "\ufeffVoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set\n"
    "id00012 ,n000012 ,m ,dev\n"
    "id00017 ,n000017 ,m ,test\n"
    "id09272 ,n009294 ,f ,dev\n"
)
FIRST = {
    "dev": ["id10001/-7kMNWPq2Eo/00001", "id10001/Y8hIVOBuels/00002", "id10003/_raOc3-IRsw/00001"],
    "test": ["id10270/5r0dWxy17C8/00001", "id10270/5r0dWxy17C8/00002", "id10309/x6uYqmx31kE/00001"],
}
SECOND = {"dev": ["id00012/21Uxsk56VDQ/00001", "id09272/u7VNkYraCw0/00026"], "test": ["id00017/01dfn2spqyE/00001"]}
O_LIST = """1 id10270/5r0dWxy17C8/00001.wav id10270/5r0dWxy17C8/00002.wav
0 id10270/5r0dWxy17C8/00001.wav id10309/x6uYqmx31kE/00001.wav
"""
H_LIST = "1 id10001/-7kMNWPq2Eo/00001.wav id10001/Y8hIVOBuels/00002.wav\n" + O_LIST


def key(name: str) -> str:
    return name.replace("/", "-")


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def write(root, names: list[str], ending: str, seed: int = 0) -> None:
    """A wav of noise of its own for each name, whatever its ending."""
    for name in names:
        path = root / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng([seed, *name.encode()]).integers(-999, 999, 80, dtype=np.int16)
        soundfile.write(path, samples, 16000, format="WAV")


@pytest.fixture
def corpus(tmp_path):
    root = tmp_path / "all of it"
    for part in ("dev", "test"):
        write(root / "voxceleb1" / part / "wav", FIRST[part], ".wav")
        write(root / "voxceleb2" / part / "aac", SECOND[part], ".m4a")
    (root / "voxceleb1" / "dev" / "wav" / "id10001" / "notes.txt").touch()
    (root / "voxceleb1" / "vox1_meta.csv").write_text(META1)
    (root / "voxceleb2" / "vox2_meta.csv").write_text(META2)
    (root / "voxceleb1" / "meta").mkdir()
    (root / "voxceleb1" / "meta" / "veri_test2.txt").write_text(O_LIST)
    (root / "voxceleb1" / "meta" / "list_test_hard2.txt").write_text(H_LIST)
    return root


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """A program of this name that gives the file after -i as it is, and only with the options that give a wav."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "-nostdin -v error -i $5 -f wav -acodec pcm_s16le -" ] && cat "$5"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def test_both_versions_and_their_lists(corpus, tmp_path, ffmpeg):
    data = tmp_path / "data"
    summary = prepare_voxceleb(corpus, data)
    assert f"{data}/voxceleb1_test: 2 speakers, 3 utterances" in summary
    assert f"{data}/voxceleb1_h: 5 utterances, 3 trials" in summary
    parts = {
        f"voxceleb{version}_{part}": names for version, own in ((1, FIRST), (2, SECOND)) for part, names in own.items()
    }
    for part, names in parts.items():
        assert check_data_dir(data / part, read_audio=True) == []
        loaded = DataDir.load(data / part)
        assert set(loaded.by_id) == {key(name) for name in names}
        assert all(utterance.speaker == id[:7] for id, utterance in loaded.by_id.items())
        for name in names:
            expected = np.random.default_rng([0, *name.encode()]).integers(-999, 999, 80, dtype=np.int16)
            assert np.array_equal(read_audio(loaded.by_id[key(name)])[0] * 32768, expected)
    assert DataDir.load(data / "voxceleb1_test").extra["spk2gender"] == {"id10270": "f", "id10309": "m"}
    assert DataDir.load(data / "voxceleb2_dev").extra["spk2gender"] == {"id00012": "m", "id09272": "f"}


def test_lists_as_kaldi_trials_and_as_published(corpus, tmp_path):
    prepare_voxceleb(corpus, tmp_path)
    for name, file, text in (("o", "veri_test2.txt", O_LIST), ("h", "list_test_hard2.txt", H_LIST)):
        folder = tmp_path / f"voxceleb1_{name}"
        assert (folder / file).read_text() == text
        assert check_data_dir(folder) == []
        rows = [line.split() for line in text.splitlines()]
        expected = [[key(a[:-4]), key(b[:-4]), "target" if mark == "1" else "nontarget"] for mark, a, b in rows]
        assert [line.split() for line in (folder / "trials").read_text().splitlines()] == expected
        trials = read_trials(folder / "trials")
        assert set(trials.enroll_ids) | set(trials.test_ids) == set(DataDir.load(folder).by_id)


def test_lists_that_need_what_is_not_there(corpus, tmp_path):
    (corpus / "voxceleb1/test/wav/id10309/x6uYqmx31kE/00001.wav").unlink()
    with pytest.raises(DataError, match=r"veri_test2.txt: 1 of 3 utterances are not there: id10309-x6uYqmx31kE-00001;"):
        prepare_voxceleb(corpus, tmp_path / "data")
    write(corpus / "voxceleb1/test/wav", ["id10309/x6uYqmx31kE/00001"], ".wav")
    shutil.rmtree(corpus / "voxceleb1" / "dev")
    summary = prepare_voxceleb(corpus, tmp_path / "other")
    assert "voxceleb1_h: not made, 2 of 5 utterances are not there" in summary
    assert (tmp_path / "other" / "voxceleb1_o" / "trials").exists()
    assert not (tmp_path / "other" / "voxceleb1_h").exists()


@pytest.mark.parametrize(
    "layout", ["wav", "dev/wav", "dev/dev/wav", "vox1_dev_wav/wav", "vox1_dev_wav", "", "vox1/dev/wav"]
)
def test_layouts_by_which_people_unpack(tmp_path, layout):
    write(tmp_path / "in" / layout, FIRST["dev"], ".wav")
    summary = prepare_voxceleb(tmp_path / "in", tmp_path / "out")
    assert summary == f"{tmp_path}/out/voxceleb1_dev: 2 speakers, 3 utterances"


def test_in_one_tree_the_tables_tell_the_part(tmp_path):
    write(tmp_path / "in" / "wav", FIRST["dev"] + FIRST["test"], ".wav")
    write(tmp_path / "in" / "aac", SECOND["dev"] + SECOND["test"], ".m4a")
    with pytest.raises(DataError, match=r"aac/id00012: of dev or of test\? Put vox2_meta.csv beside"):
        prepare_voxceleb(tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "vox2_meta.csv").write_text(META2)
    prepare_voxceleb(tmp_path / "in", tmp_path / "out")
    for part in ("dev", "test"):
        assert set(DataDir.load(tmp_path / "out" / f"voxceleb1_{part}").by_id) == {key(name) for name in FIRST[part]}
        assert set(DataDir.load(tmp_path / "out" / f"voxceleb2_{part}").by_id) == {key(name) for name in SECOND[part]}


def test_wav_is_taken_before_m4a(tmp_path):
    write(tmp_path / "in/dev/aac", SECOND["dev"], ".m4a")
    write(tmp_path / "in/dev/aac", SECOND["dev"][:1], ".WAV")
    write(tmp_path / "in/dev/wav", SECOND["dev"][1:], ".wav")
    prepare_voxceleb(tmp_path / "in", tmp_path / "out")
    for utterance in DataDir.load(tmp_path / "out" / "voxceleb2_dev").utterances:
        assert utterance.recording.lower().endswith(".wav")


def test_the_order_of_the_disk_changes_nothing(corpus, tmp_path, monkeypatch):
    prepare_voxceleb(corpus, tmp_path / "one")
    scan = walk._scan

    def shuffled(path):
        entries = scan(path)
        random.Random(str(path)).shuffle(entries)
        return entries

    monkeypatch.setattr(walk, "_scan", shuffled)
    prepare_voxceleb(corpus, tmp_path / "two")
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "voxceleb1/vox1_meta.csv").write_text("h\nid10001 m\n"), r"vox1_meta.csv:2: must be"),
        (lambda root: (root / "voxceleb1/dev/wav/A.J._Buckley").mkdir(), "A.J._Buckley: not a speaker's folder"),
        (lambda root: (root / "voxceleb1/meta/veri_test2.txt").write_text("2 a b\n"), r"veri_test2.txt:1: the key '2'"),
        (
            lambda root: (root / "voxceleb1/meta/veri_test2.txt").write_text("1 A/x_1.wav A/x_2.wav\n"),
            r"'A/x_1.wav' is not SPEAKER/VIDEO/NUMBER.wav",
        ),
    ],
)
def test_damaged_corpora_are_refused(corpus, tmp_path, damage, message):
    damage(corpus)
    with pytest.raises(DataError, match=message):
        prepare_voxceleb(corpus, tmp_path / "data")


def test_what_is_missing_is_said(tmp_path, csc):
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"in: dev/wav, test/wav, .* not found \(looked in .*in\); one of these"):
        prepare_voxceleb(tmp_path / "in", tmp_path / "data")
    result = csc("prepare", "voxceleb", tmp_path / "nowhere", tmp_path / "data", status=1)
    assert "nowhere: dev/wav" in result.stderr


def test_download(corpus, tmp_path, served, zipped, csc, monkeypatch):
    def tree(path) -> dict[str, bytes]:
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.*") if file.is_file()}

    archives = {part: zipped(tree(corpus / "voxceleb1" / part)) for part in ("dev", "test")}
    cut = len(archives["dev"]) // 4 + 1
    for number, letter in enumerate("abcd"):
        served.files[f"vox1_dev_wav_parta{letter}"] = archives["dev"][number * cut : (number + 1) * cut]
    served.files["vox1_test_wav.zip"] = archives["test"]
    lists = {"veri_test2.txt": O_LIST, "list_test_hard2.txt": H_LIST, "vox1_meta.csv": META1, "vox2_meta.csv": META2}
    served.files |= {name: text.encode() for name, text in lists.items()}

    def published(archive):
        parts = (replace(part, digest=f"md5:{md5(served.files[part.name])}") for part in archive.parts)
        return replace(archive, parts=tuple(parts))

    files = {
        name: tuple(published(archive) for archive in own if archive.name in served.files)
        for name, own in voxceleb_download.FILES.items()
    }
    monkeypatch.setattr(voxceleb_download, "FILES", files)
    source, data = tmp_path / "downloads", tmp_path / "data"
    wanted = ["--part", "voxceleb1_dev", "--part", "voxceleb1_test"]
    csc("prepare", "voxceleb", "--download", "--mirror", served.url, *wanted, source, data)
    assert (data / "voxceleb1_h" / "trials").read_text().count("nontarget") == 1
    assert set(DataDir.load(data / "voxceleb1_dev").by_id) == {key(name) for name in FIRST["dev"]}


def test_endings_in_capitals(tmp_path, ffmpeg):
    write(tmp_path / "in" / "dev" / "aac", SECOND["dev"], ".M4A")
    prepare_voxceleb(tmp_path / "in", tmp_path / "out")
    assert check_data_dir(tmp_path / "out" / "voxceleb2_dev", read_audio=True) == []
