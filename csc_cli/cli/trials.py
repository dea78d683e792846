"""`csc trials`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc trials --nj 2 data/test data/trials",
        "csc trials --set tests=5 --set sir_db=[0] --seed 7 data/test data/trials_small",
        "csc trials --config conf/mixtures/trials.yaml data/test data/trials",
        "csc trials --set overlap=[0.25,0.5,1] --set noise_snr_db=[10] --set reverberation=true data/test data/hard",
        "csc trials --set matched=[sex,age] --interferers data/others data/test data/trials_others",
        "csc trials --from data/test/trials --preset s-vs-m data/test data/trials_s_vs_m",
        "csc trials --from veri_test2.txt --trials-format voxceleb --preset ns-sv data/voxceleb1 data/trials_ns_sv",
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
@click.option(
    "--from", "listed", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="TRIALS",
    help="Make the trials of this list, over DATA, harder, in place of drawing new ones.",
)  # fmt: skip
@click.option("--trials-format", type=click.Choice(["kaldi", "voxceleb"]), default="kaldi", show_default=True,
              help="Of --from: lines 'ENROLL TEST [target|nontarget]', or '1|0 ENROLL TEST'.")  # fmt: skip
@click.option(
    "--preset", metavar="NAME", help="With --from: s-vs-m, m-vs-m, m-vs-m-speaker or ns-sv (docs/mixtures.md)."
)
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
    data: Path, out: Path, config: Path | None, interferers: Path | None, listed: Path | None,
    trials_format: Literal["kaldi", "voxceleb"], preset: str | None, overrides: tuple[str, ...], write_audio: bool,
    seed: int, nj: int,
) -> None:  # fmt: skip
    """Draw a speaker verification test from DATA: OUT/enroll, OUT/test, OUT/trials, OUT/utt2cond.

    Enrollment is on clean recordings; tests are clean, and mixed with another speaker at +5, 0 and -5 dB; settings
    add three talkers, overlaps, noise, rooms. Each recording has its own random equaliser and band limit. A trial is a
    target if the enrolled speaker is heard anywhere in the recording; with matched=[sex,age] its nontargets are
    speakers of like sex and age (DATA/spk2gender, spk2age). OUT/README.md says how it was made, with checksums.

    With --from, the trials of a list that there is already are made in the conditions of a published protocol
    (--preset), or of a --config such as conf/mixtures/list.yaml.
    """
    from csc_cli.mixtures.listed_trials import make_listed_trials
    from csc_cli.mixtures.presets import list_settings
    from csc_cli.mixtures.protocol import load_settings, make_trials

    common: Any = {"seed": seed, "interferers": interferers, "audio": write_audio, "nj": nj}
    if listed is not None:
        protocol = list_settings(preset, config, overrides)
        given = make_listed_trials(listed, data, out, protocol, form=trials_format, preset=preset or "", **common)
        click.echo(given)
        return
    if preset is not None:
        raise click.UsageError("--preset: is for a list of trials; name it by --from")
    click.echo(make_trials(data, out, load_settings(config, overrides), **common))
