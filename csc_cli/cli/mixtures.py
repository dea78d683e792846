"""`csc mixtures`: folders of mixtures that are on disk already."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options
from csc_cli.errors import DataError


@click.group()
def mixtures() -> None:
    """Look after folders of mixtures; take those that others made, and give them to others."""


@mixtures.command(
    epilog=options.examples("csc mixtures check data/dev_2mix", "csc mixtures check --nj 4 data/trials/test")
)
@options.existing("directory")
@options.nj
@options.quiet
def check(directory: Path, nj: int) -> None:
    """Compare a folder of mixtures with its checksums.

    DIRECTORY was made by csc simulate, or is a part of what csc trials made; its sha256sums says what was written. Each
    file that is gone or not what was written is a line. The exit status is 0 only where there is none.
    """
    from csc_cli.mixtures.checksums import check_sums

    total, faults = check_sums(directory, nj)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise DataError(f"{directory}: {len(faults)} of {total} files are not what was written")
    click.echo(f"{directory}: {total} files are what was written")


@mixtures.command(
    "import",
    epilog=options.examples(
        "csc mixtures import --mixture mix_clean Libri2Mix/wav8k/min/test data/libri2mix_test",
        "csc mixtures import Libri2Mix/wav8k/min/metadata/mixture_test_mix_both.csv data/libri2mix_test",
        "csc mixtures import espnet/egs2/wsj0_2mix/enh1/data/tt_min_8k data/wsj0_2mix_tt",
    ),
)
@options.existing("src")
@options.output("out")
@click.option(
    "--mixture", metavar="NAME", help="The folder of mixtures within SRC, where there are several: mix_clean, mix_both."
)
@options.listed("--utt2spks", help="Lines 'MIXTURE SPEAKER ...': who is heard.  [default: what SRC or its ids say]")
@click.option("--no-audio", is_flag=True, help="Do not read the headers of the recordings.")
@options.nj
@options.no_pipes
@options.quiet
def import_(src: Path, out: Path, mixture: str | None, utt2spks: Path | None, no_audio: bool, nj: int) -> None:
    """Make a data directory of mixtures of LibriMix's, wsj0-2mix's or ESPnet's.

    OUT gets wav.scp, spk1.scp, spk2.scp, ... and utt2spks. SRC is a data directory of ESPnet's enhancement recipes; a
    folder that has mix*, s1, s2, ... and perhaps noise (LibriMix, WHAM, wsj0-2mix); or a mixture_*.csv of LibriMix. No
    audio is copied. csc separate, csc extract --sources and csc evaluate take OUT.
    """
    from csc_cli.mixtures.ready import import_mixtures

    click.echo(import_mixtures(src, out, mixture=mixture, utt2spks=utt2spks, check=not no_audio, nj=nj))


@mixtures.command(
    epilog=options.examples(
        "csc mixtures export data/dev_2mix espnet/egs2/mine/enh1/data/dev",
        "csc mixtures export --text data/dev/text data/dev_2mix espnet/egs2/mine/enh_asr1/data/dev",
    )
)
@options.existing("directory")
@options.output("out")
@options.listed("--text", help="Transcripts of the utterances that were mixed, for text_spk1, text_spk2, ...")
@options.no_pipes
def export(directory: Path, out: Path, text: Path | None) -> None:
    """Make the data directory that ESPnet's enhancement recipes read.

    OUT, of the mixtures in DIRECTORY, has wav.scp, spk1.scp, spk2.scp, ..., noise1.scp, utt2spk and spk2utt, each with
    all mixtures and with absolute names. No audio is copied.
    """
    from csc_cli.mixtures.espnet import export_espnet

    click.echo(export_espnet(directory, out, text))
