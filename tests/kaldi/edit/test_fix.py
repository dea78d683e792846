"""Mending: whatever the damage, what is left is sound, nothing sound goes, and the old files are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csc_cli.errors import DataError
from csc_cli.kaldi.checks import Asked, check_data_dir, listing
from csc_cli.kaldi.edit import tables as module
from csc_cli.kaldi.edit.fix import fix_data_dir
from csc_cli.kaldi.edit.tables import read_tables

NO_AUDIO = Asked(audio=False)


@pytest.fixture
def sound(segmented: Path) -> Path:
    assert check_data_dir(segmented, asked=NO_AUDIO) == []
    return segmented


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_mended_or_refused(sound: Path, data: st.DataObject) -> None:
    """Bytes of any file changed: afterwards there is no fault, or nothing was changed; untouched utterances stay."""
    path = sound.parent / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(sound, path)
    names = sorted(file.name for file in path.iterdir() if file.name not in ("stm", "frame_shift"))
    hurt: set[str] = set()
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        content = bytearray((path / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.sampled_from(b"\n\r\t\0 -.019ab\xff"))
        (path / name).write_bytes(content)
        hurt.add(name)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    try:
        fixed = fix_data_dir(path, NO_AUDIO)
    except DataError as error:
        assert "nothing was changed" in str(error)
        assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before
        return
    left = check_data_dir(path, asked=NO_AUDIO)
    assert left == fixed.left, listing(left)
    assert all("comes after" in fault.message for fault in left)
    for name, content in before.items():
        if not (path / name).exists() or (path / name).read_bytes() != content:
            assert (path / ".backup" / name).read_bytes() == content
    # Lines of the sound directory whose entries are unchanged in every file are all kept.
    old, new = read_tables(sound), read_tables(path)
    for utterance in old.utt2spk:
        part = old.select([utterance])
        if all(_has(before[name], part.content(name)) for name in (*part.of, "spk2utt") if name in hurt):
            if any(_keys(before[name]) - _keys((sound / name).read_bytes()) for name in hurt):
                continue  # another line may have taken this utterance's id or recording
            assert utterance in new.utt2spk


def _has(content: bytes, lines: bytes) -> bool:
    return set(lines.split(b"\n")) <= set(content.split(b"\n"))  # not splitlines, which a lone CR splits too


def _keys(content: bytes) -> set[bytes]:
    return {line.split()[0] for line in content.split(b"\n") if line.split()}


def test_a_sound_directory_is_left_alone(sound: Path) -> None:
    times = {file.name: file.stat().st_mtime_ns for file in sound.iterdir()}
    fixed = fix_data_dir(sound, NO_AUDIO)
    assert str(fixed) == f"{sound}: kept 3 of 3 utterances, 2 of 2 speakers; nothing to change"
    assert {file.name: file.stat().st_mtime_ns for file in sound.iterdir()} == times


def test_what_is_dropped_is_listed_in_full(four: Path) -> None:
    (four / "text").write_text("anna-0 A\ncarl-1 B\n")
    text = str(fix_data_dir(four, NO_AUDIO))
    assert f"{four}/text: lacks 11 utterances, left out: anna-1, anna-2, anna-3, ... (11 in all)" in text
    dropped = (four / ".backup" / "dropped").read_text().splitlines()
    assert len(dropped) == 11 and "text: lacks utterance dora-4" in dropped


def test_many_damaged_lines_are_counted_but_listed_in_the_backup(write: Callable[..., Path]) -> None:
    keys = [f"u{i:03d}" for i in range(100)]
    tables = {"utt2spk": "".join(f"{key} s\n" for key in keys), "wav.scp": "".join(f"{key} x\n" for key in keys)}
    durations = "".join(f"{key} {-1 if i % 2 else 1}\n" for i, key in enumerate(keys))
    path = write("many", {**tables, "utt2dur": durations})
    text = str(fix_data_dir(path, NO_AUDIO))
    assert text.count("is no number of seconds above 0") == 20
    assert f"{path}/utt2dur: 30 more lines like these" in text and "kept 50 of 100 utterances" in text
    assert (path / ".backup" / "dropped").read_text().count("is no number of seconds") == 50


def test_utt2spk_is_made_again_of_what_is_certain(four: Path) -> None:
    (four / "utt2spk").unlink()
    (four / "spk2utt").write_text("anna anna-0 anna-1 ben-0\nben ben-0\ndora dora-4 dora-4\n")
    fix_data_dir(four, NO_AUDIO)
    assert (four / "utt2spk").read_text() == "anna-0 anna\nanna-1 anna\ndora-4 dora\n"


def test_extra_files_follow(four: Path) -> None:
    (four / "text").write_text("".join(f"anna-{i} A\n" for i in range(4)))
    (four / "my.notes").write_text("dora-1 x\nanna-1 y\nanna-0 z\r\n")
    (four / "my.speakers").write_text("dora x\nanna y\n")
    fix_data_dir(four, NO_AUDIO, ["my.notes"], ["my.speakers"])
    assert (four / "my.notes").read_text() == "anna-0 z\nanna-1 y\n"
    assert (four / "my.speakers").read_text() == "anna y\n"
    assert (four / ".backup" / "my.notes").read_bytes() == b"dora-1 x\nanna-1 y\nanna-0 z\r\n"


def test_speakers_that_sort_otherwise(four: Path) -> None:
    for name, text in (("utt2spk", "1 b\n2 a\n"), ("spk2utt", "a 2\nb 1\n"), ("wav.scp", "1 x\n2 y\n")):
        (four / name).write_text(text)
    for name in ("utt2dur", "utt2num_frames"):
        (four / name).unlink()
    assert ["comes after" in fault.message for fault in fix_data_dir(four, NO_AUDIO).left] == [True]
    assert fix_data_dir(four, Asked(audio=False, spk_sort=False)).left == []


def test_a_directory_of_features_needs_no_wav_scp(four: Path) -> None:
    (four / "wav.scp").rename(four / "feats.scp")
    assert fix_data_dir(four, NO_AUDIO).left == []
    (four / "feats.scp").unlink()
    assert [fault.path.name for fault in fix_data_dir(four, NO_AUDIO).left] == ["wav.scp"]


def test_stopped_half_way_and_called_again(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is old or new, whole; a second call ends the work; .backup has the first state of every file."""
    for name in ("text", "utt2spk", "feats.scp"):
        lines = (sound / name).read_bytes().splitlines(keepends=True)
        (sound / name).write_bytes(b"".join(reversed(lines)))
    (sound / "reco2dur").write_text("rec1 0\nrec2 1.5\n")
    before = {file.name: file.read_bytes() for file in sound.iterdir() if file.is_file()}
    whole = sound.parent / "whole"
    shutil.copytree(sound, whole)
    fix_data_dir(whole, NO_AUDIO)
    after = {file.name: file.read_bytes() for file in whole.iterdir() if file.is_file()}
    real, count = module.open_atomic, 0
    for stop in range(1, 30):
        count = 0

        def failing(path, mode="w", stop=stop):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == stop:
                raise OSError(28, "No space left on device", str(path))
            return real(path, mode)

        path = sound.parent / f"stopped{stop}"
        shutil.copytree(sound, path)
        with monkeypatch.context() as patch:
            patch.setattr(module, "open_atomic", failing)
            try:
                fix_data_dir(path, NO_AUDIO)
            except DataError as error:
                assert "No space left on device; free space" in str(error)
            else:
                break
        for name, content in before.items():
            assert not (path / name).exists() or (path / name).read_bytes() in (content, after.get(name))
        fix_data_dir(path, NO_AUDIO)
        assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == after
        for name, content in before.items():
            if after.get(name) != content:
                assert (path / ".backup" / name).read_bytes() == content
    else:
        pytest.fail("it never came to an end")
    assert stop > 5
