"""`csc trials`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc trials --nj 2 data/test data/trials",
        "csc trials --set tests=5 --set sir_db=[0] --seed 7 data/test data/trials_small",
        "csc trials --config conf/mixtures/trials.yaml data/test data/trials",
        "csc trials --set talkers=[2,3] --set overlap=[0.25,0.5,1] --set noise_snr_db=[10] data/test data/trials_hard",
        "csc trials --set matched=[sex,age] --interferers data/others data/test data/trials_others",
    )
)
@options.existing("data")
@options.output("out")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings (see conf/mixtures/trials.yaml, which has the defaults).",
)  # fmt: skip
@click.option(
    "--interferers", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DATA2",
    help="Other people, who alone interfere and are never enrolled.  [default: DATA's own speakers]",
)  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Any key of the settings; repeatable.")
@click.option(
    "--write-audio/--no-write-audio", default=True, show_default=True,
    help="Write the recordings, or only enroll/mix.jsonl and test/mix.jsonl.",
)  # fmt: skip
@options.seed
@options.nj
@options.no_pipes
@options.quiet
def trials(
    data: Path, out: Path, config: Path | None, interferers: Path | None, overrides: tuple[str, ...],
    write_audio: bool, seed: int, nj: int,
) -> None:  # fmt: skip
    """Draw a speaker verification test from DATA: OUT/enroll, OUT/test, OUT/trials, OUT/utt2cond.

    Enrollment is on clean recordings; tests are clean, and mixed with another speaker at +5, 0 and -5 dB; settings
    add three talkers, overlaps, noise, cuts. Each recording has its own random equaliser and band limit. A trial is a
    target if the enrolled speaker is heard anywhere in the recording; with matched=[sex,age] its nontargets are
    speakers of like sex and age (DATA/spk2gender, spk2age). OUT/README.md says how it was made, with checksums.
    """
    from csc_cli import config as configs
    from csc_cli.mixtures.protocol import make_trials
    from csc_cli.mixtures.settings import TrialsConfig

    if config is None:
        settings = configs.loads(TrialsConfig, "", "defaults", overrides)
    else:
        settings = configs.load(TrialsConfig, config, overrides)
    click.echo(make_trials(data, out, settings, seed=seed, interferers=interferers, audio=write_audio, nj=nj))
