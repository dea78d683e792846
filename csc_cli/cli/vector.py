"""`csc vector`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.group()
def vector() -> None:
    """Average, centre, scale and project tables of vectors."""


@vector.command(
    epilog=options.examples(
        "csc vector mean scp:train.scp mean.vec",
        "csc vector mean data/enroll/spk2utt scp:enroll.scp ark,scp:spk_xvector.ark,spk_xvector.scp ark,t:num_utts.ark",
    )
)
@click.argument("arguments", nargs=-1, required=True, metavar="[SPK2UTT] VECTORS OUT [NUM_UTTS]")
@options.binary(default=False, help="A mean alone: in Kaldi's binary form, or in text.")
@options.skip_missing
@options.no_pipes
@options.quiet
def mean(arguments: tuple[str, ...], binary: bool, skip_missing: bool) -> None:
    """Write the mean of all VECTORS to the file OUT; or, with SPK2UTT, the mean of each speaker to the table OUT.

    NUM_UTTS is a table of how many utterances each mean is of, which 'csc score plda' takes. As Kaldi's ivector-mean.
    """
    from csc_cli.backend.vectors import mean_vector, speaker_means
    from csc_cli.progress import note

    if len(arguments) not in (2, 3, 4):
        raise click.UsageError(f"{len(arguments)} arguments; give [SPK2UTT] VECTORS OUT [NUM_UTTS]")
    if len(arguments) == 2:
        note(mean_vector(*arguments, binary=binary))
    else:
        note(speaker_means(*arguments, skip_missing=skip_missing))


@vector.command(
    epilog=options.examples(
        "csc vector subtract-mean mean.vec scp:test.scp ark,scp:centred.ark,centred.scp",
        "csc vector subtract-mean scp:test.scp ark:- | csc vector normalize-length ark:- ark:normalised.ark",
    )
)
@click.argument("arguments", nargs=-1, required=True, metavar="[MEAN] VECTORS OUT")
@options.no_pipes
@options.quiet
def subtract_mean(arguments: tuple[str, ...]) -> None:
    """Write VECTORS less MEAN, or less their own mean, to the table OUT (Kaldi's ivector-subtract-global-mean)."""
    from csc_cli.backend.vectors import subtract_mean as subtract
    from csc_cli.progress import note

    if len(arguments) not in (2, 3):
        raise click.UsageError(f"{len(arguments)} arguments; give [MEAN] VECTORS OUT")
    *mean, vectors, out = arguments
    note(subtract(mean[0] if mean else None, vectors, out))


@vector.command(epilog=options.examples("csc vector normalize-length --scaleup false scp:test.scp ark:unit.ark"))
@click.argument("vectors")
@click.argument("out")
@click.option("--scaleup", type=bool, default=True, show_default=True, metavar="true|false",
              help="To length sqrt(dimension), not 1.")  # fmt: skip
@options.no_pipes
@options.quiet
def normalize_length(vectors: str, out: str, scaleup: bool) -> None:
    """Write VECTORS scaled to length sqrt(dimension) to the table OUT (Kaldi's ivector-normalize-length)."""
    from csc_cli.backend.vectors import normalize_length as normalize
    from csc_cli.progress import note

    note(normalize(vectors, out, scaleup=scaleup))


@vector.command(epilog=options.examples("csc vector transform transform.mat scp:test.scp ark:projected.ark"))
@click.argument("matrix")
@click.argument("vectors")
@click.argument("out")
@options.no_pipes
@options.quiet
def transform(matrix: str, vectors: str, out: str) -> None:
    """Write VECTORS projected by MATRIX to the table OUT (Kaldi's ivector-transform).

    A MATRIX of one column more than the vectors have values has an offset as its last column.
    """
    from csc_cli.backend.vectors import transform as project
    from csc_cli.progress import note

    note(project(matrix, vectors, out))


@vector.command(
    epilog=options.examples(
        "csc vector choose-streams --mean mean.vec data/enroll/spk2utt x/utt2streams x/xvector.scp chosen.spk2utt",
        "csc vector choose-streams --threshold 0.3 --report chosen.txt spk2utt utt2streams xvector.scp chosen.spk2utt",
    )
)
@options.source("spk2utt")
@options.source("utt2streams")
@click.argument("vectors")
@options.output("out")
@click.option("--threshold", type=float, default=0.0, show_default=True,
              help="Leave out recordings whose stream has a smaller mean cosine with the others'.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE",
              help="Lines 'SPEAKER RECORDING STREAM COSINE chosen|left-out'.")  # fmt: skip
@options.chain
@options.no_pipes
@options.quiet
def choose_streams(
    spk2utt: Path | str, utt2streams: Path | str, vectors: str, out: Path, threshold: float, report: Path | None,
    **chain: str,
) -> None:  # fmt: skip
    """Choose one stream of each recording of several talkers, for enrollment, and write a SPK2UTT of streams to OUT.

    The streams of a speaker's recordings that are most alike are taken: the talker whom all recordings have in common.
    Recordings of which no stream is like the others' are left out and named; a speaker of whom no two recordings agree
    makes the status 1.
    """
    from csc_cli.backend.choose import choose_streams as choose
    from csc_cli.backend.settings import ChainSettings
    from csc_cli.progress import note

    settings = ChainSettings(**chain)  # type: ignore[arg-type]
    note(choose(spk2utt, utt2streams, vectors, out, threshold=threshold, report=report, settings=settings))
