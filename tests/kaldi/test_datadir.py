"""Data directories as values: loading, names of recordings, subsets, and saving what Kaldi would accept."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli.errors import DataError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir, Utterance

Make = Callable[..., Path]


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(line + "\n" for line in lines))


def files(path: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in path.iterdir() if file.is_file() and file.suffix != ".wav"}


@pytest.fixture
def segmented(tmp_path: Path) -> Path:
    """Two recordings of two seconds, one of two channels; three utterances."""
    path = tmp_path / "segmented"
    path.mkdir()
    for name, channels in (("rec1", 1), ("rec2", 2)):
        samples = np.random.default_rng(channels).uniform(-0.5, 0.5, (16000, channels))
        soundfile.write(path / f"{name} file.wav", samples, 8000)
    write(path / "wav.scp", f"rec1 {path}/rec1 file.wav", f"rec2 {path}/rec2 file.wav")
    write(path / "segments", "a-1 rec1 0.5 1.25", "a-2 rec1 1.25 2.0", "b-1 rec2 0.0 1.0")
    write(path / "utt2spk", "a-1 a", "a-2 a", "b-1 b")
    write(path / "spk2utt", "a a-1 a-2", "b b-1")
    write(path / "reco2file_and_channel", "rec1 rec1 A", "rec2 rec2 B")
    write(path / "text", "a-1 HELLO WORLD", "a-2", "b-1 YES")
    write(path / "spk2gender", "a f", "b m")
    return path


def test_load(make_data_dir: Make) -> None:
    path = make_data_dir(speakers=3, utterances=2)
    data = DataDir.load(path)
    assert data.path == path
    assert [utterance.id for utterance in data.utterances] == [f"spk{s}-utt{u}" for s in range(3) for u in range(2)]
    assert data.by_id["spk1-utt1"] == Utterance("spk1-utt1", "spk1", f"{path}/wav/spk1-utt1.wav")
    assert data.spk2utt == {f"spk{s}": [f"spk{s}-utt0", f"spk{s}-utt1"] for s in range(3)}
    assert data.extra == {}


def test_load_segments_channels_and_other_tables(segmented: Path) -> None:
    data = DataDir.load(segmented)
    recording = f"{segmented}/rec2 file.wav"
    assert data.by_id["b-1"] == Utterance("b-1", "b", recording, 0.0, 1.0, 1, "rec2")
    assert data.by_id["a-2"].start_s == 1.25
    assert data.extra["text"] == {"a-1": "HELLO WORLD", "a-2": "", "b-1": "YES"}
    assert data.extra["spk2gender"]["b"] == "m"
    known, _ = soundfile.read(recording, dtype="float32")
    assert np.array_equal(read_audio(data.by_id["b-1"])[0], known[:8000, 1])


def test_segments_may_name_a_channel_and_run_to_the_end(segmented: Path) -> None:
    (segmented / "reco2file_and_channel").unlink()
    write(segmented / "segments", "a-1 rec1 0.5 1.25", "a-2 rec1 1.5 -1", "b-1 rec2 0 1 1")
    data = DataDir.load(segmented)
    assert data.by_id["a-2"].end_s is None and len(read_audio(data.by_id["a-2"])[0]) == 4000
    assert data.by_id["b-1"].channel == 1


@pytest.mark.parametrize("kind", ["whole", "segments"])
def test_saving_what_was_loaded_changes_nothing(
    make_data_dir: Make, segmented: Path, tmp_path: Path, kind: str
) -> None:
    path = make_data_dir() if kind == "whole" else segmented
    DataDir.load(path).save(tmp_path / "out")
    assert files(tmp_path / "out") == files(path)
    assert check_data_dir(tmp_path / "out", read_audio=True) == []
    again = DataDir.load(tmp_path / "out")
    assert again.utterances == DataDir.load(path).utterances


def test_saved_files_are_sorted_as_with_lc_all_c(tmp_path: Path, make_data_dir: Make) -> None:
    recording = DataDir.load(make_data_dir()).utterances[0].recording
    ids = ["z-1", "B-1", "a_1", "a-1", "é-1", "日-1", "aa-1"]
    DataDir(tmp_path, tuple(Utterance(id, id[:-2], recording) for id in ids)).save(tmp_path / "out")
    for file in (tmp_path / "out").iterdir():
        subprocess.run(["sort", "-c", "-u", "-k1,1", file], check=True, env={"LC_ALL": "C"})
    assert [utterance.id for utterance in DataDir.load(tmp_path / "out").utterances] == sorted(ids)


def test_an_open_end_is_written_in_seconds(segmented: Path, tmp_path: Path) -> None:
    data = DataDir.load(segmented)
    open_end = dataclasses.replace(data.by_id["a-1"], end_s=None)
    DataDir(data.path, (open_end, data.by_id["a-2"])).save(tmp_path / "out")
    assert (tmp_path / "out" / "segments").read_text() == "a-1 rec1 0.5 2.0\na-2 rec1 1.25 2.0\n"


def test_save_replaces_stale_segments_and_keeps_channels(segmented: Path, make_data_dir: Make) -> None:
    recording = f"{segmented}/rec2 file.wav"
    DataDir(segmented, (Utterance("a-1", "a", recording, channel=1),)).save(segmented)
    assert not (segmented / "segments").exists()
    assert (segmented / "reco2file_and_channel").read_text() == "a-1 a-1 B\n"
    assert DataDir.load(segmented).utterances == (Utterance("a-1", "a", recording, channel=1),)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    one = Utterance("a-1", "a", "a.wav")
    for utterances, message in (
        ((), "no utterances to write"),
        ((one, one), "used twice"),
        ((Utterance("a-1", "a", "x", 0, 1, 0, "r"), Utterance("a-2", "a", "y", 0, 1, 0, "r")), "two files"),
        ((Utterance("a-1", "a", "x", 0, 1, 0, "r"), Utterance("a-2", "a", "x", 0, 1, 1, "r")), "two channels"),
        ((Utterance("a 1", "a", "x"),), "cannot be a line"),
    ):
        with pytest.raises(DataError, match=message):
            DataDir(tmp_path, utterances).save(tmp_path / "out")
        assert not (tmp_path / "out" / "wav.scp").exists()


def test_subset(segmented: Path) -> None:
    part = DataDir.load(segmented).subset(["b-1"])
    assert [utterance.id for utterance in part.utterances] == ["b-1"]
    assert part.extra == {"text": {"b-1": "YES"}, "spk2gender": {"b": "m"}, "reco2file_and_channel": {"rec2": "rec2 B"}}
    with pytest.raises(DataError, match="has no utterances x, y; "):
        part.subset(["y", "b-1", "x"])


def test_relative_recordings(make_data_dir: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_data_dir("corpus/part")
    key, text = "spk0-utt0", (path / "wav.scp").read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for prefix in ("wav", "part/wav", "corpus/part/wav", "../corpus/part/wav"):
        (path / "wav.scp").write_text(text.replace(f"{path}/wav", prefix))
        data = DataDir.load(path)
        assert read_audio(data.by_id[key])[0].size, prefix
        assert check_data_dir(path, read_audio=True) == []
    # The working folder comes first, and then names stay as they are.
    monkeypatch.chdir(tmp_path)
    (path / "wav.scp").write_text(text.replace(f"{path}/wav", "corpus/part/wav"))
    assert DataDir.load(Path("corpus/part")).by_id[key].recording == f"corpus/part/wav/{key}.wav"
    # What is found nowhere stays as it is too, and the error is that of reading it.
    (path / "wav.scp").write_text(text.replace(f"{path}/wav", "nowhere"))
    assert DataDir.load(path).by_id[key].recording == f"nowhere/{key}.wav"


def test_sources_beside_wav_scp_are_found_the_same_way(make_data_dir: Make) -> None:
    path = make_data_dir()
    for name in ("wav.scp", "spk1.scp"):
        (path / name).write_text((path / "wav.scp").read_text().replace(f"{path}/", ""))
    data = DataDir.load(path)
    assert data.extra["spk1.scp"]["spk0-utt0"] == f"{path}/wav/spk0-utt0.wav"
    assert list(data.subset(["spk0-utt0"]).extra["spk1.scp"]) == ["spk0-utt0"]


def test_no_data_directory(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such folder; give a Kaldi data directory"):
        DataDir.load(tmp_path / "none")
    with pytest.raises(DataError, match=r"wav.scp: cannot be read: No such file .* \(and 1 more"):
        DataDir.load(tmp_path)


@pytest.mark.parametrize("name", ["speechocean762/train", "speechocean762/test", "librispeech251"])
def test_shared_corpora(shared: Path, name: str) -> None:
    path = shared / "corpora" / name
    data = DataDir.load(path)
    assert dict(line.split() for line in (path / "utt2spk").read_text().splitlines()) == {
        utterance.id: utterance.speaker for utterance in data.utterances
    }
    for utterance in data.utterances[::97][:5]:
        known, rate = soundfile.read(utterance.recording, dtype="float32")
        samples, got = read_audio(utterance)
        assert got == rate and np.array_equal(samples, known)
        assert read_audio(utterance, 8000)[1] == 8000


def test_each_utterance_knows_its_line_of_wav_scp(segmented: Path, make_data_dir: Make) -> None:
    assert [(u.scp, u.line) for u in DataDir.load(segmented).utterances] == [
        (f"{segmented}/wav.scp", line) for line in (1, 1, 2)
    ]
    path = make_data_dir()
    (path / "wav" / "spk1-utt0.wav").unlink()
    data = DataDir.load(path)
    with pytest.raises(DataError, match=rf"^{path}/wav.scp:3: utterance 'spk1-utt0': {path}/wav/spk1-utt0.wav: cannot"):
        read_audio(data.by_id["spk1-utt0"])
    assert data.utterances[2] == dataclasses.replace(data.utterances[2], line=0), "of no meaning for equality"


def test_commands_are_refused_before_anything_is_read(make_data_dir: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_data_dir()
    text = (path / "wav.scp").read_text().replace("spk0-utt1.wav", "spk0-utt1.wav |")
    write(path / "wav.scp", *text.splitlines())
    DataDir.load(path)
    monkeypatch.setenv("CSC_NO_PIPES", "1")
    with pytest.raises(DataError, match=r"wav.scp:2: 'spk0-utt1' is a command, and --no-pipes refuses them; write"):
        DataDir.load(path)
