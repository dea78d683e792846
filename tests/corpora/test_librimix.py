"""LibriMix's plans against a plain re-statement of its generation: read, scale, resample, fit, add."""

import csv
import hashlib

import numpy as np
import pytest
import scipy.signal
import soundfile

from csc_cli.corpora import librimix_download, librispeech
from csc_cli.corpora.librimix import Version, prepare_librimix
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.render import AudioStore, render
from csc_cli.mixtures.surroundings import Surroundings

# Odd and even lengths, the first shorter or longer, two of them equal.
LENGTHS = {
    "4077/13754/4077-13754-0001": 4801,
    "5142/33396/5142-33396-0065": 6400,
    "6930/76324/6930-76324-0027": 5000,
    "5683/32879/5683-32879-0011": 5000,
    "1089/134686/1089-134686-0002": 7333,
}
NAMES = [f"test-clean/{name}.flac" for name in LENGTHS]
ROWS = [((0, 1, 2), (0.7875413348848695, 1.4352834120507272, 0.3442805985487599), 0, 1.7990499862874463)]
ROWS += [((2, 3, 0), (0.6015250670106238, 0.13868072756559302, 1.0), 1, 1.4409061659915268)]
ROWS += [((4, 0, 1), (0.5, 0.9, 1.1), 2, 0.25)]
NOISES = ["tt/445c0204_1.7413_442c020t_-1.7413.wav", "tt/22hc010b_1.8764.wav", "tt/421a0109.wav"]


def stem(name: str) -> str:
    return name.split("/")[-1][:-5]


def mixture_id(row, talkers: int) -> str:
    return "_".join(stem(NAMES[index]) for index in row[0][:talkers])


@pytest.fixture
def storage(tmp_path):
    """What LibriMix's own script fills: LibriSpeech in FLAC, WHAM!'s noise in two channels, and the tables."""
    root = tmp_path / "storage"
    rng = np.random.default_rng(0)
    for name, length in zip(NAMES, LENGTHS.values(), strict=True):
        path = root / "LibriSpeech" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.clip(rng.normal(0, 3000, length), -32768, 32767).astype(np.int16), 16000)
    readers = sorted({name.split("/")[1] for name in NAMES})
    (root / "LibriSpeech" / "SPEAKERS.TXT").write_text("".join(f"{r} | F | test-clean | 8 | N\n" for r in readers))
    (root / "wham_noise" / "tt").mkdir(parents=True)
    for name in NOISES:
        samples = rng.normal(0, 0.02, (9000, 2))
        soundfile.write(root / "wham_noise" / name, samples, 16000, subtype="PCM_16")
    for talkers in (2, 3):
        write_table(root / "metadata" / f"Libri{talkers}Mix" / f"libri{talkers}mix_test-clean.csv", talkers)
    return root


def write_table(path, talkers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        columns = [f"source_{n}_{what}" for n in range(1, talkers + 1) for what in ("path", "gain")]
        table.writerow(["mixture_ID", *columns, "noise_path", "noise_gain"])
        for row in ROWS:
            pairs = [field for index, gain in zip(row[0][:talkers], row[1]) for field in (NAMES[index], gain)]
            table.writerow([mixture_id(row, talkers), *pairs, NOISES[row[2]], row[3]])


def generated(root, row, version: Version) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """The mixture, its sources and its noise, by the steps that LibriMix documents."""
    heard = [soundfile.read(root / "LibriSpeech" / NAMES[i], dtype="float32")[0] for i in row[0][: version.talkers]]
    longest = max(map(len, heard))
    heard.append(soundfile.read(root / "wham_noise" / NOISES[row[2]], dtype="float32", stop=longest)[0][:, 0])
    gains = [*row[1][: version.talkers], row[3]]
    parts = [samples * gain for samples, gain in zip(heard, gains, strict=True)]
    parts = [scipy.signal.resample_poly(samples, version.sample_rate, 16000) for samples in parts]
    if version.mode == "min":
        shortest = min(map(len, parts))
        parts = [samples[:shortest] for samples in parts]
    else:
        longest = max(map(len, parts))
        parts = [np.pad(samples, (0, longest - len(samples))) for samples in parts]
    chosen = {"mix_clean": parts[:-1], "mix_both": parts, "mix_single": [parts[0], parts[-1]]}[version.kind]
    total = np.zeros_like(parts[0])
    for samples in chosen:
        total += samples
    return total, chosen[:-1] if version.kind != "mix_clean" else chosen, parts[-1]


VERSIONS = [
    Version(talkers, rate, mode, kind)
    for talkers in (2, 3)
    for rate in (8000, 16000)
    for mode in ("min", "max")
    for kind in ("mix_clean", "mix_both", "mix_single")
]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_rendered_sample_for_sample(storage, tmp_path, version):
    data = tmp_path / "data"
    prepare_librimix(storage, data, version, ["test"])
    folder = data / "test"
    noises = None if version.kind == "mix_clean" else str(folder / "noises")
    store = AudioStore(DataDir.load(folder / "sources"), version.sample_rate, surroundings=Surroundings(noises))
    mixtures = list(read_mixtures(folder / "mix.jsonl"))
    assert [mixture.id for mixture in mixtures] == [mixture_id(row, version.talkers) for row in ROWS]
    for mixture, row in zip(mixtures, ROWS, strict=True):
        total, sources, noise = generated(storage, row, version)
        made = render(mixture, store)
        assert made.mixture.dtype == np.float32 and np.array_equal(made.mixture, total)
        assert np.array_equal(made.sources, sources)
        assert np.array_equal(made.noise, np.zeros_like(total) if noises is None else noise)


def test_data_directories_of_what_is_mixed(storage, tmp_path):
    prepare_librimix(storage, tmp_path, Version(kind="mix_both"), ["test"])
    for name in ("sources", "noises"):
        assert check_data_dir(tmp_path / "test" / name, read_audio=True) == []
    sources = DataDir.load(tmp_path / "test" / "sources")
    assert {key: utterance.speaker for key, utterance in sources.by_id.items()} == {
        stem(name): name.split("/")[1] for name in NAMES
    }
    assert set(sources.extra["spk2gender"].values()) == {"f"}


def test_a_noise_that_is_too_short_is_counted(storage, tmp_path):
    soundfile.write(storage / "wham_noise" / NOISES[0], np.full((3000, 2), 0.1), 16000, subtype="PCM_16")
    summary = prepare_librimix(storage, tmp_path, Version(kind="mix_both"), ["test"])
    assert summary.endswith("3 mixtures; 1 noises are shorter than their mixture and go on from their beginning")
    assert check_data_dir(tmp_path / "test" / "noises", read_audio=True) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "wham_noise").rename(root / "noise"), r"storage: wham_noise not found \(looked in"),
        (
            lambda root: (root / "metadata").rename(root / "meta"),
            r"libri2mix_test-clean.csv not found \(looked in .*Mix",
        ),
        (lambda root: (root / "LibriSpeech" / NAMES[1]).unlink(), r"1 of 5 recordings are not there: test-clean/5142"),
        (lambda root: (root / "wham_noise" / NOISES[1]).unlink(), r"wham_noise: 1 of 3 recordings are not there"),
    ],
)
def test_what_is_missing_is_said(storage, tmp_path, damage, message):
    damage(storage)
    with pytest.raises(DataError, match=message):
        prepare_librimix(storage, tmp_path / "data", Version(kind="mix_both"), ["test"])
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source_2_gain", "gain_2", r"test-clean.csv:1: has no columns source_2_gain; is it a table of 2 talkers"),
        ("0.13868072756559302", "nan", r"test-clean.csv:3: gains must be numbers above 0"),
        (mixture_id(ROWS[2], 2), mixture_id(ROWS[1], 2), r"test-clean.csv:4: the mixture '6930-.*' comes twice"),
        (NAMES[4], "1089-134686-0002.flac", r"test-clean.csv:4: a source's path must be SUBSET/READER"),
    ],
)
def test_damaged_tables_are_refused(storage, tmp_path, old, new, message):
    path = storage / "metadata" / "Libri2Mix" / "libri2mix_test-clean.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        prepare_librimix(storage, tmp_path / "data", Version(), ["test"])


def test_impossible_versions_are_refused():
    with pytest.raises(ConfigError, match="at 8000 or 16000 Hz"):
        Version(sample_rate=44100)
    with pytest.raises(ConfigError, match="did you mean 'mix_clean'"):
        Version(kind="mix_cleam")


def test_download_and_command(storage, tmp_path, served, tar, csc, monkeypatch):
    speech = storage / "LibriSpeech"
    files = {str(path.relative_to(storage)): path.read_bytes() for path in speech.rglob("*") if path.is_file()}
    served.files["test-clean.tar.gz"] = tar(files)
    table = storage / "metadata" / "Libri2Mix" / "libri2mix_test-clean.csv"
    served.files[table.name] = table.read_bytes()
    monkeypatch.setitem(librispeech.MD5, "test-clean", hashlib.md5(served.files["test-clean.tar.gz"]).hexdigest())
    monkeypatch.setitem(librimix_download.SHA256, table.name, hashlib.sha256(table.read_bytes()).hexdigest())
    source, data = tmp_path / "downloads", tmp_path / "data"
    wanted = ["--set", "test", "--rate", "16000", "--mode", "max"]
    csc("prepare", "librimix", "--download", "--mirror", served.url, *wanted, source, data)
    plan = data / "test" / "mix.jsonl"
    csc("simulate", "--float", "--plan", plan, data / "test" / "sources", tmp_path / "out")
    written = DataDir.load(tmp_path / "out")
    for row in ROWS:
        total, _, _ = generated(storage, row, Version(2, 16000, "max"))
        samples, _ = soundfile.read(written.by_id[mixture_id(row, 2)].recording, dtype="float32")
        assert np.array_equal(samples, total)
        soundfile.write(tmp_path / "published.wav", total, 16000)
        published, _ = soundfile.read(tmp_path / "published.wav", dtype="int16")
        assert np.array_equal(np.floor(samples * 32768), published)
