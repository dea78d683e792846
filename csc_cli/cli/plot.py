"""`csc plot`: pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


@click.group()
def plot() -> None:
    """Pictures of what a model does. Curves, DET and histograms are drawn by 'csc train' and 'csc evaluate'."""


@plot.command(
    epilog=options.examples(
        "csc plot attention exp/csc data/trials/enroll exp/csc/attention",
        "csc plot attention --speaker alice --recordings 6 exp/csc data/trials/test exp/csc/attention_test",
    )
)
@options.existing("model")
@options.existing("data")
@options.output("out")
@click.option("--speaker", "speakers", multiple=True, metavar="SPEAKER", help="Of DATA; repeatable.  [default: all]")
@click.option(
    "--most", type=click.IntRange(min=1), default=10, show_default=True, help="Speakers, where none is named."
)
@click.option(
    "--recordings", type=click.IntRange(min=1), default=4, show_default=True, help="Of each speaker, at most."
)
@options.device
@options.quiet
def attention(model: Path, data: Path, out: Path, **settings: Any) -> None:
    """Show which segments of which recordings made a speaker's vector: OUT/SPEAKER.png and, as arrays, SPEAKER.npz.

    The vector is the one of 'csc extract --enroll attention'. Attention is drawn above the streams of each recording
    and, where DATA has them (spk1.scp, ... and utt2spks), above the times at which each talker truly speaks.
    """
    from csc_cli.extraction.attention import attend_data_dir
    from csc_cli.plots.attention import plot_attention

    click.echo(attend_data_dir(model, data, out, **settings, draw=plot_attention))
