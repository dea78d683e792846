"""Parts of a data directory: the utterances that Kaldi's subset_data_dir.sh takes, and what comes with them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.edit.lengths import durations_s
from csc_cli.kaldi.edit.subset import Choice, chosen, drand48, spread, subset_data_dir
from csc_cli.kaldi.edit.tables import read_tables

# What Kaldi's utils/subset_data_dir.sh selected of the directory `four`.
KALDI = {
    ("spread", 5): "anna-2 carl-0 dora-0 dora-2 dora-4",
    ("spread", 1): "dora-4",
    ("spread", 12): "anna-0 anna-1 anna-2 anna-3 ben-0 carl-0 carl-1 carl-2 dora-0 dora-2 dora-3 dora-4",
    ("first", 4): "anna-0 anna-1 anna-2 anna-3",
    ("last", 4): "dora-1 dora-2 dora-3 dora-4",
    ("shortest", 6): "anna-1 anna-3 carl-0 carl-2 dora-1 dora-4",
    ("per-spk", 2): "anna-0 anna-2 ben-0 carl-0 carl-1 dora-0 dora-2",
    ("per-spk", 1): "anna-0 ben-0 carl-0 dora-0",
    ("speakers", 3): "carl-0 carl-1 carl-2",
    ("speakers", 6): "anna-0 anna-1 anna-2 anna-3 carl-0 carl-1 carl-2",
}
# The order in which Kaldi's utils/shuffle_list.pl --srand SEED puts anna, ben, carl, dora.
SHUFFLED = {1: "anna dora ben carl", 2: "ben carl dora anna", 7: "dora carl anna ben"}


@pytest.mark.parametrize(("how", "number"), KALDI)
def test_the_choice_is_kaldis(four: Path, how: str, number: int) -> None:
    assert sorted(chosen(read_tables(four), Choice(number, how))) == KALDI[how, number].split()  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", SHUFFLED)
def test_speakers_come_in_the_order_of_kaldis_shuffle(four: Path, seed: int) -> None:
    data = read_tables(four)
    for number in range(1, 14):
        taken: list[str] = []
        for speaker in SHUFFLED[seed].split():
            taken += data.spk2utt[speaker] if len(taken) < number else []
        assert chosen(data, Choice(number, "speakers", seed=seed)) == taken


def test_drand48_is_that_of_posix() -> None:
    # srand48(0), then drand48(), by the C library of the GNU project.
    known = (0.17082803610628972, 0.74990198048496381, 0.096371655623567420, 0.87046522702707563)
    assert [value for value, _ in zip(drand48(0), known, strict=False)] == pytest.approx(known, rel=1e-15)


@given(length=st.integers(1, 400), data=st.data())
def test_spread_takes_as_many_as_asked_for_from_everywhere(length: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, length))
    taken = list(spread(0, length, number))
    assert len(taken) == number and taken == sorted(set(taken))
    # Each half of the range gives half of them.
    assert sum(index < length // 2 for index in taken) == number // 2 or length == 1


def test_the_shortest_are_found_by_whatever_says_how_long_they_are(four: Path, segmented: Path, make_data_dir) -> None:  # type: ignore[no-untyped-def]
    (four / "utt2num_frames").unlink()
    assert sorted(chosen(read_tables(four), Choice(6, "shortest"))) == KALDI["shortest", 6].split()
    assert chosen(read_tables(segmented), Choice(2, "shortest")) == ["a-1", "a-2"]
    path = make_data_dir(speakers=1, utterances=2)
    other = make_data_dir("other", speakers=1, utterances=1, seconds=0.5)
    os.replace(other / "wav" / "spk0-utt0.wav", path / "wav" / "spk0-utt1.wav")
    assert chosen(read_tables(path), Choice(1, "shortest")) == ["spk0-utt1"]


def test_a_segment_to_the_end_is_as_long_as_its_recording_lets_it(make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(speakers=1, utterances=1)
    (path / "segments").write_text("spk0-a spk0-utt0 0.75 -1\nspk0-b spk0-utt0 0.5 0.9\nspk0-c spk0-utt0 0 0.125\n")
    (path / "utt2spk").write_text("spk0-a spk0\nspk0-b spk0\nspk0-c spk0\n")
    (path / "spk2utt").unlink()
    assert durations_s(read_tables(path)) == {"spk0-a": 0.25, "spk0-b": 0.4, "spk0-c": 0.125}
    assert chosen(read_tables(path), Choice(2, "shortest")) == ["spk0-c", "spk0-a"]


def test_a_length_that_is_no_number(four: Path) -> None:
    (four / "utt2num_frames").write_text((four / "utt2num_frames").read_text().replace(" 50", " x"))
    with pytest.raises(DataError, match="utt2num_frames: 'ben-0': 'x' is no number; "):
        chosen(read_tables(four), Choice(2, "shortest"))


def test_lists(four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = read_tables(four), tmp_path / "list"
    path.write_text("dora-1 whatever\nben-0\nnobody\ndora-1\n")
    assert sorted(chosen(data, Choice(utt_list=path))) == ["ben-0", "dora-1"]
    assert "1 of 3 ids are no utterances" in capsys.readouterr().err
    path.write_text("ben\nanna\n")
    assert sorted(chosen(data, Choice(spk_list=path))) == ["anna-0", "anna-1", "anna-2", "anna-3", "ben-0"]
    path.write_text("x\ny\n")
    with pytest.raises(DataError, match="none of its 2 ids is a speaker"):
        chosen(data, Choice(spk_list=path))
    path.write_text("")
    with pytest.raises(DataError, match="is empty"):
        chosen(data, Choice(spk_list=path))


@pytest.mark.parametrize("number", [0, -1, 14])
def test_more_than_there_is(four: Path, number: int) -> None:
    with pytest.raises(DataError, match="has 13 utterances; ask for 1 to as many"):
        chosen(read_tables(four), Choice(number))


def test_everything_said_of_the_chosen_comes_with_them(
    segmented: Path, tmp_path: Path, files: Callable[[Path], dict[str, str]]
) -> None:
    (tmp_path / "list").write_text("b-1\n")
    subset_data_dir(segmented, tmp_path / "out", Choice(utt_list=tmp_path / "list"))
    whole = files(segmented)
    expected = {name: "".join(line for line in whole[name].splitlines(True) if line[:1] in "b") for name in whole}
    for name in whole:
        if name in ("wav.scp", "reco2dur", "reco2file_and_channel", "stm"):
            expected[name] = "".join(line for line in whole[name].splitlines(True) if line.startswith((";;", "rec2")))
    expected["frame_shift"] = whole["frame_shift"]
    del expected["utt2mood"]
    assert files(tmp_path / "out") == expected


def test_an_earlier_directory_is_replaced_and_kept_aside(four: Path, segmented: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subset_data_dir(segmented, out, Choice(2, "first"))
    (out / "notes.txt").write_text("mine")
    old = (out / "text").read_bytes()
    subset_data_dir(four, out, Choice(2, "first"))
    assert read_tables(out).of == read_tables(four).select(["anna-0", "anna-1"]).of
    assert (out / ".backup" / "text").read_bytes() == old and not (out / "text").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_a_directory_is_not_written_over_itself(four: Path) -> None:
    with pytest.raises(DataError, match="is the data directory that is read"):
        subset_data_dir(four, four.parent / "x" / ".." / "four", Choice(2))
    assert len(read_tables(four).utt2spk) == 13


def test_a_directory_of_features_alone(four: Path, tmp_path: Path) -> None:
    (four / "wav.scp").rename(four / "feats.scp")
    subset_data_dir(four, tmp_path / "out", Choice(3, "last"))
    assert (tmp_path / "out" / "feats.scp").read_text() == "".join(f"dora-{i} /rec/dora-{i}.wav\n" for i in (2, 3, 4))
    assert not (tmp_path / "out" / "wav.scp").exists()


def test_the_order_is_that_of_lc_all_c(four: Path, tmp_path: Path) -> None:
    ids = ["Z-1", "a-1", "aa-1", "a_1", "é-1", "日-1", "😀-1", "\ufffd-1"]
    random.Random(0).shuffle(ids)
    rows = sorted(ids, key=lambda key: key.encode())
    for name in ("utt2spk", "wav.scp", "utt2num_frames", "utt2dur"):
        (four / name).write_text("".join(f"{key} {key}\n" for key in rows), encoding="utf-8")
    (four / "spk2utt").unlink()
    subset_data_dir(four, tmp_path / "out", Choice(len(ids)))
    for file in (tmp_path / "out").iterdir():
        lines = file.read_bytes().splitlines()
        assert lines == sorted(lines) and len(lines) == len(ids)
