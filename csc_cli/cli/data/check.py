"""`csc data validate | fix | stats`: what is in a data directory, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options
from csc_cli.errors import DataError

no_audio = click.option("--no-audio", is_flag=True, help="Do not open the recordings.")
read_audio = click.option("--read-audio", is_flag=True, help="Read every recording to its end, not only its header.")
no_spk_sort = click.option("--no-spk-sort", is_flag=True, help="Speakers need not ascend in utt2spk.")
non_print = click.option("--non-print", is_flag=True, help="Let control characters and odd white space in text pass.")


@click.command(
    epilog=options.examples(
        "csc data validate data/train",
        "csc data validate --read-audio --nj 4 data/train",
        "csc data validate --no-audio --require text --require feats.scp data/train",
        "csc data validate --json data/train",
    )
)
@options.existing("directory")
@no_audio
@read_audio
@click.option("--json", "as_json", is_flag=True, help="One JSON list on standard output instead of lines.")
@click.option("--require", multiple=True, metavar="NAME", help="A file that must be there; may be repeated.")
@click.option("--no-wav", is_flag=True, help="wav.scp need not be there.")
@no_spk_sort
@non_print
@click.option("--no-text", is_flag=True, help="Kaldi's option; here text need not be there anyway.")
@click.option("--no-feats", is_flag=True, help="Kaldi's option; here feats.scp need not be there anyway.")
@options.no_pipes
@options.nj
@options.quiet
def validate(
    directory: Path,
    no_audio: bool,
    read_audio: bool,
    as_json: bool,
    require: tuple[str, ...],
    no_wav: bool,
    no_spk_sort: bool,
    non_print: bool,
    no_text: bool,
    no_feats: bool,
    nj: int,
) -> None:
    """List all faults of the data directory DIRECTORY, each with its file, line and remedy.

    The exit status is 0 only where there is none.
    """
    from csc_cli.kaldi.checks import Asked, check_data_dir, listing

    asked = Asked(not no_audio, read_audio, not no_wav, not no_spk_sort, non_print, require, nj)
    faults = check_data_dir(directory, asked=asked)
    if as_json or faults:
        click.echo(listing(faults, as_json))
    else:
        click.echo(f"{directory}: no faults")
    if faults:
        raise DataError(f"{directory}: faults: {len(faults)}; mend each as its line says, or see 'csc data fix --help'")


@click.command(
    epilog=options.examples(
        "csc data fix data/train",
        "csc data fix --no-audio --no-spk-sort data/train",
        "csc data fix --utt-extra-files 'my.notes' data/train",
    )
)
@options.existing("directory")
@no_audio
@read_audio
@click.option("--utt-extra-files", default="", metavar="'NAME ...'", help="Other tables by utterance to mend.")
@click.option("--spk-extra-files", default="", metavar="'NAME ...'", help="Other tables by speaker to mend.")
@no_spk_sort
@non_print
@options.no_pipes
@options.nj
@options.quiet
def fix(
    directory: Path,
    no_audio: bool,
    read_audio: bool,
    utt_extra_files: str,
    spk_extra_files: str,
    no_spk_sort: bool,
    non_print: bool,
    nj: int,
) -> None:
    """Leave in DIRECTORY what is sound in all its files, sorted as with LC_ALL=C, and tell what is dropped.

    Damaged lines go, then the utterances that a table lacks; spk2utt is made of utt2spk. Files that change are
    copied to DIRECTORY/.backup first. The exit status is 0 only where nothing is left to mend by hand.
    """
    from csc_cli.kaldi.checks import Asked, listing
    from csc_cli.kaldi.edit.fix import fix_data_dir

    asked = Asked(not no_audio, read_audio, spk_sort=not no_spk_sort, non_print=non_print, nj=nj)
    fixed = fix_data_dir(directory, asked, utt_extra_files.split(), spk_extra_files.split())
    click.echo(str(fixed))
    if fixed.left:
        raise DataError(listing(fixed.left))


@click.command(
    epilog=options.examples("csc data stats data/train", "csc data stats --no-audio --json data/train > stats.json")
)
@options.existing("directory")
@no_audio
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines for people.")
@options.no_pipes
@options.nj
@options.quiet
def stats(directory: Path, no_audio: bool, as_json: bool, nj: int) -> None:
    """Count what the data directory DIRECTORY holds: utterances, speakers, hours, rates.

    Durations are from utt2dur, else segments, else the recordings' headers.
    """
    from csc_cli.kaldi.edit.stats import stats_of_data_dir

    found = stats_of_data_dir(directory, not no_audio, nj)
    click.echo(found.to_json() if as_json else str(found))
