"""`csc threshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import metric_options, options

SHARES: dict[str, Any] = {"type": float, "multiple": True, "metavar": "SHARE"}


@click.command(
    epilog=options.examples(
        "csc threshold --far 0.01 data/trials/trials exp/csc/scores",
        "csc threshold --far 0.001 --frr 0.05 --utt2cond data/trials/utt2cond data/trials/trials exp/csc/scores",
        "csc threshold --p-target 0.01 --c-miss 10 trials scores",
        "csc threshold --p-target 0.05 --bayes trials calibrated_scores",
    )
)
@options.source("trials")
@options.source("scores")
@click.option("--far", **SHARES, help="At most this share of nontargets is accepted (1 % is 0.01). Repeatable.")
@click.option("--frr", **SHARES, help="At most this share of targets is rejected. Repeatable.")
@click.option(
    "--p-target", type=float, multiple=True, metavar="P", help="Least cost at this prior of a target. Repeatable."
)
@metric_options.c_miss
@metric_options.c_fa
@click.option(
    "--bayes", is_flag=True,
    help="With --p-target: the threshold of calibrated scores, log C_fa (1 - P) / (C_miss P), not the best here.",
)  # fmt: skip
@metric_options.table("--utt2cond", help="Lines 'UTT CONDITION': the error rates in each condition at that threshold.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects in place of a table.")
def threshold(trials: Path | str, scores: Path | str, **settings: Any) -> None:
    """The threshold of SCORES for a wanted error rate or prior, with the error rates it has on TRIALS.

    A trial is accepted when its score is at least the threshold. FAR: share of nontargets accepted; FRR: share of
    targets rejected. Both are of the trials that chose the threshold, and on others a little worse.
    """
    from csc_cli.metrics.thresholds import find_thresholds

    click.echo(find_thresholds(trials, scores, **settings))
