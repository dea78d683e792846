"""`csc data validate`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options
from csc_cli.errors import DataError


@click.command(
    epilog=options.examples(
        "csc data validate data/train",
        "csc data validate --read-audio data/train",
        "csc data validate --json data/train",
    )
)
@options.existing("directory")
@click.option("--read-audio", is_flag=True, help="Read every recording to its end, not only its header.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list on standard output instead of lines.")
@options.quiet
def validate(directory: Path, read_audio: bool, as_json: bool) -> None:
    """List all faults of the data directory DIRECTORY, each with its file, line and remedy.

    The exit status is 0 only where there is none.
    """
    from csc_cli.kaldi.checks import check_data_dir, listing

    faults = check_data_dir(directory, read_audio)
    if as_json or faults:
        click.echo(listing(faults, as_json))
    else:
        click.echo(f"{directory}: no faults")
    if faults:
        raise DataError(f"{directory}: faults: {len(faults)}; mend each as its line says")
