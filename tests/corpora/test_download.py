import fcntl
import hashlib
import random

import pytest

from csc_cli.corpora import download
from csc_cli.corpora.download import DownloadError, Remote, fetch
from csc_cli.errors import ConfigError

DATA = random.Random(0).randbytes(300_000)


def remote(served, data: bytes = DATA, kind: str = "md5") -> Remote:
    served.files["big.tar.gz"] = data
    return Remote(f"{served.url}/resources/1/big.tar.gz", f"{kind}:{hashlib.new(kind, DATA).hexdigest()}")


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_comes_whole_and_once(served, tmp_path, kind):
    path = fetch(remote(served, kind=kind), tmp_path)
    assert path == tmp_path / "big.tar.gz" and path.read_bytes() == DATA
    assert [entry.name for entry in tmp_path.iterdir()] == ["big.tar.gz"]
    fetch(remote(served), tmp_path)
    assert len(served.asked) == 1


def test_connections_that_break_are_gone_on_with(served, tmp_path):
    served.break_after = 70_001
    assert fetch(remote(served), tmp_path, pause_s=0).read_bytes() == DATA
    assert [asked for _, asked in served.asked] == ["", *(f"bytes={70_001 * n}-" for n in range(1, 5))]


def test_an_interrupted_run_is_resumed_by_the_next(served, tmp_path, monkeypatch):
    served.break_after = 100_000
    monkeypatch.setattr(download, "note", lambda _message: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fetch(remote(served), tmp_path)
    assert (tmp_path / "big.tar.gz.part").stat().st_size == 100_000
    assert not (tmp_path / "big.tar.gz").exists()
    monkeypatch.undo()
    served.break_after = None
    assert fetch(remote(served), tmp_path).read_bytes() == DATA
    assert served.asked[-1][1] == "bytes=100000-"


@pytest.mark.parametrize("change", ["no ranges", "another release"])
def test_a_part_that_cannot_be_gone_on_with_is_begun_again(served, tmp_path, change):
    file = remote(served)
    part = tmp_path / "big.tar.gz.part"
    part.write_bytes(b"x" * 1000 if change == "another release" else DATA[:1000])
    (tmp_path / "big.tar.gz.part.json").write_text(f'{{"url": "{file.url}", "validator": "\\"old\\""}}')
    served.ranges = change != "no ranges"
    assert fetch(file, tmp_path).read_bytes() == DATA
    assert [asked for _, asked in served.asked] == ["bytes=1000-"]


def test_a_part_of_unknown_origin_is_begun_again(served, tmp_path):
    (tmp_path / "big.tar.gz.part").write_bytes(b"something else")
    assert fetch(remote(served), tmp_path).read_bytes() == DATA
    assert served.asked[0][1] == ""


def test_a_part_that_is_whole_already_is_taken(served, tmp_path):
    file = remote(served)
    (tmp_path / "big.tar.gz.part").write_bytes(DATA)
    (tmp_path / "big.tar.gz.part.json").write_text(f'{{"url": "{file.url}", "validator": "\\"one\\""}}')
    assert fetch(file, tmp_path).read_bytes() == DATA


def test_a_wrong_digest_leaves_nothing(served, tmp_path):
    with pytest.raises(DownloadError, match=r"big.tar.gz: MD5 is [0-9a-f]{32}, not [0-9a-f]{32}.*--mirror"):
        fetch(remote(served, DATA[:-1] + b"?"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_digest_the_own_one_is_said(served, tmp_path, capsys):
    fetch(Remote(remote(served).url), tmp_path)
    assert hashlib.sha256(DATA).hexdigest() in capsys.readouterr().err


def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(served, tmp_path):
    file = remote(served)
    served.status = [503, 429]
    assert fetch(file, tmp_path, pause_s=0).read_bytes() == DATA
    with pytest.raises(DownloadError, match="404 Not Found"):
        fetch(Remote(f"{served.url}/other.zip"), tmp_path)
    assert len(served.asked) == 4


def test_no_answer_is_said_after_some_attempts(served, tmp_path, monkeypatch):
    file = remote(served)
    served.status = [500] * 20
    with pytest.raises(DownloadError, match=r"500 Internal Server Error; .*big.tar.gz.part has 0 bytes: run again"):
        fetch(file, tmp_path, pause_s=0)
    assert len(served.asked) == download.ATTEMPTS


def test_two_processes_do_not_write_one_file(served, tmp_path):
    with open(tmp_path / "big.tar.gz.part", "ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process is downloading it"):
            fetch(remote(served), tmp_path)


def test_a_full_disk_is_said_before(served, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 299_999}))
    with pytest.raises(ConfigError, match="make room"):
        fetch(remote(served), tmp_path)


def test_a_mirror_has_the_file_under_its_own_address(served):
    file = remote(served)
    assert file.at("http://elsewhere/slr/12/") == Remote("http://elsewhere/slr/12/big.tar.gz", file.digest)
    assert file.at(None) == file
