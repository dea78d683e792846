"""Options of the commands that read scores: who is a speaker, operating points, systems, measures of quality."""

from __future__ import annotations

from typing import Any

import click

from csc_cli.cli import options


def table(name: str, **kwargs: Any) -> Any:
    """An option that is a table by id: a file, `-`, or `COMMAND |`."""
    return click.option(name, type=options.Source(), metavar="FILE", **kwargs)


enroll_utt2spk = table("--enroll-utt2spk", help="Lines 'ENROLLMENT SPEAKER'.  [default: each enrollment is a speaker]")
utt2spk = table("--utt2spk", help="Lines 'UTT SPEAKER...' of the test utterances.  [default: from the target trials]")
system_names = click.option(
    "--name", "names", multiple=True, metavar="NAME", help="Of each system, in order.  [default: its scores' folder]"
)
c_miss = click.option(
    "--c-miss", type=float, multiple=True, metavar="C",
    help="Cost of a miss: one for all --p-target, or one each.  [default: 1]",
)  # fmt: skip
c_fa = click.option(
    "--c-fa", type=float, multiple=True, metavar="C",
    help="Cost of a false alarm: one for all --p-target, or one each.  [default: 1]",
)  # fmt: skip
numbered_names = click.option(
    "--name", "names", multiple=True, metavar="NAME", help="Of each system, in order.  [default: 1, 2, ...]"
)
prior = click.option(
    "--prior", type=float, default=0.5, show_default=True, help="Of a target, at which the ratios shall cost least."
)
shared_speakers = click.option(
    "--shared-speakers", is_flag=True, help="Go on where speakers of these scores took part in training."
)


def quality(command: Any) -> Any:
    """Options that name the tables of measures of quality; `quality_tables` takes them out of the settings."""
    for option in (
        table("--activity", help="Lines 'UTT-s1 SECONDS ...' (stream_activity): active speech, with --streams."),
        table("--streams", help="Lines 'UTT UTT-s1 UTT-s2' (utt2streams): how many talkers a test utterance has."),
        table("--test-duration", help="Lines 'UTT SECONDS' (utt2dur) of the test utterances."),
        table("--enroll-duration", help="Lines 'ENROLLMENT SECONDS'."),
    ):
        command = option(command)
    return command


def quality_tables(settings: dict[str, Any]) -> Any:
    """Take the settings of `quality` out of `settings`."""
    from csc_cli.backend.quality import QualityTables

    return QualityTables(
        **{name: settings.pop(name) for name in ("enroll_duration", "test_duration", "streams", "activity")}
    )
