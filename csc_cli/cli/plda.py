"""`csc plda`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.group()
def plda() -> None:
    """Probabilistic linear discriminant analysis."""


@plda.command(
    epilog=options.examples(
        "csc plda train data/train/spk2utt scp:xvector.scp plda",
        "csc plda train --mean mean.vec --transform transform.mat --length-norm data/train/spk2utt xvector.scp plda",
    )
)
@options.source("spk2utt")
@click.argument("vectors")
@click.argument("out")
@click.option("--num-em-iters", type=click.IntRange(min=1), default=10, show_default=True,
              help="Iterations of expectation maximisation.")  # fmt: skip
@options.chain
@options.binary()
@options.skip_missing
@options.no_pipes
@options.quiet
def train(
    spk2utt: Path | str, vectors: str, out: str, num_em_iters: int, binary: bool, skip_missing: bool, **chain: str
) -> None:
    """Learn a PLDA from VECTORS and their speakers, and write it to OUT (Kaldi's ivector-compute-plda)."""
    from csc_cli.backend.plda import Plda
    from csc_cli.backend.settings import ChainSettings
    from csc_cli.backend.train import train_plda
    from csc_cli.progress import note

    settings = ChainSettings(**chain)  # type: ignore[arg-type]
    model = Plda(iterations=num_em_iters)
    note(train_plda(spk2utt, vectors, out, model, settings, binary=binary, skip_missing=skip_missing))


@plda.command(
    epilog=options.examples(
        "csc plda adapt --within-covar-scale 0.75 --between-covar-scale 0.25 plda scp:other_domain.scp plda.adapted"
    )
)
@click.argument("plda")
@click.argument("vectors")
@click.argument("out")
@click.option("--within-covar-scale", type=float, default=0.3, show_default=True,
              help="How much of a direction's excess variance goes to the within-speaker covariance.")  # fmt: skip
@click.option("--between-covar-scale", type=float, default=0.7, show_default=True,
              help="How much of it goes to the between-speaker covariance.")  # fmt: skip
@click.option("--mean-diff-scale", type=float, default=1.0, show_default=True,
              help="How much the shift of the mean adds to the new covariance.")  # fmt: skip
@options.chain
@options.binary()
@options.no_pipes
@options.quiet
def adapt(
    plda: str, vectors: str, out: str, within_covar_scale: float, between_covar_scale: float, mean_diff_scale: float,
    binary: bool, **chain: str,
) -> None:  # fmt: skip
    """Fit a PLDA to VECTORS of another domain, whose speakers are not known (Kaldi's ivector-adapt-plda)."""
    from csc_cli.backend.adapt import AdaptConfig
    from csc_cli.backend.settings import ChainSettings
    from csc_cli.backend.train import adapt_plda
    from csc_cli.progress import note

    config = AdaptConfig(within_covar_scale, between_covar_scale, mean_diff_scale)
    settings = ChainSettings(**chain)  # type: ignore[arg-type]
    note(adapt_plda(plda, vectors, out, config, settings, binary=binary))


@plda.command(
    epilog=options.examples(
        "csc plda copy --smoothing 0.1 plda plda.smoothed",
        "csc plda copy --binary false plda - | less",
    )
)
@click.argument("plda")
@click.argument("out")
@click.option("--smoothing", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Add so many times the between-speaker covariance to the within-speaker one.")  # fmt: skip
@options.binary()
@options.quiet
def copy(plda: str, out: str, smoothing: float, binary: bool) -> None:
    """Write a PLDA again, smoothed, in binary or text (Kaldi's ivector-copy-plda)."""
    from csc_cli.backend.train import copy_plda
    from csc_cli.progress import note

    note(copy_plda(plda, out, smoothing=smoothing, binary=binary))
