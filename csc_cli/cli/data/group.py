"""`csc data`: look after data directories."""

from __future__ import annotations

import click

from csc_cli.cli.data import check, edit


@click.group()
def data() -> None:
    """Look after Kaldi data directories: what Kaldi's utils/*_data_dir.sh do."""


for command in (check.validate, check.fix, edit.subset, edit.split, edit.combine, edit.copy, check.stats):
    data.add_command(command)
