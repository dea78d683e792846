"""Mixtures of LibriMix's, wsj0-2mix's and ESPnet's layouts, written by the test as their own scripts write them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.extraction.sources import true_sources
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.text import read_map
from csc_cli.metrics.separation_files import measure_data_dir
from csc_cli.mixtures.espnet import export_espnet
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.plan import MixtureConfig
from csc_cli.mixtures.ready import import_mixtures
from csc_cli.mixtures.settings import NoiseConfig
from csc_cli.mixtures.simulate import simulate_data_dir

RATE = 8000
IDS = ["4077-13754-0001_5142-33396-0065", "1089-134686-0000_121-121726-0014"]


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def librimix(tmp_path) -> Path:
    """Libri2Mix/wav8k/min/test, its metadata beside it: folders and columns of create_librimix_from_metadata.py."""
    rng = np.random.default_rng(0)
    mode = tmp_path / "Libri2Mix" / "wav8k" / "min"
    rows: dict[str, list[list[object]]] = {"mix_clean": [], "mix_both": [], "mix_single": []}
    for number, id in enumerate(IDS):
        one, two, noise = 0.1 * rng.standard_normal((3, 900 + 100 * number))
        parts = {"s1": one, "s2": two, "noise": noise}
        mixes = {"mix_clean": one + two, "mix_both": one + two + noise, "mix_single": one + noise}
        paths = {kind: write(mode / "test" / kind / f"{id}.wav", x) for kind, x in (parts | mixes).items()}
        used = {"mix_clean": ("s1", "s2"), "mix_both": ("s1", "s2", "noise"), "mix_single": ("s1", "noise")}
        for kind, names in used.items():
            rows[kind].append([id, id, paths[kind], *(paths[name] for name in names), len(one)])
    columns = {
        "mix_clean": ["source_1_path", "source_2_path"],
        "mix_both": ["source_1_path", "source_2_path", "noise_path"],
        "mix_single": ["source_1_path", "noise_path"],
    }
    (mode / "metadata").mkdir()
    for kind, lines in rows.items():
        with open(mode / "metadata" / f"mixture_test_{kind}.csv", "w", newline="") as stream:
            head = ["mixture_ID", "original_mixture_ID", "mixture_path", *columns[kind], "length"]
            csv.writer(stream).writerows([head, *lines])
    return mode


PARTS = {
    "mix_clean": ("spk1", "spk2"),
    "mix_both": ("noise1", "spk1", "spk2"),
    "mix_single": ("noise1", "spk1"),
}


def check_sound(out: Path, parts: tuple[str, ...]) -> None:
    """A data directory whose parts sum to the mixtures."""
    assert check_data_dir(out, read_audio=True) == []
    assert sorted(path.stem for path in out.glob("*[0-9].scp")) == sorted(parts)
    wav = read_map(out / "wav.scp")
    assert list(wav) == sorted(IDS)
    for id, name in wav.items():
        total = sum(soundfile.read(read_map(out / f"{part}.scp")[id])[0] for part in parts)
        assert np.abs(total - soundfile.read(name)[0]).max() <= 2.01 / 32768


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("by", ["folders", "metadata", "moved metadata"])
def test_librimix_is_taken(librimix, tmp_path, kind, by):
    out = tmp_path / "data"
    if by == "folders":
        import_mixtures(librimix / "test", out, mixture=kind)
    else:
        if by == "moved metadata":
            librimix = shutil.move(librimix, tmp_path / "elsewhere")
        import_mixtures(librimix / "metadata" / f"mixture_test_{kind}.csv", out, nj=2)
    check_sound(out, PARTS[kind])
    one = kind == "mix_single"
    assert read_map(out / "utt2spks") == {IDS[1]: "1089" if one else "1089 121", IDS[0]: "4077" if one else "4077 5142"}
    assert read_map(out / "utt2spk") == {id: id for id in IDS}


def test_separation_and_evaluation_take_it(librimix, tmp_path, csc):
    out = tmp_path / "data"
    csc("mixtures", "import", "--mixture", "mix_clean", librimix / "test", out)
    streams, talkers = true_sources(DataDir.load(out))
    assert streams == {id: [f"{id}-s1", f"{id}-s2"] for id in IDS}
    assert talkers.by_id[f"{IDS[0]}-s2"].recording == str(librimix / "test" / "s2" / f"{IDS[0]}.wav")
    separated = tmp_path / "separated"
    separated.mkdir()
    for one, other in (("spk1", "spk2"), ("spk2", "spk1")):  # the sources in the other order are a perfect separation
        shutil.copy(out / f"{one}.scp", separated / f"{other}.scp")
    measured = measure_data_dir(separated, out)
    assert measured is not None
    assert "2 recordings" in measured
    assert float(measured.split("SI-SNR ")[1].split()[0]) > 60


def test_wsj0_2mix_is_taken(tmp_path):
    folder = tmp_path / "2speakers" / "wav8k" / "max" / "tt"
    id = "050a050a_0.032494_421o030g_-0.032494"
    for kind in ("mix", "s1", "s2"):
        write(folder / kind / f"{id}.wav", 0.1 * np.ones(500))
    import_mixtures(folder, tmp_path / "data")
    assert read_map(tmp_path / "data" / "utt2spks") == {id: "050 421"}
    assert not (tmp_path / "data" / "noise1.scp").exists()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("lacks", r"s2: lacks 4077.*; unpack"),
        ("more", r"mix_clean: lacks extra"),
        ("short", r"spk2.scp: '4077-.*' has 450 samples at 8000 Hz, its mixture 900 at 8000 Hz"),
        ("rate", r"spk1.scp: '4077-.*' has 900 samples at 16000 Hz, its mixture 900 at 8000 Hz"),
        ("empty", r"s1: has no recordings"),
        ("which", r"has the folders mix_both, mix_clean, mix_single; choose one with --mixture"),
        ("other", r"mix_noisy: not found"),
        ("none", r"is no folder of mixtures: looked for"),
    ],
)
def test_what_is_missing_is_named(librimix, tmp_path, damage, says):
    folder, mixture = librimix / "test", "mix_clean"
    if damage == "lacks":
        (folder / "s2" / f"{IDS[0]}.wav").unlink()
    elif damage == "more":
        write(folder / "s1" / "extra.wav", np.ones(10))
    elif damage == "short":
        write(folder / "s2" / f"{IDS[0]}.wav", np.ones(450))
    elif damage == "rate":
        write(folder / "s1" / f"{IDS[0]}.wav", np.ones(900), 16000)
    elif damage == "empty":
        for path in (folder / "s1").iterdir():
            path.unlink()
    elif damage == "other":
        mixture = "mix_noisy"
    elif damage == "none":
        folder = tmp_path
    with pytest.raises(DataError, match=says):
        import_mixtures(folder, tmp_path / "data", mixture=None if damage == "which" else mixture)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("mixture_path", "path"), "has no columns mixture_ID, mixture_path"),
        (lambda text: text + text.splitlines()[1] + "\n", r"csv:4: mixture '4077-.*' comes twice"),
        (lambda text: text[: text.rindex(",/")], r"csv:3: has too few columns"),
        (lambda text: text[: text.rindex("wav8k")], r"cannot be read"),
        (lambda text: text.splitlines()[0] + "\n", "has no mixtures"),
        (lambda text: text.replace("4077", "\udcff", 1), r"csv:2: is no text in UTF-8"),
    ],
)
def test_damaged_metadata_is_named(librimix, tmp_path, change, says):
    path = librimix / "metadata" / "mixture_test_mix_clean.csv"
    path.write_text(change(path.read_text()), errors="surrogateescape")
    with pytest.raises(DataError, match=says):
        import_mixtures(path, tmp_path / "data")


def test_ids_that_do_not_say_who_is_heard(librimix, tmp_path, capsys):
    for folder in (librimix / "test").iterdir():
        for number, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / f"meeting{number}.wav")
    import_mixtures(librimix / "test", tmp_path / "one", mixture="mix_clean")
    assert not (tmp_path / "one" / "utt2spks").exists()
    assert "there is no utt2spks; see --utt2spks" in capsys.readouterr().err
    (tmp_path / "heard").write_text("meeting0 ann bob\n")
    with pytest.raises(DataError, match="heard: lacks meeting1"):
        import_mixtures(librimix / "test", tmp_path / "two", mixture="mix_clean", utt2spks=tmp_path / "heard")
    (tmp_path / "heard").write_text("meeting0 ann bob\nmeeting1 carl ann\n")
    import_mixtures(librimix / "test", tmp_path / "two", mixture="mix_clean", utt2spks=tmp_path / "heard")
    assert read_map(tmp_path / "two" / "utt2spks") == {"meeting0": "ann bob", "meeting1": "carl ann"}


def test_a_data_directory_is_not_overwritten(librimix, data, tmp_path):
    before = (data.path / "wav.scp").read_bytes()
    with pytest.raises(DataError, match="holds a data directory already"):
        import_mixtures(librimix / "test", data.path, mixture="mix_clean")
    with pytest.raises(DataError, match="holds a data directory already"):
        export_espnet(data.path, data.path)
    assert (data.path / "wav.scp").read_bytes() == before


def write_espnet(folder: Path, mode: Path) -> None:
    """data/test as local/data.sh of egs2/librimix/enh1 writes it from the metadata."""
    folder.mkdir(parents=True)
    with open(mode / "metadata" / "mixture_test_mix_both.csv") as stream:
        rows = sorted(line.rstrip("\n").split(",") for line in stream if "mixture_ID" not in line)
    columns = {"wav.scp": 2, "spk1.scp": 3, "spk2.scp": 4, "noise1.scp": 5, "utt2spk": 0, "spk2utt": 0}
    for name, column in columns.items():
        (folder / name).write_text("".join(f"{row[0]} {row[column]}\n" for row in rows))
    for talker in ("spk1", "spk2"):
        (folder / f"text_{talker}").write_text("".join(f"{row[0]} WORDS OF {talker}\n" for row in rows))


def test_espnet_s_directory_is_taken(librimix, tmp_path):
    write_espnet(tmp_path / "espnet", librimix)
    import_mixtures(tmp_path / "espnet", tmp_path / "data")
    check_sound(tmp_path / "data", ("noise1", "spk1", "spk2"))
    assert read_map(tmp_path / "data" / "utt2spks") == {IDS[1]: "1089 121", IDS[0]: "4077 5142"}
    assert read_map(tmp_path / "data" / "text_spk2") == dict.fromkeys(IDS, "WORDS OF spk2")
    (tmp_path / "heard").write_text(f"{IDS[0]} ann bob\n")
    with pytest.raises(DataError, match="heard: lacks 1089"):
        import_mixtures(tmp_path / "espnet", tmp_path / "named", utt2spks=tmp_path / "heard")
    (tmp_path / "heard").write_text(f"{IDS[1]} carl ann\n{IDS[0]} ann bob\n")
    import_mixtures(tmp_path / "espnet", tmp_path / "named", utt2spks=tmp_path / "heard")
    assert read_map(tmp_path / "named" / "utt2spks") == {IDS[1]: "carl ann", IDS[0]: "ann bob"}
    (tmp_path / "espnet" / "spk1.scp").unlink()
    with pytest.raises(DataError, match=r"has no spk1.scp"):
        import_mixtures(tmp_path / "espnet", tmp_path / "other")


def test_espnet_s_directory_is_written(data, tmp_path, csc, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = MixtureConfig(crop_s=None, noise=NoiseConfig(probability=0.5))
    simulate_data_dir(data.path, Path("mix"), config, count=8, audio=True)
    Path("text").write_text("".join(f"{id} words of {id}\n" for id in data.by_id))
    csc("mixtures", "export", "--text", "text", "mix", "out")
    mixtures = {mixture.id: mixture for mixture in read_mixtures("mix/mix.jsonl")}
    assert 0 < sum(mixture.noise is None for mixture in mixtures.values()) < 8
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir() if path.is_file()}
    kinds = ("spk1", "spk2", "noise1")
    wanted = {"wav.scp", "utt2spk", "spk2utt", "text_spk1", "text_spk2", "utt2spks", *(f"{kind}.scp" for kind in kinds)}
    assert names == wanted
    # What ESPnet checks: every table has the same keys in C order; names that open from its own folder.
    monkeypatch.chdir("/")
    for name in wanted - {"spk2utt"}:
        assert [line.split()[0] for line in (out / name).read_text().splitlines()] == sorted(mixtures)
    for id, mixture in mixtures.items():
        wav = soundfile.read(read_map(out / "wav.scp")[id])[0]
        parts = [soundfile.read(read_map(out / f"{kind}.scp")[id])[0] for kind in kinds]
        assert np.abs(sum(parts) - wav).max() <= 2.01 / 32768
        for number, source in enumerate(mixture.sources, start=1):
            assert read_map(out / f"text_spk{number}")[id] == f"words of {source.utterance}"
    import_mixtures(out, tmp_path / "back")
    assert read_map(tmp_path / "back" / "utt2spks") == read_map(tmp_path / "mix" / "utt2spks")
    assert read_map(tmp_path / "back" / "text_spk1") == read_map(out / "text_spk1")


def test_what_espnet_cannot_take_is_named(data, tmp_path):
    mix = tmp_path / "mix"
    simulate_data_dir(data.path, mix, MixtureConfig(crop_s=None), count=3, audio=True)
    with pytest.raises(DataError, match=r"spk1.scp: not found"):
        export_espnet(data.path, tmp_path / "out")
    (tmp_path / "text").write_text(f"{data.utterances[0].id} words\n")
    with pytest.raises(DataError, match=r"text: has no transcript of "):
        export_espnet(mix, tmp_path / "out", tmp_path / "text")
    lines = (mix / "spk2.scp").read_text().splitlines(keepends=True)
    (mix / "spk2.scp").write_text("".join(lines[:-1]))
    with pytest.raises(
        DataError, match=r"mixtures have different numbers of talkers \('mix0000002' has 1, 'mix0000000' has 2"
    ):
        export_espnet(mix, tmp_path / "out")
    assert not (tmp_path / "out" / "wav.scp").exists()
