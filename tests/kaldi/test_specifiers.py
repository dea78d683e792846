"""Specifiers, pipes and standard streams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from csc_cli.errors import DataError
from csc_cli.kaldi.specifiers import Rspecifier, Wspecifier, open_input, open_output, split_offset, split_range


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("scp:a.scp", Rspecifier("scp", "a.scp")),
        ("ark:-", Rspecifier("ark", "-")),
        ("ark,t:a.txt", Rspecifier("ark", "a.txt")),
        ("ark,s,cs:gunzip -c a.ark.gz |", Rspecifier("ark", "gunzip -c a.ark.gz |", sorted=True, called_sorted=True)),
        ("s, ns, o, bg, ark:a.ark", Rspecifier("ark", "a.ark", once=True)),
        ("scp,np,p:a.scp", Rspecifier("scp", "a.scp", permissive=True)),
        ("scp,p:a:b.scp", Rspecifier("scp", "a:b.scp", permissive=True)),
    ],
)
def test_rspecifiers(text: str, parsed: Rspecifier) -> None:
    assert Rspecifier.parse(text) == parsed


@pytest.mark.parametrize(
    "text", ["a.scp", "", "scp:", "ark,scp:a,b", "zip:a", "ark,q:a", "t:a", "/a/b:c.ark", "ark:| x"]
)
def test_what_is_no_rspecifier_is_refused_with_advice(text: str) -> None:
    with pytest.raises(DataError, match=f"'{re.escape(text)}' (is no rspecifier|would write).*; write '?(scp|ark):"):
        Rspecifier.parse(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("ark:a.ark", Wspecifier("a.ark")),
        ("ark,t:-", Wspecifier("-", None, True)),
        ("t,ark:| gzip > a.gz", Wspecifier("| gzip > a.gz", None, True)),
        ("ark,scp:x/a.ark,x/a.scp", Wspecifier("x/a.ark", "x/a.scp")),
        ("ark,scp,t:a.ark,a.scp", Wspecifier("a.ark", "a.scp", True)),
        ("ark,t,b:a.ark", Wspecifier("a.ark")),
        ("ark,f:-", Wspecifier("-", flush=True)),
        ("scp,p:a.scp", Wspecifier("", "a.scp", permissive=True)),
    ],
)
def test_wspecifiers(text: str, parsed: Wspecifier) -> None:
    assert Wspecifier.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    ["a.ark", "ark:", "ark,scp:a.ark", "scp,ark:a.scp,a.ark", "ark,scp:-,a.scp", "ark,x:a", "ark,ark:a", "ark:x |"],
)
def test_what_is_no_wspecifier_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="; write "):
        Wspecifier.parse(text)


def test_offsets() -> None:
    assert split_offset("/a b/c.ark:123") == ("/a b/c.ark", 123)
    assert split_offset("C:c.ark") == ("C:c.ark", 0)
    assert split_offset("c.ark:" + "9" * 30) == ("c.ark:" + "9" * 30, 0)
    assert split_offset("c.ark:\u0663") == ("c.ark:\u0663", 0)  # a digit, but none of Kaldi's


def test_ranges() -> None:
    assert split_range("c.ark:123[0:9,2:3]") == ("c.ark:123", "0:9,2:3")
    assert split_range("sox a.wav |[0:9]") == ("sox a.wav |", "0:9")
    assert split_range("take[1b]") == ("take[1b]", None)


def test_a_file_from_an_offset_on(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    with open_input(f"{tmp_path}/a:7") as stream:
        assert stream.read() == b"789"
    (tmp_path / "a:7").write_bytes(b"a file of that name")
    with open_input(f"{tmp_path}/a:7") as stream:
        assert stream.read() == b"a file of that name"


@pytest.mark.parametrize("name", ["a\0b", "a\0b:5", "a\0b |", "x" * 5000])
def test_names_that_the_system_refuses(name: str) -> None:
    with pytest.raises(DataError, match="cannot be r"), open_input(name) as stream:
        stream.read()
    with pytest.raises(DataError, match="cannot be written"), open_output(name):
        pass


def test_pipes_in_and_out(tmp_path: Path) -> None:
    with open_input("printf 'a b' | tr a c |") as stream:
        assert stream.read() == b"c b"
    with open_output(f"| tr a c > {tmp_path}/out") as stream:
        stream.write(b"a b")
    assert (tmp_path / "out").read_bytes() == b"c b"


def test_output_left_unread_is_no_failure() -> None:
    with open_input("yes |") as stream:
        assert stream.read(2) == b"y\n"


def test_a_failing_command_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'printf x; exit 3' ended with status 3"), open_input("printf x; exit 3|") as s:
        s.read()
    # The failure is the news, not the damage that it did.
    with pytest.raises(DataError, match="status 3"), open_input("printf x; exit 3 |") as s:
        s.read()
        raise DataError("truncated")
    with pytest.raises(DataError, match="status 4"), open_output("| cat > /dev/null; exit 4") as s:
        s.write(b"x")
    with pytest.raises(DataError, match="ended with status 0 before it had read"), open_output("| exec true") as s:
        for _ in range(1000):
            s.write(b"x" * 10000)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=f"{tmp_path}/none: cannot be read: No such file"),
        open_input(f"{tmp_path}/none"),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"), open_output(f"{tmp_path}/file/out"):
        pass


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_output(f"{tmp_path}/out") as stream:
        stream.write(b"half")
        raise KeyError
    assert list(tmp_path.iterdir()) == []
