"""Data directories as tables: read and written back equal, found again from elsewhere, never half written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.edit import tables as module
from csc_cli.kaldi.edit.tables import read_tables

Files = Callable[[Path], dict[str, str]]


@pytest.mark.parametrize("name", ["four", "segmented"])
def test_what_is_read_is_written_back(request: pytest.FixtureRequest, tmp_path: Path, files: Files, name: str) -> None:
    path = request.getfixturevalue(name)
    read_tables(path).write(tmp_path / "out")
    assert files(tmp_path / "out") == files(path)


def test_the_shared_corpora_are_read_and_written_back(shared: Path, tmp_path: Path) -> None:
    for name in ("speechocean762/train", "librispeech251"):
        path = shared / "corpora" / name
        read_tables(path).write(tmp_path / name)
        for file in (file for file in path.iterdir() if file.is_file() and file.name != "wav.scp"):
            lines = sorted(line.split(None, 1) for line in file.read_text().splitlines())
            assert [line.split(None, 1) for line in (tmp_path / name / file.name).read_text().splitlines()] == lines


def test_tabs_blanks_and_empty_values(four: Path, tmp_path: Path) -> None:
    (four / "text").write_text("anna-1\tA  B\t\nanna-0   \nanna-2 C \n")
    read_tables(four).write(tmp_path / "out")
    assert (tmp_path / "out" / "text").read_text() == "anna-0\nanna-1 A  B\nanna-2 C\n"


def test_archives_named_from_the_directory_are_found(
    four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("here.ark", "four/there.ark"):
        (tmp_path / name).write_bytes(b"")
    (four / "feats.scp").write_text("anna-0 here.ark:5\nanna-1 there.ark:7[0:3]\nanna-2 gone.ark:1\nanna-3 cat x |\n")
    feats = read_tables(Path("four")).of["feats.scp"]
    assert list(feats.values()) == ["here.ark:5", f"{four}/there.ark:7[0:3]", "gone.ark:1", "cat x |"]


def test_lines_of_stm_and_ctm_follow_their_recordings(segmented: Path) -> None:
    (segmented / "ctm").write_bytes(b"rec1 A 0.1 0.2 HELLO\nrec2 B 0.1 0.2 JA\n\nrec2 B 0.5 0.1 caf\xe9\n")
    (segmented / "glm").write_bytes(b";; all of it\na => b\n")
    plain = read_tables(segmented).select(["b-1"]).plain
    assert plain["ctm"] == b"rec2 B 0.1 0.2 JA\nrec2 B 0.5 0.1 caf\xe9\n"
    assert plain["stm"] == b";; comment\nrec2 B b 0 1 JA\n"
    assert plain["glm"] == b";; all of it\na => b\n" and plain["frame_shift"] == b"0.01\n"


def test_faults_are_refused(four: Path, tmp_path: Path) -> None:
    (four / "utt2spk").write_text((four / "utt2spk").read_text().replace("ben-0 ben\n", ""))
    with pytest.raises(DataError, match=r"wav.scp:5: utterance 'ben-0' is not in utt2spk; .* more faults"):
        read_tables(four)
    with pytest.raises(DataError, match="no such folder"):
        read_tables(tmp_path / "none")


def test_a_write_that_stops_leaves_no_directory_that_loads(
    segmented: Path, four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever file the disk is full: the tables there are whole, and the directory does not pass for one."""
    data, real, stopped = read_tables(segmented), module.open_atomic, 0
    whole = {name: data.content(name) for name in (*data.of, *data.plain, "spk2utt")}
    old = read_tables(four).content("spk2utt")
    for stop in range(1, 40):
        out, count = tmp_path / f"out{stop}", 0
        read_tables(four).write(out)

        def failing(path, mode="w", stop=stop):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == stop:
                raise OSError(28, "No space left on device", str(path))
            return real(path, mode)

        with monkeypatch.context() as patch:
            patch.setattr(module, "open_atomic", failing)
            try:
                data.write(out)
                break
            except DataError as error:
                assert "cannot be written: No space left on device; free space" in str(error)
        stopped += 1
        with pytest.raises(DataError):
            read_tables(out)
        for file in out.iterdir():
            assert not file.is_file() or file.read_bytes() in (whole[file.name], old), file
        data.write(out)
        assert read_tables(out).of == data.of
    assert stopped == len(whole)
