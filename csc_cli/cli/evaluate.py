"""`csc evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import metric_options, options


@click.command(
    epilog=options.examples(
        "csc evaluate data/trials/trials exp/csc/scores exp/csc/results --utt2cond data/trials/utt2cond",
        "csc evaluate trials exp/untrained/scores exp/csc/scores results --name untrained --name CSC",
        "csc evaluate trials scores results --enroll-utt2spk enroll/utt2spk --utt2spk test/utt2spk",
        "csc evaluate trials scores results --p-target 0.01 --p-target 0.001 --pdf",
    )
)
@options.source("trials")
@options.source("scores", nargs=-1, required=True)
@options.output("out")
@metric_options.table("--utt2cond", help="Lines 'UTT CONDITION' of the test utterances: results by condition.")
@metric_options.system_names
@metric_options.enroll_utt2spk
@metric_options.utt2spk
@click.option(
    "--bootstrap",
    "replicates",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Draws of the speakers for the intervals; 0: no intervals.",
)
@click.option(
    "--p-target", type=float, multiple=True, default=[0.01], show_default=True, metavar="P",
    help="Prior of a target: an operating point for minDCF and actDCF. As often as you like.",
)  # fmt: skip
@metric_options.c_miss
@metric_options.c_fa
@click.option("--pdf", is_flag=True, help="The pictures as PDF too.")
@options.seed
def evaluate(trials: Path | str, scores: tuple[Path | str, ...], out: Path, pdf: bool, **settings: Any) -> None:
    """Error rates of one or more SCORES files on TRIALS, by condition, written to the folder OUT.

    Writes results.md, results.json, det.png, histogram.png and reliability.png, and prints the tables. Further SCORES
    are compared with the first one on the same trials. Intervals are 95 %, by bootstrap over speakers.
    """
    from functools import partial

    from csc_cli.metrics.report import evaluate as evaluate_files
    from csc_cli.plots.detection import plot_detection

    draw = partial(plot_detection, formats=("png", "pdf") if pdf else ("png",))
    click.echo(evaluate_files(trials, scores, out, **settings, draw=draw))
