"""`csc average`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc average --last 5 exp/csc exp/csc_average", "csc average exp/tuned1 exp/tuned2 exp/tuned3 exp/average"
    )
)
@options.existing("models", nargs=-1, required=True)
@options.output("out")
@click.option("--last", type=click.IntRange(min=2), metavar="N", help="The newest N checkpoints of one training.")
@options.quiet
def average(models: tuple[Path, ...], out: Path, last: int | None) -> None:
    """Average the weights of MODELS (model directories of one shape) into the model directory OUT.

    Models of one training, or fine-tuned from one model: means of trainings from other beginnings are of no use.
    """
    from csc_cli.training.average import average_models

    click.echo(average_models(models, out, last))
