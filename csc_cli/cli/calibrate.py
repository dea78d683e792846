"""`csc calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import metric_options, options


@click.group()
def calibrate() -> None:
    """Make scores into natural log likelihood ratios."""


@calibrate.command(
    epilog=options.examples(
        "csc calibrate train data/dev_trials/trials exp/csc/scores_dev exp/csc/calibration.json",
        "csc calibrate train --prior 0.01 --utt2spk dev/utt2spk trials scores calibration.json",
        "csc calibrate train --test-duration dev/utt2dur --streams dev/utt2streams trials scores calibration.json",
    )
)
@options.source("trials")
@options.source("scores")
@options.output("out")
@metric_options.prior
@metric_options.enroll_utt2spk
@metric_options.utt2spk
@metric_options.quality
def train(trials: Path | str, scores: Path | str, out: Path, **settings: Any) -> None:
    """Learn llr = a score + b from TRIALS with a key and their SCORES; written to OUT, a small JSON file.

    Logistic regression at a stated prior of a target. Measures of quality add a term each, the logarithm of theirs.
    """
    from csc_cli.backend.fuse import train as train_calibration

    settings["quality"] = metric_options.quality_tables(settings)
    click.echo(train_calibration(trials, [scores], out, **settings))


@calibrate.command(
    epilog=options.examples(
        "csc calibrate apply exp/csc/calibration.json exp/csc/scores exp/csc/scores_calibrated",
        "csc calibrate apply --utt2spk test/utt2spks calibration.json scores - | head",
    )
)
@options.existing("calibration")
@options.source("scores")
@options.output("out")
@metric_options.enroll_utt2spk
@metric_options.utt2spk
@metric_options.shared_speakers
@metric_options.quality
def apply(calibration: Path, scores: Path | str, out: Path, **settings: Any) -> None:
    """Write the log likelihood ratios of SCORES to OUT ('-': standard output), in the same order.

    CALIBRATION is what `csc calibrate train` wrote. Scores whose speakers took part in training are refused.
    """
    from csc_cli.backend.fuse import apply as apply_calibration
    from csc_cli.progress import note

    settings["quality"] = metric_options.quality_tables(settings)
    note(apply_calibration(calibration, [scores], out, **settings))
