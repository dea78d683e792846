"""Each option and argument of the commands, defined once, by name."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click

from csc_cli import progress
from csc_cli.kaldi.pipes import REFUSED


def examples(*lines: str) -> str:
    """An epilog that shows the command lines as typed."""
    return "\b\nExamples:\n" + "\n".join("  " + line for line in lines)


def existing(name: str, **kwargs: Any) -> Any:
    """An argument that is a file or folder which must exist."""
    return click.argument(name, type=click.Path(exists=True, path_type=Path), **kwargs)


class Source(click.ParamType):
    """A file that must exist; or `-`, `COMMAND |`, and either of these or a file behind `ark:`, as a text.

    `words` are texts that stand for themselves.
    """

    name = "file"

    def __init__(self, words: Collection[str] = ()) -> None:
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        if (
            isinstance(value, Path)
            or value == "-"
            or value in self.words
            or value.endswith("|")
            or value.partition(":")[0] in ("ark", "ark,t")
        ):
            return value
        return click.Path(exists=True, dir_okay=False, path_type=Path).convert(value, param, ctx)


def source(name: str, words: Collection[str] = (), **kwargs: Any) -> Any:
    """An argument that is read: a file, `-`, or `COMMAND |`; or one of some words."""
    return click.argument(name, type=Source(words), **kwargs)


def output(name: str, **kwargs: Any) -> Any:
    """An argument that is a file or folder which the command writes."""
    return click.argument(name, type=click.Path(path_type=Path), **kwargs)


def _quiet(_ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    progress.set_quiet(value)
    return value


def _no_pipes(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:
    # By the environment, so that worker processes and jobs know it too.
    before = os.environ.get(REFUSED)
    if value:
        os.environ[REFUSED] = "1"
        ctx.call_on_close(lambda: os.environ.update({REFUSED: before or "0"}))
    return value


seed = click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result.")
nj = click.option("--nj", type=click.IntRange(min=1), default=1, show_default=True, help="Local processes.")
device = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:n]", help="Where the network runs."
)
quiet = click.option(
    "--quiet", is_flag=True, expose_value=False, callback=_quiet, is_eager=True, help="No progress, no notes."
)
no_pipes = click.option(
    "--no-pipes", is_flag=True, expose_value=False, callback=_no_pipes, is_eager=True,
    help="Refuse commands that a wav.scp or another scp names (as CSC_NO_PIPES=1 does).",
)  # fmt: skip
batch_seconds = click.option(
    "--batch-seconds", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
    help="Seconds of audio that the network takes at a time; more suits a GPU.",
)  # fmt: skip


def listed(name: str, **kwargs: Any) -> Any:
    """An option that names a file with a list of ids."""
    return click.option(name, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", **kwargs)


skip_missing = click.option(
    "--skip-missing", is_flag=True,
    help="Leave out what has no vector, and say how much that is.  [default: an error]",
)  # fmt: skip
CHAIN = (
    click.option("--mean", metavar="VECTOR", help="Subtract this vector (Kaldi's mean.vec) first."),
    click.option("--center-on", metavar="TABLE", help="Subtract the mean of this table first."),
    click.option("--transform", metavar="MATRIX", help="Then project (Kaldi's transform.mat)."),
    click.option("--length-norm", is_flag=True, help="Then scale to length sqrt(dimension)."),
)


def chain(command: Any) -> Any:
    """The options for what is done to vectors first."""
    for option in reversed(CHAIN):
        command = option(command)
    return command


def binary(default: bool = True, help: str = "Write Kaldi's binary form, or text.") -> Any:
    """Kaldi's `--binary`."""
    return click.option("--binary", type=bool, default=default, show_default=True, metavar="true|false", help=help)
