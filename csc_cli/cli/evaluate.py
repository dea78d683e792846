"""`csc evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


def _table(name: str, **kwargs: Any) -> Any:
    return click.option(name, type=options.Source(), metavar="FILE", **kwargs)


@click.command(
    epilog=options.examples(
        "csc evaluate data/trials/trials exp/csc/scores exp/csc/results --utt2cond data/trials/utt2cond",
        "csc evaluate trials exp/untrained/scores exp/csc/scores results --name untrained --name CSC",
        "csc evaluate trials scores results --enroll-utt2spk enroll/utt2spk --utt2spk test/utt2spk",
    )
)
@options.source("trials")
@options.source("scores", nargs=-1, required=True)
@options.output("out")
@_table("--utt2cond", help="Lines 'UTT CONDITION' of the test utterances: results by condition.")
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="Of each system, in order.  [default: its scores' folder]"
)
@_table("--enroll-utt2spk", help="Lines 'ENROLLMENT SPEAKER'.  [default: each enrollment is a speaker]")
@_table("--utt2spk", help="Lines 'UTT SPEAKER...' of the test utterances.  [default: from the target trials]")
@click.option(
    "--bootstrap",
    "replicates",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Draws of the speakers for the intervals; 0: no intervals.",
)
@click.option("--p-target", type=float, default=0.01, show_default=True, help="Prior of a target for minDCF.")
@options.seed
def evaluate(trials: Path | str, scores: tuple[Path | str, ...], out: Path, **settings: Any) -> None:
    """Error rates of one or more SCORES files on TRIALS, by condition, written to the folder OUT.

    Writes results.md, results.json, det.png and histogram.png, and prints the table. Further SCORES are compared with
    the first one on the same trials. Intervals are 95 %, by bootstrap over speakers.
    """
    from csc_cli.metrics.report import evaluate as evaluate_files
    from csc_cli.plots.detection import plot_detection

    click.echo(evaluate_files(trials, scores, out, **settings, draw=plot_detection))
