"""One data directory of several: what is merged, made, left out with a note, and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.edit.combine import combine_data_dirs
from csc_cli.kaldi.edit.subset import Choice, subset_data_dir
from csc_cli.kaldi.edit.tables import read_tables

Files = Callable[[Path], dict[str, str]]


def test_parts_make_the_whole_again(segmented: Path, four: Path, tmp_path: Path, files: Files) -> None:
    for source, cut in ((segmented, 2), (four, 6)):
        number = len(read_tables(source).utt2spk)
        subset_data_dir(source, tmp_path / "x", Choice(cut, "first"))
        subset_data_dir(source, tmp_path / "y", Choice(number - cut, "last"))
        combine_data_dirs(tmp_path / "out", [tmp_path / "y", tmp_path / "x"])
        expected = files(source)
        expected.pop("stm", None)  # no table: not combined
        assert files(tmp_path / "out") == expected


def test_segments_uniq_and_channels_are_made_where_only_one_has_them(
    segmented: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    other = write("other", {"utt2spk": "c-1 c\n", "wav.scp": "c-1 /c.wav\n", "utt2dur": "c-1 3.25\n"})
    (segmented / "utt2uniq").write_text("a-1 x\na-2 x\nb-1 y\n")
    combine_data_dirs(tmp_path / "out", [segmented, other])
    of = read_tables(tmp_path / "out").of
    assert of["segments"]["c-1"].split()[0] == "c-1"
    assert [float(time) for time in of["segments"]["c-1"].split()[1:]] == [0, 3.25]
    assert of["utt2uniq"] == {"a-1": "x", "a-2": "x", "b-1": "y", "c-1": "c-1"}
    assert of["reco2file_and_channel"] == {"c-1": "c-1 A", "rec1": "rec1 A", "rec2": "rec2 B"}
    assert DataDir.load(tmp_path / "out").by_id["b-1"].channel == 1


def test_the_durations_of_made_segments_come_from_the_audio(
    segmented: Path, make_data_dir: Callable[..., Path], tmp_path: Path
) -> None:
    audio = make_data_dir(seconds=0.7)
    combine_data_dirs(tmp_path / "out", [segmented, audio])
    assert DataDir.load(tmp_path / "out").by_id["spk1-utt0"].end_s == 0.7


def test_tables_that_not_all_have(
    segmented: Path, four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    combine_data_dirs(tmp_path / "out", [segmented, four])
    notes = capsys.readouterr().err
    for name in ("text", "feats.scp", "spk2gender", "reco2dur", "utt2dur", "utt2num_frames"):
        assert f"{name}: not combined, since it is missing in" in notes
        assert not (tmp_path / "out" / name).exists()
    # What may be of some utterances only is kept.
    assert (tmp_path / "out" / "spk2town").read_text() == "b Köln am Rhein\n"
    assert (tmp_path / "out" / "utt2mood").read_text() == "a-2 glad\n"


def test_extra_files_are_merged_if_all_have_them(segmented: Path, four: Path, tmp_path: Path) -> None:
    for path, key in ((segmented, "a-1"), (four, "anna-0")):
        (path / "my.notes").write_text(f"{key} of {path.name}\n")
    (segmented / "only.here").write_text("a-1 x\n")
    combine_data_dirs(tmp_path / "out", [four, segmented], ["my.notes", "only.here"])
    assert (tmp_path / "out" / "my.notes").read_text() == "a-1 of segmented\nanna-0 of four\n"
    assert not (tmp_path / "out" / "only.here").exists()


def test_two_that_say_different_things(segmented: Path, tmp_path: Path, write: Callable[..., Path]) -> None:
    tables = {"utt2spk": "a-9 a\n", "wav.scp": "a-9 /a.wav\n", "spk2gender": "a m\n", "utt2dur": "a-9 1\n"}
    other = write("other", tables)
    with pytest.raises(DataError, match=r"other/spk2gender: 'a m' is 'a f' in .*segmented \(1 such keys\); rename"):
        combine_data_dirs(tmp_path / "out", [segmented, other])
    write("other", {"utt2spk": "b-1 b\n", "wav.scp": "b-1 /b.wav\n", "spk2gender": "b m\n", "utt2dur": "b-1 1\n"})
    with pytest.raises(DataError, match=r"other/segments: 'b-1 b-1 0 1.0' is 'b-1 rec2 0.0 1.0' in"):
        combine_data_dirs(tmp_path / "out", [segmented, other])
    assert not (tmp_path / "out").exists()


def test_speakers_of_the_same_name_are_told(
    four: Path, write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write("other", {"utt2spk": "anna-9 anna\n", "wav.scp": "anna-9 /a.wav\n"})
    combine_data_dirs(tmp_path / "out", [four, other])
    assert "1 speakers of" in capsys.readouterr().err
    assert read_tables(tmp_path / "out").spk2utt["anna"] == ["anna-0", "anna-1", "anna-2", "anna-3", "anna-9"]


def test_utterances_that_a_table_lacks_go_unless_asked_not_to(segmented: Path, four: Path, tmp_path: Path) -> None:
    for name in ("text", "feats.scp", "spk2gender", "reco2dur", "reco2file_and_channel"):
        (segmented / name).unlink()
    (segmented / "utt2num_frames").write_text("a-1 75\nb-1 100\n")
    combine_data_dirs(tmp_path / "fixed", [segmented, four])
    assert len(read_tables(tmp_path / "fixed").utt2spk) == 15
    combine_data_dirs(tmp_path / "kept", [segmented, four], skip_fix=True)
    assert len(read_tables(tmp_path / "kept").utt2spk) == 16


def test_frame_shifts_must_agree(segmented: Path, write: Callable[..., Path], tmp_path: Path) -> None:
    tables = {"utt2spk": "c-1 c\n", "wav.scp": "c-1 /c.wav\n", "utt2dur": "c-1 3\n", "frame_shift": "0.02\n"}
    other = write("other", {**tables, "feats.scp": "c-1 /c.ark:2\n"})
    with pytest.raises(DataError, match=r"other/frame_shift: is not that of .*segmented"):
        combine_data_dirs(tmp_path / "out", [segmented, other])
    (other / "feats.scp").unlink()
    combine_data_dirs(tmp_path / "out", [segmented, other])


def test_recordings_named_from_the_directories_are_found(
    make_data_dir: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [make_data_dir("corpora/x/data"), make_data_dir("corpora/y/data", speakers=3)]
    for part, prefix in zip(parts, ("x", "y"), strict=True):
        for name in ("wav.scp", "utt2spk", "spk2utt"):
            text = (part / name).read_text().replace(str(part), "data").replace("spk", f"{prefix}spk")
            (part / name).write_text(text.replace(f"wav/{prefix}spk", "wav/spk"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    combine_data_dirs(tmp_path / "out", parts)
    monkeypatch.chdir("/")
    assert check_data_dir(tmp_path / "out", read_audio=True) == []


def test_the_shared_corpora_together(shared: Path, tmp_path: Path) -> None:
    parts = [shared / "corpora" / name for name in ("speechocean762/train", "speechocean762/test")]
    combine_data_dirs(tmp_path / "out", parts)
    assert len(read_tables(tmp_path / "out").utt2spk) == 3000
    lines = [line.split() for part in parts for line in (part / "text").read_text().splitlines()]
    assert [line.split() for line in (tmp_path / "out" / "text").read_text().splitlines()] == sorted(lines)
