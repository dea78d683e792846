"""`csc info`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.command(epilog=options.examples("csc info exp/csc", "csc info --json exp/csc"))
@options.existing("model")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON, for programs.")
def info(model: Path, as_json: bool) -> None:
    """Say what a model is: its settings, its parameters by part, its segments, and how it was trained."""
    from csc_cli.extraction.describe import describe_model

    click.echo(describe_model(model, as_json=as_json))
