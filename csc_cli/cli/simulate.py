"""`csc simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from csc_cli.cli import options


class NumberOrRange(click.ParamType):
    """`2` or `1-3`."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, int]:
        low, dash, high = str(value).partition("-")
        if low.isdecimal() and int(low) >= 1 and (not dash or (high.isdecimal() and int(high) >= int(low))):
            return (int(low), int(high)) if dash else int(low)
        return self.fail(f"'{value}': write a number of at least 1, or two as 1-3", param, ctx)


@click.command(
    epilog=options.examples(
        "csc simulate --write-audio --nj 2 data/dev data/dev_2mix",
        "csc simulate --num 1000 --set sir_db=[0,0] --set noise.probability=0 data/dev data/dev_0dB",
        "csc simulate --config conf/mixtures/default.yaml --talkers 3 --seed 7 data/train data/train_3mix",
        "csc simulate --noises data/musan_noise --rooms data/rirs --talkers 1-3 --write-audio data/dev data/dev_far",
        "csc simulate --plan data/dev_2mix/mix.jsonl data/dev data/dev_again",
        "csc simulate --write-audio --format flac --skip-bad --nj 8 data/train data/train_2mix",
    )
)
@options.existing("data")
@options.output("out")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings (conf/mixtures); without it the defaults, with whole utterances in place of crops.",
)  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any key of the settings; repeatable.")
@click.option("--num", type=click.IntRange(min=1), help="Mixtures.  [default: as many as DATA has utterances]")
@click.option(
    "--talkers", type=NumberOrRange(), default="2", show_default=True, metavar="N|LOW-HIGH",
    help="In each mixture; of 1-3, each number is as likely.",
)  # fmt: skip
@click.option(
    "--noises", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DATA2",
    help="Data directory of noises, in place of generated noise (noise.data).",
)  # fmt: skip
@click.option(
    "--rooms", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DATA3",
    help="Data directory of impulse responses, utt2spk naming the room of each (room.data).",
)  # fmt: skip
@click.option("--write-audio", is_flag=True, help="Write wav.scp, spk1.scp, spk2.scp, noise1.scp and the audio.")
@click.option(
    "--plan", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the audio of this mix.jsonl; no other setting counts.",
)  # fmt: skip
@click.option(
    "--format", "ending", type=click.Choice(["wav", "flac"]), default="wav", show_default=True,
    help="Of the audio: 16-bit samples, scaled where a peak would leave full scale (utt2scale).",
)  # fmt: skip
@click.option("--float", "unrounded", is_flag=True, help="32-bit float wav: nothing is rounded or scaled.")
@click.option(
    "--skip-bad", is_flag=True,
    help="Leave out mixtures whose sources cannot be used, list them in OUT/skipped, end with status 0."
    "  [default: stop at the first]",
)  # fmt: skip
@click.option("--no-resample", is_flag=True, help="Refuse recordings of another sampling rate than the mixtures'.")
@options.seed
@options.nj
@options.no_pipes
@options.quiet
def simulate(
    data: Path, out: Path, config: Path | None, overrides: tuple[str, ...], num: int | None,
    talkers: int | tuple[int, int], noises: Path | None, rooms: Path | None,
    write_audio: bool, plan: Path | None, ending: Literal["wav", "flac"], unrounded: bool, skip_bad: bool,
    no_resample: bool, seed: int, nj: int,
) -> None:  # fmt: skip
    """Mix the utterances of DATA: OUT/mix.jsonl describes each mixture, and OUT is a Kaldi data directory.

    The same seed gives the same mixtures. A folder that is whole is left as it is, one that was interrupted is
    gone on with.
    """
    from functools import partial

    from csc_cli.mixtures.simulate import Product, load_settings, render_plan, simulate_data_dir, with_folders
    from csc_cli.mixtures.surroundings import Surroundings
    from csc_cli.mixtures.write import AudioFormat

    product = Product(form=AudioFormat(ending, unrounded), resample=not no_resample, skip_bad=skip_bad)
    if plan is not None:
        surroundings = Surroundings(str(noises) if noises else None, str(rooms) if rooms else None)
        click.echo(render_plan(data, out, plan, surroundings=surroundings, product=product, nj=nj))
        return
    settings = with_folders(load_settings(config, overrides), noises, rooms)
    simulate_data = partial(simulate_data_dir, data, out, settings, product=product, nj=nj)
    click.echo(simulate_data(count=num, talkers=talkers, seed=seed, audio=write_audio))
