"""`csc mixtures`: folders of mixtures that are on disk already."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options
from csc_cli.errors import DataError


@click.group()
def mixtures() -> None:
    """Look after folders of mixtures: compare them with their checksums."""


@mixtures.command(
    epilog=options.examples("csc mixtures check data/dev_2mix", "csc mixtures check --nj 4 data/trials/test")
)
@options.existing("directory")
@options.nj
@options.quiet
def check(directory: Path, nj: int) -> None:
    """Compare the files of DIRECTORY, which csc simulate or csc trials made, with their checksums in sha256sums.

    Each file that is gone or not what was written is a line. The exit status is 0 only where there is none.
    """
    from csc_cli.mixtures.checksums import check_sums

    total, faults = check_sums(directory, nj)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise DataError(f"{directory}: {len(faults)} of {total} files are not what was written")
    click.echo(f"{directory}: {total} files are what was written")
