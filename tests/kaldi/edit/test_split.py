"""Parts of a data directory for jobs: those of Kaldi's split_data.sh, whole together, and not made twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.edit.combine import combine_data_dirs
from csc_cli.kaldi.edit.split import by_speaker, split_data_dir
from csc_cli.kaldi.edit.tables import Tables, read_tables

# How many utterances Kaldi's utils/split_data.sh put into each part of the directory `four`.
KALDI = {
    (2, False): [5, 8],
    (3, False): [4, 4, 5],
    (4, False): [4, 1, 3, 5],
    (2, True): [7, 6],
    (5, True): [3, 3, 3, 2, 2],
}
# Utterances of 40 speakers, and how many speakers Kaldi's script put into each part.
SIZES = [8, 19, 18, 5, 12, 30, 20, 16, 21, 19, 3, 20, 1, 30, 27, 16, 9, 18, 8, 7]
SIZES += [23, 16, 18, 27, 18, 16, 13, 21, 28, 5, 8, 21, 5, 28, 30, 17, 13, 24, 1, 22]
SPEAKERS = {7: [6, 7, 5, 6, 5, 6, 5], 12: [4, 3, 3, 4, 2, 4, 3, 3, 4, 4, 3, 3]}


def of_sizes(sizes: list[int]) -> Tables:
    rows = [(f"s{i:03d}-{j:03d}", f"s{i:03d}") for i, size in enumerate(sizes) for j in range(size)]
    return Tables(Path("data"), {"utt2spk": dict(rows)})


@pytest.mark.parametrize(("number", "per_utt"), KALDI)
def test_the_parts_are_kaldis(four: Path, number: int, per_utt: bool) -> None:
    split_data_dir(four, number, per_utt)
    folder = four / f"split{number}{'utt' if per_utt else ''}"
    parts = [list(read_tables(folder / str(job + 1)).utt2spk) for job in range(number)]
    assert [len(part) for part in parts] == KALDI[number, per_utt]
    assert [key for part in parts for key in part] == list(read_tables(four).utt2spk)
    assert sorted(path.name for path in folder.iterdir()) == [str(job + 1) for job in range(number)]


@pytest.mark.parametrize("number", SPEAKERS)
def test_speakers_are_dealt_out_as_by_kaldi(number: int) -> None:
    parts = by_speaker(of_sizes(SIZES), number)
    assert [len({key.split("-")[0] for key in part}) for part in parts] == SPEAKERS[number]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.data())
def test_no_move_of_one_speaker_would_make_two_parts_more_alike(sizes: list[int], data: st.DataObject) -> None:
    number = data.draw(st.integers(1, len(sizes)))
    parts = by_speaker(of_sizes(sizes), number)
    assert [key for part in parts for key in part] == list(of_sizes(sizes).utt2spk)
    assert all(parts)
    for left, right in pairwise(parts):
        gap = len(left) - len(right)
        last = sum(key.split("-")[0] == left[-1].split("-")[0] for key in left)
        first = sum(key.split("-")[0] == right[0].split("-")[0] for key in right)
        assert last == len([key for part in parts for key in part if key[:4] == left[-1][:4]]), "whole speakers"
        assert abs(gap - 2 * last) >= abs(gap) and abs(gap + 2 * first) >= abs(gap)


@pytest.mark.parametrize("per_utt", [False, True])
def test_parts_have_what_the_whole_says_of_them(
    segmented: Path, tmp_path: Path, files: Callable[[Path], dict[str, str]], per_utt: bool
) -> None:
    split_data_dir(segmented, 2, per_utt)
    folder = segmented / ("split2utt" if per_utt else "split2")
    for job in ("1", "2"):
        part = read_tables(folder / job)
        assert files(folder / job) == {
            name: part.content(name).decode() for name in (*read_tables(segmented).select(part.utt2spk).of, "spk2utt")
        } | {"frame_shift": "0.01\n"}
        assert part.of == read_tables(segmented).select(part.utt2spk).of
    combine_data_dirs(tmp_path / "out", [folder / "1", folder / "2"])
    assert read_tables(tmp_path / "out").of == read_tables(segmented).of


def test_a_recording_goes_to_each_part_that_has_a_segment_of_it(segmented: Path) -> None:
    split_data_dir(segmented, 3, per_utt=True)
    assert [list(read_tables(segmented / "split3utt" / job).of["wav.scp"]) for job in "123"] == [
        ["rec1"], ["rec1"], ["rec2"]
    ]  # fmt: skip


def test_the_parts_open_what_the_whole_opens(make_data_dir: Callable[..., Path]) -> None:
    path = make_data_dir(speakers=2)
    (path / "wav.scp").write_text((path / "wav.scp").read_text().replace(f"{path}/", ""))
    split_data_dir(path, 2)
    recordings = [u.recording for job in "12" for u in DataDir.load(path / "split2" / job).utterances]
    assert recordings == [u.recording for u in DataDir.load(path).utterances]


def test_a_second_call_does_nothing_until_something_changes(four: Path) -> None:
    for file in four.iterdir():
        os.utime(file, (1, 1))
    split_data_dir(four, 2)
    made = (four / "split2" / "1").stat().st_ino
    assert "are there already" in split_data_dir(four, 2)
    assert (four / "split2" / "1").stat().st_ino == made
    os.utime(four / "wav.scp")
    os.utime(four / "wav.scp", (2**31, 2**31))
    assert "2 parts of 5 to 8" in split_data_dir(four, 2)
    os.utime(four / "wav.scp", (1, 1))
    (four / "utt2dur").unlink()
    assert "2 parts of 5 to 8" in split_data_dir(four, 2)
    assert not (four / "split2" / "1" / "utt2dur").exists()
    (four / "split2" / "2" / "utt2spk").unlink()
    assert "2 parts of 5 to 8" in split_data_dir(four, 2)


def test_more_parts_than_there_can_be(four: Path) -> None:
    with pytest.raises(DataError, match=r"4 speakers cannot be split into 5 parts; ask for fewer, or split by utt"):
        split_data_dir(four, 5)
    with pytest.raises(DataError, match="13 utterances cannot be split into 14 parts"):
        split_data_dir(four, 14, per_utt=True)
    assert not list(four.glob("split*")) and not list(four.glob(".tmp*"))
