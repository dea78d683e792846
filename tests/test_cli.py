"""The command line: help with examples, quick start, suggestions, and a status for each kind of failure."""

from __future__ import annotations

import errno
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result

from csc_cli import __version__
from csc_cli.cli.main import COMMANDS, main
from csc_cli.errors import AudioError, ConfigError, CscError, DataError

HEAVY = ("torch", "torchaudio", "numpy", "scipy", "numba", "matplotlib", "kaldiio", "soundfile", "tensorboard", "rich")


def csc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def commands(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from commands(child, (*path, name))


def examples(command: click.Command) -> list[str]:
    lines = (command.epilog or "").splitlines()
    return [line.strip() for line in lines[lines.index("Examples:") + 1 :]] if "Examples:" in lines else []


LEAVES = dict(commands())


@pytest.mark.parametrize("name", LEAVES)
def test_each_command_has_help_with_an_example(name: str) -> None:
    result = csc(*name.split(), "--help")
    assert result.exit_code == 0, result.output
    command = LEAVES[name]
    assert command.help and re.search(r"[.:)]", command.help), "what does it do?"
    assert examples(command), "an example, please"
    assert any(line.startswith(f"csc {name} ") for line in examples(command))
    for line in examples(command):
        assert line in result.output, "examples stand in the help as they are typed"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.name in command.help or parameter.show_default, parameter.name


@pytest.mark.parametrize("name", LEAVES)
def test_each_example_is_a_command_line_that_parses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files of an example need not exist here; options, their values and the number of arguments must be right.
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _parameter, _context: Path(value))
    for line in examples(LEAVES[name]):
        words = list(itertools.takewhile(lambda word: word not in ("|", ">", "<", "&&"), shlex.split(line)))
        start = words.index("csc") + 1 if "csc" in words else words.index("csc_cli.cli.main") + 1
        arguments = words[start:]
        assert arguments[: len(name.split())] == name.split(), line
        with LEAVES[name].make_context(name, arguments[len(name.split()) :]):
            pass


def test_groups_have_help() -> None:
    for name in COMMANDS:
        result = csc(name, "--help")
        assert result.exit_code == 0 and result.output.startswith("Usage:")
        assert re.search(rf"^  {name} +\w", csc("--help").output, re.MULTILINE), "a line of its own in csc --help"


def test_help_starts_quickly() -> None:
    code = "import sys\nfrom csc_cli.cli.main import main\nmain(['--help'], standalone_mode=False)\n"
    code += "print(*(name for name in sys.argv[1:] if name in sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code, *HEAVY], capture_output=True, text=True)
    assert run.returncode == 0 and "Usage:" in run.stdout
    assert run.stderr.split() == [], "imported by a command's body, not by its module"


def test_version() -> None:
    assert csc("--version").output == f"csc, version {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["extrat"], "extract"), (["trian"], "train"), (["prepare", "syntx"], "synth"), (["score", "cosin"], "cosine")],
)
def test_an_unknown_command_suggests_the_nearest(typed: list[str], meant: str) -> None:
    result = csc(*typed)
    assert result.exit_code == 2
    assert f"'{meant}'" in result.output


def test_an_unknown_command_unlike_any_lists_them() -> None:
    result = csc("zzzzzz")
    assert result.exit_code == 2
    assert all(name in result.output for name in COMMANDS)


@pytest.mark.parametrize("name", LEAVES)
def test_wrong_usage_has_status_2(name: str) -> None:
    for arguments in ([], ["--no-such-option"], ["a"] * 30):
        result = csc(*name.split(), *arguments)
        assert result.exit_code == 2, (arguments, result.output)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Result]:
    """Runs a command that ends with the given exception."""

    def run(error: BaseException) -> Result:
        @click.command()
        def fail() -> None:
            raise error

        monkeypatch.setitem(sys.modules, "failing_command", SimpleNamespace(fail=fail))  # type: ignore[arg-type]
        monkeypatch.setitem(COMMANDS, "fail", "failing_command:fail")
        return csc("fail")

    return run


@pytest.mark.parametrize("kind", [CscError, ConfigError, DataError, AudioError])
def test_a_users_error_is_one_line_and_status_1(failing: Callable, kind: type[CscError]) -> None:
    result = failing(kind("wav.scp:3: no such file; mend it"))
    assert (result.exit_code, result.stderr, result.stdout) == (1, "Error: wav.scp:3: no such file; mend it\n", "")


def test_the_systems_refusal_is_one_line_and_status_1(failing: Callable) -> None:
    result = failing(OSError(errno.ENOSPC, "No space left on device", "exp/csc/xvector.ark"))
    assert (result.exit_code, result.stderr) == (1, "Error: exp/csc/xvector.ark: No space left on device\n")


def test_a_closed_pipe_is_quiet(failing: Callable) -> None:
    result = failing(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert result.exit_code == 1 and result.output == ""


def test_ctrl_c_has_a_status(failing: Callable) -> None:
    assert failing(KeyboardInterrupt()).exit_code not in (0, 2)


def test_a_bug_is_not_hidden(failing: Callable) -> None:
    result = failing(ZeroDivisionError("a bug"))
    assert isinstance(result.exception, ZeroDivisionError)
