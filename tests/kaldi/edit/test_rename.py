"""Copies under new ids: every table follows, and the way back is open."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.edit.rename import Affixes, copy_data_dir, renamed
from csc_cli.kaldi.edit.tables import read_tables

Files = Callable[[Path], dict[str, str]]


@pytest.mark.parametrize("name", ["four", "segmented"])
def test_a_plain_copy_changes_nothing(request: pytest.FixtureRequest, tmp_path: Path, files: Files, name: str) -> None:
    path = request.getfixturevalue(name)
    copy_data_dir(path, tmp_path / "out", Affixes())
    assert files(tmp_path / "out") == files(path)


def test_segments_keep_their_recordings(segmented: Path, tmp_path: Path, files: Files) -> None:
    copy_data_dir(segmented, tmp_path / "out", Affixes("x-", "-y", "x-", "-z"))
    expected = files(segmented)
    for file, text in expected.items():
        if file not in ("wav.scp", "reco2dur", "reco2file_and_channel", "stm", "frame_shift"):
            text = re.sub(r"\b([ab]-\d)\b", r"x-\1-y", text)
            expected[file] = re.sub(r"(^| )([ab])(?= |$)", r"\1x-\2-z", text, flags=re.MULTILINE)
    expected["utt2uniq"] = "x-a-1-y a-1\nx-a-2-y a-2\nx-b-1-y b-1\n"
    assert files(tmp_path / "out") == expected


def test_without_segments_recordings_are_renamed_with_their_utterances(four: Path, tmp_path: Path) -> None:
    (four / "reco2file_and_channel").write_text("".join(f"{key} {key} B\n" for key in read_tables(four).utt2spk))
    (four / "spk1.scp").write_text("ben-0 /rec/clean.wav\n")
    (four / "utt2spks").write_text("ben-0 ben dora\n")
    copy_data_dir(four, tmp_path / "out", Affixes("x-", "", "x-"))
    data = DataDir.load(tmp_path / "out")
    old = DataDir.load(four)
    assert [u.id for u in data.utterances] == [f"x-{u.id}" for u in old.utterances]
    assert [(u.speaker, u.recording, u.channel) for u in data.utterances] == [
        (f"x-{u.speaker}", u.recording, 1) for u in old.utterances
    ]
    assert data.extra["spk1.scp"] == {"x-ben-0": "/rec/clean.wav"}
    assert data.extra["utt2spks"] == {"x-ben-0": "x-ben x-dora"}


def test_utt2uniq_goes_on_naming_the_first(four: Path) -> None:
    once = renamed(read_tables(four), Affixes("a-"))
    twice = renamed(once, Affixes("b-"))
    assert twice.of["utt2uniq"]["b-a-ben-0"] == "ben-0"


def test_a_suffix_may_change_the_order(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write("data", {"utt2spk": "a a\na! a\n", "wav.scp": "a /a.wav\na! /b.wav\n"})
    copy_data_dir(path, tmp_path / "out", Affixes(utt_suffix="~"))
    for name in ("utt2spk", "wav.scp", "utt2uniq"):
        assert [line.split()[0] for line in (tmp_path / "out" / name).read_text().splitlines()] == ["a!~", "a~"]
    assert (tmp_path / "out" / "spk2utt").read_text() == "a a!~ a~\n"


def test_a_prefix_for_speakers_alone_is_told(four: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_data_dir(four, tmp_path / "out", Affixes(spk_prefix="x-"))
    assert capsys.readouterr().err == ""
    (four / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in zip("abcd", "wxyw", strict=True)))
    (four / "wav.scp").write_text("".join(f"{u} /{u}.wav\n" for u in "abcd"))
    (four / "spk2utt").unlink()
    for name in ("utt2num_frames", "utt2dur"):
        (four / name).unlink()
    copy_data_dir(four, tmp_path / "out", Affixes("u-"))
    assert "sort differently" in capsys.readouterr().err


def test_ids_have_no_white_space() -> None:
    with pytest.raises(DataError, match="ids have no white space"):
        Affixes("a b-")
