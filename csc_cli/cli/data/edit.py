"""`csc data subset | split | combine | copy`: new data directories of old ones."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options

HOW = ("first", "last", "shortest", "speakers", "per-spk")


def _ways(command: click.Command) -> click.Command:
    """The options that say how `csc data subset` chooses; two at once are refused."""
    helps = (
        "The first N utterances.",
        "The last N utterances.",
        "The N shortest: by utt2num_frames, else utt2dur, else segments, else the recordings' headers.",
        "Whole speakers, drawn by --seed, until there are N utterances.",
        "N utterances of each speaker, or all that there are.",
    )
    for name, text in reversed(list(zip(HOW, helps, strict=True))):
        command = click.option(f"--{name}", name.replace("-", "_"), is_flag=True, help=text)(command)
    return command


@click.command(
    epilog=options.examples(
        "csc data subset data/train 1000 data/train_1k",
        "csc data subset --speakers --seed 7 data/train 1000 data/train_some",
        "csc data subset --per-spk data/train 5 data/train_5each",
        "csc data subset --spk-list women.txt data/train data/train_women",
    )
)
@options.existing("directory")
@click.argument("number_out", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="[N] OUT")
@_ways
@options.listed("--utt-list", help="Only the utterances that begin the lines of FILE; without N.")
@options.listed("--spk-list", help="Only the speakers that begin the lines of FILE; without N.")
@options.seed
@options.quiet
def subset(
    directory: Path, number_out: tuple[Path, ...], utt_list: Path | None, spk_list: Path | None, seed: int, **ways: bool
) -> None:
    """Write N utterances of the data directory DIRECTORY to OUT, with all that its files say of them.

    They are spread evenly over the directory unless an option says otherwise. The choice is that of Kaldi's
    subset_data_dir.sh, --speakers too with seed 0.
    """
    from csc_cli.kaldi.edit.subset import Choice, subset_data_dir

    chosen = [name for name in HOW if ways[name.replace("-", "_")]]
    lists = [path for path in (utt_list, spk_list) if path is not None]
    if len(chosen) + len(lists) > 1:
        raise click.UsageError("give one of --first, --last, --shortest, --speakers, --per-spk, --utt-list, --spk-list")
    if len(number_out) != (1 if lists else 2):
        raise click.UsageError("give DIRECTORY N OUT, or with a list DIRECTORY OUT")
    number = None if lists else click.INT(str(number_out[0]))
    choice = Choice(number, chosen[0] if chosen else "spread", utt_list, spk_list, seed)  # type: ignore[arg-type]
    click.echo(subset_data_dir(directory, number_out[-1], choice))


@click.command(epilog=options.examples("csc data split data/train 8", "csc data split --per-utt data/train 8"))
@options.existing("directory")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--per-utt", is_flag=True, help="Ignore the speakers; the parts are in splitNutt.")
@options.quiet
def split(directory: Path, number: int, per_utt: bool) -> None:
    """Write NUMBER parts of the data directory DIRECTORY to DIRECTORY/splitNUMBER/1, 2, ...

    A speaker is in one part, and the parts are as equal as that allows, as by Kaldi's split_data.sh. Nothing is done
    where the parts are newer than the directory.
    """
    from csc_cli.kaldi.edit.split import split_data_dir

    click.echo(split_data_dir(directory, number, per_utt))


@click.command(
    epilog=options.examples(
        "csc data combine data/train_all data/train data/other",
        "csc data combine --extra-files 'utt2note spk2age' data/all data/a data/b data/c",
    )
)
@options.output("out")
@options.existing("directories", nargs=-1, required=True)
@click.option("--extra-files", default="", metavar="'NAME ...'", help="Further tables to merge, if all have them.")
@click.option("--skip-fix", is_flag=True, help="Keep utterances that a table lacks.")
@options.quiet
def combine(out: Path, directories: tuple[Path, ...], extra_files: str, skip_fix: bool) -> None:
    """Write one data directory OUT with the utterances of all DIRECTORIES.

    As Kaldi's combine_data.sh: segments, utt2uniq and reco2file_and_channel are made where only some have them; text,
    features and other tables that must be whole are combined if all have them. Entries that are equal in two
    directories count once; unlike ones are refused.
    """
    from csc_cli.kaldi.edit.combine import combine_data_dirs

    click.echo(combine_data_dirs(out, directories, extra_files.split(), skip_fix))


@click.command(
    epilog=options.examples(
        "csc data copy data/train data/train_copy", "csc data copy --spk-prefix a- --utt-prefix a- data/train data/a"
    )
)
@options.existing("directory")
@options.output("out")
@click.option("--utt-prefix", default="", metavar="TEXT", help="Put before each utterance's id.")
@click.option("--utt-suffix", default="", metavar="TEXT", help="Put behind each utterance's id.")
@click.option("--spk-prefix", default="", metavar="TEXT", help="Put before each speaker's id.")
@click.option("--spk-suffix", default="", metavar="TEXT", help="Put behind each speaker's id.")
@options.quiet
def copy(directory: Path, out: Path, **affixes: str) -> None:
    """Write the data directory DIRECTORY to OUT, under other ids if you like.

    Recordings keep their ids where there are segments. New ids of utterances come with utt2uniq, which says what
    each was.
    """
    from csc_cli.kaldi.edit.rename import Affixes, copy_data_dir

    click.echo(copy_data_dir(directory, out, Affixes(**affixes)))
