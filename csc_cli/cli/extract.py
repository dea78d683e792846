"""`csc extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc extract exp/csc data/enroll exp/csc/xvectors_enroll",
        "csc extract --streams all exp/csc data/test exp/csc/xvectors_test",
        "csc extract --vad data/enroll/vad.scp exp/csc data/enroll exp/csc/xvectors_enroll",
        "csc extract --enroll attention --nj 4 --device cpu exp/csc data/enroll exp/csc/xvectors_enroll",
    )
)
@options.existing("model")
@options.existing("data")
@options.output("out")
@click.option(
    "--streams", type=click.Choice(["best", "all"]), default="best", show_default=True,
    help="One vector an utterance, of its stream of most energy; or one of each active stream.",
)  # fmt: skip
@click.option(
    "--active-db", type=click.FloatRange(min=0), default=15.0, show_default=True,
    help="A stream is active if its energy is at most so many dB below the recording's.",
)  # fmt: skip
@click.option(
    "--enroll", type=click.Choice(["mean", "attention"]), default="mean", show_default=True,
    help="A speaker's vector: the mean of its utterances', or the attention over all their segments.",
)  # fmt: skip
@click.option(
    "--sources", is_flag=True,
    help="Embed the true sources of mixtures (spk1.scp, spk2.scp, ... of DATA): what perfect separation would give.",
)  # fmt: skip
@click.option(
    "--vad", metavar="RSPECIFIER",
    help="Embed only the frames that this table calls voiced, such as scp:DATA/vad.scp of 'csc vad'.",
)  # fmt: skip
@options.batch_seconds
@click.option("--no-resample", is_flag=True, help="Recordings of another rate than the model's fail.")
@options.nj
@options.device
@options.no_pipes
@options.quiet
def extract(model: Path, data: Path, out: Path, no_resample: bool, **settings: Any) -> None:
    """Write the embeddings of the utterances and speakers of DATA to OUT, as Kaldi's tables.

    OUT/xvector.scp, spk_xvector.scp (a speaker's own), num_utts.ark; with --streams all the keys of xvector.scp are
    UTT-s1, UTT-s2, ..., and utt2streams and stream_activity (key, seconds, dB of the recording) are written, too.

    With --sources DATA must be mixtures that 'csc simulate' or 'csc trials' wrote with audio; the keys are those of
    --streams all.

    A rerun goes on from where an interrupted one stopped. Recordings that cannot be read are listed at the end, and
    the exit status is then 1; the others are written.
    """
    from csc_cli.extraction.embed import embed_data_dir

    click.echo(embed_data_dir(model, data, out, resample=not no_resample, **settings))
