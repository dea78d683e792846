"""`csc lda`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.group()
def lda() -> None:
    """Linear discriminant analysis."""


@lda.command(
    epilog=options.examples(
        "csc lda train --dim 150 --total-covariance-factor 0.1 scp:train.scp data/train/utt2spk transform.mat",
        "csc lda train --mean mean.vec --dim 16 scp:train.scp ark:data/train/utt2spk transform.mat",
    )
)
@click.argument("vectors")
@options.source("utt2spk")
@click.argument("out")
@click.option("--dim", type=click.IntRange(min=1), default=100, show_default=True, help="Dimensions kept.")
@click.option("--total-covariance-factor", type=float, default=0.0, show_default=True,
              help="0: the covariance within speakers becomes the identity; 1: the total one.")  # fmt: skip
@click.option("--covariance-floor", type=float, default=1e-6, show_default=True,
              help="Least eigenvalue of that covariance, as a share of the largest.")  # fmt: skip
@options.chain
@options.binary()
@options.skip_missing
@options.no_pipes
@options.quiet
def train(
    vectors: str, utt2spk: Path | str, out: str, dim: int, total_covariance_factor: float, covariance_floor: float,
    binary: bool, skip_missing: bool, **chain: str,
) -> None:  # fmt: skip
    """Learn a projection from VECTORS and their speakers, and write the matrix OUT (Kaldi's ivector-compute-lda).

    Its last column is an offset that makes the mean zero.
    """
    from csc_cli.backend.lda import LDA
    from csc_cli.backend.settings import ChainSettings
    from csc_cli.backend.train import train_lda
    from csc_cli.progress import note

    model = LDA(dim=dim, total_covariance_factor=total_covariance_factor, covariance_floor=covariance_floor)
    settings = ChainSettings(**chain)  # type: ignore[arg-type]
    note(train_lda(vectors, utt2spk, out, model, settings, binary=binary, skip_missing=skip_missing))
