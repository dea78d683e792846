"""`csc train`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc train conf/train/csc-mini.yaml data/train exp/csc",
        "csc train conf/train/csc-mini.yaml data/train exp/untrained --max-steps 0",
        "csc train conf/train/csc-mini.yaml data/train exp/csc --set objective.contrastive_weight=2",
        "csc train --dev data/dev --set tracking.patience=5 conf/train/csc-mini.yaml data/train exp/csc",
        "csc train --dry-run conf/train/csc-mini.yaml data/train exp/csc",
        "csc train --nj 2 conf/train/csc-mini.yaml data/train exp/csc",
        "csc train --init encoder=exp/sep --freeze encoder conf/train/csc-mini.yaml data/train exp/csc",
        "torchrun --nproc-per-node 2 -m csc_cli.cli.main train conf/train/csc-mini.yaml data/train exp/csc",
    )
)
@options.existing("conf")
@options.existing("data")
@options.output("exp")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any key of the config; repeatable.")
@click.option("--max-steps", type=click.IntRange(min=0), help="0 writes the untrained model.")
@click.option("--seed", type=int, help="In place of the config's seed.")
@click.option(
    "--init", "initial", multiple=True, metavar="[PART=]MODEL",
    help="Begin from the weights of this model directory, or of a part of it; repeatable, the last one wins.",
)  # fmt: skip
@click.option("--freeze", "frozen", multiple=True, metavar="PART", help="As --set optimiser.frozen=[PART, ...].")
@click.option(
    "--dev", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DATA",
    help="Other speakers, whose EER is measured while training goes on, clean and mixed.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="A few steps: speed, memory, time of the whole training; keeps nothing.")
@click.option("--overfit", type=click.IntRange(min=1), metavar="N", help="Learn N mixtures by heart; keeps nothing.")
@click.option("--profile", is_flag=True, help="Where the time of a few steps goes: EXP/profile.txt, profile.json.")
@options.nj
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that render.")
@options.device
@options.no_pipes
@options.quiet
def train(
    conf: Path, data: Path, exp: Path, overrides: tuple[str, ...], max_steps: int | None, seed: int | None,
    initial: tuple[str, ...], frozen: tuple[str, ...], dev: Path | None, dry_run: bool, overfit: int | None,
    profile: bool, nj: int, workers: int, device: str,
) -> None:  # fmt: skip
    """Train the model that CONF describes on the data directory DATA, into the model directory EXP.

    A rerun goes on from the last checkpoint in EXP. Ctrl-C and SIGTERM save a checkpoint and stop. With --nj N
    the cores of one machine share each batch, which is faster than one process of N threads.
    """
    from csc_cli.plots.curves import plot_curves
    from csc_cli.plots.examples import draw_examples
    from csc_cli.training import rehearsal
    from csc_cli.training.entry import train_model
    from csc_cli.training.initial import Initial

    if max_steps is not None:
        overrides = (*overrides, f"optimiser.steps={max_steps}")
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    if frozen:
        overrides = (*overrides, f"optimiser.frozen=[{', '.join(frozen)}]")
    if dry_run + profile + (overfit is not None) > 1:
        raise click.UsageError("--dry-run, --overfit, --profile: one at a time")
    if dry_run:
        click.echo(rehearsal.dry_run(conf, data, exp, overrides, device))
        return
    if overfit is not None:
        click.echo(rehearsal.overfit(conf, data, exp, overrides, device, overfit))
        return
    if profile:
        click.echo(rehearsal.profile(conf, data, exp, overrides, device))
        return
    begun = [Initial.parse(text) for text in initial]
    done = train_model(
        conf,
        data,
        exp,
        overrides,
        device=device,
        nj=nj,
        workers=workers,
        initial=begun,
        dev_dir=dev,
        on_checkpoint=plot_curves,
        draw=draw_examples,
    )
    if os.environ.get("RANK", "0") == "0":
        click.echo(done)
