"""Files are whole or absent, also when the writer fails or is killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from csc_cli import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_written_whole_with_the_usual_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with files.open_atomic(tmp_path / "new" / "table.txt") as stream:
            stream.write("zwölf\n")
            assert not (tmp_path / "new" / "table.txt").exists()
        with files.atomic_dir(tmp_path / "folder") as folder:
            (folder / "a").write_text("a")
    finally:
        os.umask(old)
    assert (tmp_path / "new" / "table.txt").read_bytes() == "zwölf\n".encode()
    assert stat.S_IMODE((tmp_path / "new" / "table.txt").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750
    assert names(tmp_path) == ["folder", "new"] and names(tmp_path / "new") == ["table.txt"]


def test_the_temporary_name_keeps_the_suffixes(tmp_path: Path) -> None:
    with files.atomic_path(tmp_path / "a.tar.gz") as path:
        assert path.parent == tmp_path and path.name.endswith("a.tar.gz")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_block_leaves_the_old_content_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("old")
    with pytest.raises(error), files.open_atomic(tmp_path / "file") as stream:
        stream.write("half")
        raise error
    with pytest.raises(error), files.atomic_dir(tmp_path / "folder") as folder:
        (folder / "half").write_text("half")
        raise error
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == ["kept"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with files.atomic_dir(tmp_path / "folder") as folder:
            (folder / name).write_text(name)
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == ["second"]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("old")
    replace = os.replace

    def refuse(source: str | Path, target: str | Path) -> None:
        if Path(target) == tmp_path / "folder" and not (Path(source) / "kept").exists():
            raise PermissionError(13, "Permission denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError), files.atomic_dir(tmp_path / "folder") as folder:
        (folder / "new").write_text("new")
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == ["kept"]


HALF = """
import sys, time
from csc_cli import files
with files.{opener}(sys.argv[1]) as half:
    {write}
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("opener", "write"),
    [("open_atomic", 'half.write("half" * 100000)'), ("atomic_dir", '(half / "half").write_text("half")')],
)
def test_a_killed_writer_leaves_nothing_half_written(tmp_path: Path, opener: str, write: str) -> None:
    code = HALF.format(opener=opener, write=write)
    with subprocess.Popen([sys.executable, "-c", code, tmp_path / "out"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        writer.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    # ... and the next run is not in the way of what was left.
    with files.open_atomic(tmp_path / "out") as stream:
        stream.write("whole")
    assert (tmp_path / "out").read_text() == "whole"


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.ark").symlink_to(tmp_path / "disk" / "real.ark")
    (tmp_path / "exp").symlink_to(tmp_path / "disk" / "exp")
    for _ in range(2):
        with files.open_atomic(tmp_path / "link.ark", "wb") as stream:
            stream.write(b"bytes")
        with files.atomic_dir(tmp_path / "exp") as folder:
            (folder / "a").write_text("a")
    assert (tmp_path / "link.ark").is_symlink() and (tmp_path / "exp").is_symlink()
    assert names(tmp_path / "disk") == ["exp", "real.ark"] and names(tmp_path / "disk" / "exp") == ["a"]


def test_devices_and_pipes_are_written_to_not_replaced(tmp_path: Path) -> None:
    with files.open_atomic("/dev/null") as stream:
        stream.write("gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    code = "from csc_cli import files\nwith files.open_atomic('/dev/stdout') as s: s.write('out')"
    with open(tmp_path / "out", "wb") as out:
        out.write(b"before ")
        out.flush()
        inode = os.fstat(out.fileno()).st_ino
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").stat().st_ino == inode and "out" in (tmp_path / "out").read_text()
    os.mkfifo(tmp_path / "fifo")
    with subprocess.Popen(["cat", tmp_path / "fifo"], stdout=subprocess.PIPE) as reader:
        with files.open_atomic(tmp_path / "fifo") as stream:
            stream.write("through")
        assert reader.communicate(timeout=20)[0] == b"through"


def test_a_target_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), files.open_atomic(tmp_path / "file" / "below") as stream:
        stream.write("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"), files.open_atomic(tmp_path / "folder") as stream:
        stream.write("")
    assert names(tmp_path) == ["file", "folder"]


def test_json_is_the_same_whatever_the_order_of_keys(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": [1, 2.5], "a": "zwölf"})
    files.write_json(tmp_path / "b.json", {"a": "zwölf", "b": [1, 2.5]})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": "zwölf", "b": [1, 2.5]}


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()
