"""`csc fuse`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import metric_options, options


@click.group()
def fuse() -> None:
    """Make the scores of several systems into one calibrated score."""


@fuse.command(
    epilog=options.examples(
        "csc fuse train data/dev_trials/trials exp/csc/scores_dev exp/ecapa/scores_dev exp/fusion.json",
        "csc fuse train --name csc --name ecapa --prior 0.01 trials csc/scores ecapa/scores fusion.json",
    )
)
@options.source("trials")
@options.source("scores", nargs=-1, required=True)
@options.output("out")
@metric_options.numbered_names
@metric_options.prior
@metric_options.enroll_utt2spk
@metric_options.utt2spk
@metric_options.quality
def train(trials: Path | str, scores: tuple[Path | str, ...], out: Path, **settings: Any) -> None:
    """Learn llr = a_1 score_1 + a_2 score_2 + ... + b from TRIALS with a key and their SCORES files.

    OUT is a small JSON file. Logistic regression at a stated prior of a target.
    """
    from csc_cli.backend.fuse import train as train_fusion

    settings["quality"] = metric_options.quality_tables(settings)
    click.echo(train_fusion(trials, scores, out, **settings))


@fuse.command(
    epilog=options.examples(
        "csc fuse apply exp/fusion.json exp/csc/scores exp/ecapa/scores exp/fused_scores",
        "csc fuse apply --name ecapa --name csc fusion.json ecapa/scores csc/scores fused",
    )
)
@options.existing("fusion")
@options.source("scores", nargs=-1, required=True)
@options.output("out")
@metric_options.numbered_names
@metric_options.enroll_utt2spk
@metric_options.utt2spk
@metric_options.shared_speakers
@metric_options.quality
def apply(fusion: Path, scores: tuple[Path | str, ...], out: Path, **settings: Any) -> None:
    """Write the log likelihood ratios of SCORES files to OUT ('-': standard output), in the order of the first.

    FUSION is what `csc fuse train` wrote. The files are joined by key, and stand in the order of training, or in that
    of --name. Scores whose speakers took part in training are refused.
    """
    from csc_cli.backend.fuse import apply as apply_fusion
    from csc_cli.progress import note

    settings["quality"] = metric_options.quality_tables(settings)
    note(apply_fusion(fusion, scores, out, **settings))
