"""`csc prepare`: corpora into Kaldi data directories."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.group()
def prepare() -> None:
    """Make Kaldi data directories of a corpus.

    They are DATA/train, DATA/dev and DATA/test with disjoint speakers, or the corpus's own parts by their names. With
    --download, what is missing is downloaded to SRC first. Utterance ids begin with the speaker's id.
    'csc trials DATA/test OUT' then draws enrollment and trials.
    """


corpus_folder = click.argument("src", type=click.Path(path_type=Path))
download_option = click.option(
    "--download", is_flag=True, help="Download to SRC what is not there yet; resumed where it stopped, and checked."
)
mirror = click.option("--mirror", metavar="URL", help="A folder of another server that has the files to download.")


@prepare.command(
    epilog=options.examples(
        "csc prepare synth --nj 2 data", "csc prepare synth --train-speakers 100 --utterances 5 --seed 7 data/small"
    )
)
@options.output("data")
@click.option("--train-speakers", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--dev-speakers", type=click.IntRange(min=0), default=20, show_default=True)
@click.option("--test-speakers", type=click.IntRange(min=0), default=40, show_default=True)
@click.option(
    "--utterances", type=click.IntRange(1, 1000), default=10, show_default=True, help="Of each speaker; 3 to 6 s each."
)
@options.seed
@options.nj
@options.quiet
def synth(
    data: Path, train_speakers: int, dev_speakers: int, test_speakers: int, utterances: int, seed: int, nj: int
) -> None:
    """Synthetic speakers at 8 kHz, spoken by the espeak-ng library (pip install espeakng-loader).

    Each speaker is a random voice; each utterance varies in pitch, rate, level, equaliser, band and noise, and
    no sentence is used twice. A rerun makes only what is missing.
    """
    from csc_cli.corpora.synth import prepare_synth

    speakers = {"train": train_speakers, "dev": dev_speakers, "test": test_speakers}
    click.echo(prepare_synth(data, speakers, utterances, seed, nj))


@prepare.command(
    epilog=options.examples(
        "csc prepare speechocean762 /corpora/speechocean762 data",
        "csc prepare speechocean762 --dev-speakers 24 /corpora/speechocean762 data",
    )
)
@options.existing("src")
@options.output("data")
@click.option(
    "--dev-speakers", type=click.FloatRange(min=0), default=0, show_default=True,
    help="Taken from the train speakers; a number, or a fraction below 1.",
)  # fmt: skip
@options.seed
def speechocean762(src: Path, data: Path, dev_speakers: float, seed: int) -> None:
    """The corpus speechocean762 (https://www.openslr.org/101), unpacked in SRC.

    DATA/test is the corpus's test, DATA/train its train; with --dev-speakers some of train's speakers, drawn by
    the seed and spread evenly over sexes and ages, become DATA/dev instead. The recordings stay where they are and
    are read at their 16 kHz.
    """
    from csc_cli.corpora.speechocean762 import prepare_speechocean762

    click.echo(prepare_speechocean762(src, data, dev_speakers, seed))


@prepare.command(
    epilog=options.examples(
        "csc prepare folder recordings data", "csc prepare folder --dev-speakers 5 --test-speakers 20 recordings data"
    )
)
@options.existing("src")
@options.output("data")
@click.option(
    "--dev-speakers", type=click.FloatRange(min=0), default=0.1, show_default=True,
    help="A number, or a fraction of all speakers below 1.",
)  # fmt: skip
@click.option(
    "--test-speakers", type=click.FloatRange(min=0), default=0.2, show_default=True,
    help="A number, or a fraction of all speakers below 1.",
)  # fmt: skip
@options.seed
def folder(src: Path, data: Path, dev_speakers: float, test_speakers: float, seed: int) -> None:
    """Any tree SRC/SPEAKER/.../NAME.wav (or .flac, .ogg); the seed draws who goes into which part.

    Ids are SPEAKER-REST-OF-PATH, where characters other than letters, digits, '.', '_' (and '-' after the
    speaker) become '_'.
    """
    from csc_cli.corpora.folder import prepare_folder

    click.echo(prepare_folder(src, data, dev_speakers, test_speakers, seed))


@prepare.command(
    epilog=options.examples(
        "csc prepare librispeech /corpora/LibriSpeech data",
        "csc prepare librispeech --download --subset train-clean-100 --subset test-clean corpora data",
    )
)
@corpus_folder
@options.output("data")
@click.option(
    "--subset", "subsets", multiple=True, metavar="NAME",
    help="Such as train-clean-100; repeatable.  [default: those that are there]",
)  # fmt: skip
@download_option
@mirror
@options.quiet
def librispeech(src: Path, data: Path, subsets: tuple[str, ...], download: bool, mirror: str | None) -> None:
    """LibriSpeech (https://www.openslr.org/12 and /31), unpacked in SRC: a data directory DATA/SUBSET for each subset.

    With text, spk2gender and utt2chapter; a reader is a speaker. 'csc data combine' joins subsets.
    """
    from csc_cli.corpora.librispeech import download_librispeech, prepare_librispeech

    if download:
        download_librispeech(src, subsets, mirror)
    click.echo(prepare_librispeech(src, data, subsets))
