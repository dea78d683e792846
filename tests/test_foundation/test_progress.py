"""Progress never touches the items or standard output, and can be silenced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from csc_cli import progress


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    yield
    progress.set_quiet(False)


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_every_item_passes_once_in_order(
    quiet: bool, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress.set_quiet(quiet)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert list(progress.track(range(50), "counting")) == list(range(50))
    assert list(progress.track(iter("abc"), "spelling")) == ["a", "b", "c"]
    assert list(progress.track([], "nothing")) == []
    assert capsys.readouterr().out == ""


def test_quiet_silences_notes_and_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    progress.note("heard")
    list(progress.track(range(3), "counting"))
    heard = capsys.readouterr().err
    assert heard.startswith("heard\n") and "counting: 2 of 3" in heard
    progress.set_quiet(True)
    progress.note("unheard")
    list(progress.track(range(3), "counting"))
    assert capsys.readouterr().err == ""


def test_an_error_in_the_loop_passes_through() -> None:
    with pytest.raises(ValueError, match="in the loop"):
        for item in progress.track(range(3), "counting"):
            if item == 1:
                raise ValueError("in the loop")
