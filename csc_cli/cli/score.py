"""`csc score`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.group()
def score() -> None:
    """Score trials from vectors."""


@score.command(
    epilog=options.examples(
        "csc score cosine data/trials/trials exp/csc/enroll/spk_xvector.scp exp/csc/test/xvector.scp exp/csc/scores",
        "csc score cosine --streams exp/csc/test/utt2streams trials enroll/spk_xvector.scp test/xvector.scp scores",
        "csc score cosine --mean mean.vec trials scp:enroll.scp 'ark:copy-vector scp:test.scp ark:- |' -",
    )
)
@options.source("trials")
@click.argument("enroll")
@click.argument("test")
@options.output("out")
@click.option(
    "--streams",
    type=options.Source(),
    metavar="UTT2STREAMS",
    help="Lines 'UTT UTT-s1 UTT-s2': the vectors of TEST that belong to a test utterance.",
)
@click.option("--mean", metavar="VECTOR", help="Subtract this vector (Kaldi's mean.vec) from both sides first.")
@click.option("--center-on", metavar="RSPECIFIER", help="Subtract the mean of this table from both sides first.")
@click.option(
    "--pool",
    "pooling",
    type=click.Choice(["max", "log-mean"]),
    default="max",
    show_default=True,
    help="How the scores of a test utterance's streams become one (log-mean: for calibrated log ratios).",
)
@options.quiet
def cosine(
    trials: Path | str, enroll: str, test: str, out: Path, streams: Path | str | None, mean: str | None,
    center_on: str | None, pooling: str,
) -> None:  # fmt: skip
    """Write the cosine of the two vectors of each trial to OUT ('-': standard output).

    TRIALS has two or three columns, enrollment first. ENROLL and TEST are Kaldi rspecifiers, or paths of an scp or
    ark. A key without a vector is an error.
    """
    from csc_cli.backend.scoring import score_cosine
    from csc_cli.progress import note

    note(
        score_cosine(
            trials,
            enroll,
            test,
            out,
            streams=streams,
            mean=mean,
            center_on=center_on,
            pooling=pooling,  # type: ignore[arg-type]
        )
    )
