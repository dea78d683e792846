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
        "csc prepare speechocean762 --download corpora data",
    )
)
@corpus_folder
@options.output("data")
@click.option(
    "--dev-speakers", type=click.FloatRange(min=0), default=0, show_default=True,
    help="Taken from the train speakers; a number, or a fraction below 1.",
)  # fmt: skip
@download_option
@click.option("--sha256", metavar="DIGEST", help="What the downloaded archive must be; none is published.")
@mirror
@options.seed
@options.quiet
def speechocean762(
    src: Path, data: Path, dev_speakers: float, download: bool, sha256: str | None, mirror: str | None, seed: int
) -> None:
    """The corpus speechocean762 (https://www.openslr.org/101), unpacked in SRC.

    DATA/test is the corpus's test, DATA/train its train; with --dev-speakers some of train's speakers, drawn by
    the seed and spread evenly over sexes and ages, become DATA/dev instead. The recordings stay where they are and
    are read at their 16 kHz.
    """
    from csc_cli.corpora.speechocean762 import download_speechocean762, prepare_speechocean762

    if download:
        download_speechocean762(src, sha256, mirror)
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


@prepare.command(
    epilog=options.examples(
        "csc prepare voxceleb /corpora/voxceleb data",
        "csc prepare voxceleb --download --part voxceleb1_test corpora/voxceleb data",
    )
)
@corpus_folder
@options.output("data")
@click.option("--part", "parts", multiple=True, metavar="NAME", help="What to download, such as voxceleb1_test.")
@download_option
@mirror
@options.quiet
def voxceleb(src: Path, data: Path, parts: tuple[str, ...], download: bool, mirror: str | None) -> None:
    """VoxCeleb 1 and 2 and their lists of trials (https://www.robots.ox.ac.uk/~vgg/data/voxceleb).

    SRC has VoxCeleb1 or 2, or both in folders voxceleb1 and voxceleb2. Makes DATA/voxceleb1_dev, voxceleb1_test,
    voxceleb2_dev, voxceleb2_test, as far as they are there, and, for the lists O, E and H, DATA/voxceleb1_o,
    voxceleb1_e and voxceleb1_h with Kaldi's trials and the published file. Recordings in .m4a are read through ffmpeg.
    """
    from csc_cli.corpora.voxceleb import prepare_voxceleb
    from csc_cli.corpora.voxceleb_download import download_voxceleb

    if download:
        download_voxceleb(src, parts, mirror)
    click.echo(prepare_voxceleb(src, data))


@prepare.command(
    epilog=options.examples(
        "csc prepare musan /corpora/musan data/musan", "csc prepare musan --download corpora data/musan"
    )
)
@corpus_folder
@options.output("data")
@download_option
@mirror
@options.quiet
def musan(src: Path, data: Path, download: bool, mirror: str | None) -> None:
    """MUSAN (https://www.openslr.org/17): noise, music and speech to mix with, in DATA/noise, DATA/music, DATA/speech.

    Each recording is an utterance and its own speaker; utt2kind says what it is.
    """
    from csc_cli.corpora.musan import download_musan, prepare_musan

    if download:
        download_musan(src, mirror)
    click.echo(prepare_musan(src, data))


@prepare.command(
    "rirs_noises",
    epilog=options.examples(
        "csc prepare rirs_noises /corpora/RIRS_NOISES data/rirs",
        "csc prepare rirs_noises --download corpora data/rirs",
    ),
)
@corpus_folder
@options.output("data")
@download_option
@mirror
@options.quiet
def rirs_noises(src: Path, data: Path, download: bool, mirror: str | None) -> None:
    """RIRS_NOISES (https://www.openslr.org/28): rooms and noises.

    DATA/simulated_rirs and DATA/real_rirs have an impulse response an utterance and a room a speaker;
    DATA/pointsource_noises and DATA/isotropic_noises have noises. utt2kind and utt2room say what and where.
    """
    from csc_cli.corpora.rirs_noises import download_rirs_noises, prepare_rirs_noises

    if download:
        download_rirs_noises(src, mirror)
    click.echo(prepare_rirs_noises(src, data))


@prepare.command(
    epilog=options.examples(
        "csc prepare librimix /corpora/storage data/libri2mix",
        "csc prepare librimix --talkers 3 --rate 16000 --type mix_both --set test /corpora/storage data/libri3mix",
    )
)
@corpus_folder
@options.output("data")
@click.option("--talkers", type=click.IntRange(min=1), default=2, show_default=True, help="2 or 3 are published.")
@click.option("--rate", type=click.Choice(["8000", "16000"]), default="8000", show_default=True, help="Hz.")
@click.option(
    "--mode", type=click.Choice(["min", "max"]), default="min", show_default=True,
    help="As long as the shortest or as the longest source.",
)  # fmt: skip
@click.option(
    "--type", "kind", type=click.Choice(["mix_clean", "mix_both", "mix_single"]), default="mix_clean",
    show_default=True, help="Talkers; talkers and noise; the first talker and noise.",
)  # fmt: skip
@click.option(
    "--set", "sets", multiple=True, type=click.Choice(["train-100", "train-360", "dev", "test"]),
    default=["dev", "test"], show_default=True, help="Repeatable.",
)  # fmt: skip
@download_option
@mirror
@options.quiet
def librimix(
    src: Path, data: Path, talkers: int, rate: str, mode: str, kind: str, sets: tuple[str, ...], download: bool,
    mirror: str | None,
) -> None:  # fmt: skip
    """LibriMix (https://github.com/JorisCos/LibriMix) as plans: DATA/SET/mix.jsonl, to train on or to be rendered.

    SRC has LibriSpeech, wham_noise and LibriMix's metadata. DATA/SET/sources and DATA/SET/noises are the data
    directories of what is mixed: 'csc simulate --plan DATA/test/mix.jsonl DATA/test/sources OUT' writes the mixtures.
    """
    from csc_cli.corpora.librimix import Version, prepare_librimix
    from csc_cli.corpora.librimix_download import download_librimix

    version = Version(talkers, int(rate), "min" if mode == "min" else "max", kind)
    if download:
        download_librimix(src, version, sets, mirror)
    click.echo(prepare_librimix(src, data, version, sets))
