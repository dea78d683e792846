"""The `csc` command: a table of commands, imported only when they are asked for."""

from __future__ import annotations

import errno
from importlib import import_module

import click

from csc_cli import __version__
from csc_cli.errors import CscError, at, nearest

# name -> where it lives; the order is the order of a pipeline.
COMMANDS = {
    "prepare": "csc_cli.cli.prepare:prepare",
    "data": "csc_cli.cli.data.group:data",
    "vad": "csc_cli.cli.vad:vad",
    "simulate": "csc_cli.cli.simulate:simulate",
    "mixtures": "csc_cli.cli.mixtures:mixtures",
    "trials": "csc_cli.cli.trials:trials",
    "train": "csc_cli.cli.train:train",
    "average": "csc_cli.cli.average:average",
    "extract": "csc_cli.cli.extract:extract",
    "separate": "csc_cli.cli.separate:separate",
    "vector": "csc_cli.cli.vector:vector",
    "lda": "csc_cli.cli.lda:lda",
    "plda": "csc_cli.cli.plda:plda",
    "score": "csc_cli.cli.score:score",
    "calibrate": "csc_cli.cli.calibrate:calibrate",
    "fuse": "csc_cli.cli.fuse:fuse",
    "evaluate": "csc_cli.cli.evaluate:evaluate",
    "threshold": "csc_cli.cli.threshold:threshold",
    "experiment": "csc_cli.cli.experiment:experiment",
    "plot": "csc_cli.cli.plot:plot",
    "info": "csc_cli.cli.info:info",
}


class Csc(click.Group):
    """The one place where a `CscError`, or the system's refusal, becomes a line on stderr and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name].split(":")
        return getattr(import_module(module), attribute)

    def resolve_command(self, ctx: click.Context, args: list[str]):  # type: ignore[no-untyped-def]
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(f"no command '{args[0]}'; {nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CscError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:  # a disk that is full, a folder that is not writable, a file that is a folder
            if error.errno == errno.EPIPE or error.strerror is None:
                raise
            raise click.ClickException(at(error.filename or "csc", None, error.strerror)) from error


@click.command(cls=Csc, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="csc")
def main() -> None:
    """Speaker representations learned by separating voices (Contrastive Separative Coding).

    Data directories, vectors, trials and scores are Kaldi's: bring your own, take the results with you.
    """


if __name__ == "__main__":
    main()
