"""`csc experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc experiment --dry-run conf/compare.yaml",
        "csc experiment --probe --jobs 2 conf/compare.yaml",
        "csc experiment --jobs 2 conf/compare.yaml",
        "csc experiment --only csc --only ecapa-mixtures --budget 60min conf/compare.yaml",
        "csc experiment --report conf/compare.yaml",
        "csc experiment --test conf/compare.yaml",
    )
)
@click.argument("grid", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--test", is_flag=True, help="Score the test sets, too: needs the committed choices, and is logged.")
@click.option("--only", multiple=True, metavar="SYSTEM", help="Run this system alone; repeatable.")
@click.option("--training", "training_sets", multiple=True, metavar="NAME", help="This training set alone; repeatable.")
@click.option("--budget", "budgets", multiple=True, metavar="NAME", help="This budget alone; repeatable.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Trainings and scorings at once."
)
@click.option("--dry-run", is_flag=True, help="Print what would be run, with estimated minutes.")
@click.option("--probe", "probe_only", is_flag=True, help="Fix the steps that minutes buy; train nothing.")
@click.option("--report", "report_only", is_flag=True, help="Write tables and figures of what is there; run nothing.")
@options.nj
@options.device
@options.quiet
def experiment(grid: Path, **settings: Any) -> None:
    """Run what the GRID lacks: systems x training sets x budgets x seeds, on its trial sets; then write its tables.

    Each result is a file in a folder of its own, named by checksums of settings, data and code, beside its log. What
    was interrupted goes on, what is there stays. OUT/report has the tables (Markdown, JSON) and figures, made of result
    files alone; what is not there is shown as "not run", what other code, settings or data made as "stale", and what
    lost its log or checksums as "refused".

    The test sets are scored with --test only.
    """
    from csc_cli.experiment.run import run_experiment

    click.echo(run_experiment(grid, **settings))
