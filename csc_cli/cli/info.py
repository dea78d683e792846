"""`csc info`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc info exp/csc",
        "csc info --json --no-memory exp/csc",
        "csc info conf/train/csc-base.yaml",
        "csc info --training-step --set batch.utterances=8 conf/train/csc-mini.yaml",
    )
)
@options.existing("model")
@click.option(
    "--seconds", type=click.FloatRange(0.1, 600), default=10.0, show_default=True,
    help="Length of the recording on which work and memory are measured.",
)  # fmt: skip
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure the memory of inference.")
@click.option("--training-step", is_flag=True, help="Measure the memory of one training step, by doing one on noise.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any key of a config file; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON, for programs.")
@options.device
def info(model: Path, **settings: Any) -> None:
    """Say what MODEL is, a model directory or a config file (conf/train/NAME.yaml) of which nothing is trained yet.

    Its parameters by part, its multiply-accumulates (MACs) for a second of audio, its peak memory, its segments, its
    settings, and how it was trained. MACs are of products of matrices, convolutions, recurrent layers and attention.
    Memory is measured in a process of its own.
    """
    from csc_cli.training.describe import describe

    click.echo(describe(model, **settings))
