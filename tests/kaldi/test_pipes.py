"""Commands that hang, that never end, that are not waited for in vain."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi import pipes
from csc_cli.kaldi.opened import OpenArchives
from csc_cli.kaldi.specifiers import open_input, open_output
from csc_cli.kaldi.tables import VectorWriter, read_vectors


def is_alive(path: Path) -> bool:
    """Whether the process whose id stands in the file is there, and not a zombie."""
    try:
        with open(f"/proc/{path.read_text().strip()}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(path: Path) -> bool:
    for _ in range(500):
        if not is_alive(path):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("before", ["", "printf half; "])
def test_a_command_that_hangs_is_named_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setenv("CSC_PIPE_TIMEOUT", "0.3")
    command = f"echo $$ > {tmp_path}/pid; {before}exec sleep 1000"
    message = f"gave nothing for 0.3 s and was stopped with status -{signal.SIGTERM.value}"
    with pytest.raises(DataError, match=message) as error, open_input(f"{command} |") as stream:
        stream.read()
    assert str(error.value).startswith(f"'{command}'")
    assert not is_alive(tmp_path / "pid")


def test_a_table_from_a_command_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSC_PIPE_TIMEOUT", "0.3")
    with VectorWriter(f"ark:{tmp_path}/a.ark") as writer:
        writer.write("a", np.ones(3))
    (tmp_path / "a.scp").write_text(f"a {tmp_path}/a.ark:2\nb exec sleep 1000 |\n")
    for rspecifier in (f"ark:cat {tmp_path}/a.ark; exec sleep 1000 |", f"scp:{tmp_path}/a.scp"):
        read = []
        with pytest.raises(DataError, match=r"sleep 1000' gave nothing for 0.3 s"):
            read.extend(key for key, _ in read_vectors(rspecifier))
        assert read == ["a"]


def test_a_note_says_what_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pipes, "SILENCE_S", 0.1)
    with open_input("sleep 0.4; echo x |") as stream:
        assert stream.read() == b"x\n"
    assert capsys.readouterr().err == "waiting for 'sleep 0.4; echo x', which has given nothing for 0.1 s\n"


def test_what_is_not_wanted_any_more_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "GRACE_S", 0.1)
    command = f"echo $$ > {tmp_path}/pid; echo x; exec sleep 1000"
    with open_input(f"{command} |") as stream:
        assert stream.read(2) == b"x\n"
    assert not is_alive(tmp_path / "pid")
    with pytest.raises(KeyError), open_input(f"{command} |") as stream:
        raise KeyError
    assert wait_for_end(tmp_path / "pid")


def test_a_command_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "GRACE_S", 0.1)
    with open_input("trap '' TERM; echo x; while :; do sleep 0.05; done |") as stream:
        assert stream.read(2) == b"x\n"


def test_an_error_stops_the_command_that_is_written_to(tmp_path: Path) -> None:
    command = f"| echo $$ > {tmp_path}/pid; exec cat > /dev/null"
    with pytest.raises(KeyError), open_output(command) as stream:
        stream.write(b"half")
        raise KeyError
    assert not (tmp_path / "pid").exists() or wait_for_end(tmp_path / "pid")


def test_commands_of_an_scp_can_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pipes.REFUSED, "1")
    with OpenArchives("a.scp") as archives, pytest.raises(DataError, match="--no-pipes refuses them"):
        archives.read("cat a.ark |")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with open_input("echo x |") as stream:
            stream.read()
        with pytest.raises(DataError), open_input("exit 3 |") as stream:
            stream.read()
        with open_output(f"| cat > {tmp_path}/x") as out:
            out.write(b"x")
    assert len(os.listdir("/proc/self/fd")) == before
