"""`csc separate`."""

from __future__ import annotations

from pathlib import Path

import click

from csc_cli.cli import options


@click.command(
    epilog=options.examples(
        "csc separate exp/csc data/test exp/csc/separated",
        "csc separate --float --utt2cond data/trials/utt2cond exp/csc data/trials/test exp/csc/separated",
        "csc separate --reference data/mix_references exp/csc data/mix exp/csc/separated",
    )
)
@options.existing("model")
@options.existing("data")
@options.output("out")
@click.option(
    "--reference", type=click.Path(exists=True, path_type=Path), metavar="DIR|SPK1_SCP",
    help="Where spk1.scp, spk2.scp of the single talkers lie.  [default: DATA, where it has them]",
)  # fmt: skip
@click.option(
    "--utt2cond", type=options.Source(), metavar="FILE",
    help="Lines 'UTT CONDITION': means by condition.",
)  # fmt: skip
@click.option("--float", "unrounded", is_flag=True, help="32-bit float wavs, for measuring; Kaldi reads 16-bit ones.")
@options.batch_seconds
@options.nj
@options.device
@options.no_pipes
@options.quiet
def separate(
    model: Path, data: Path, out: Path, reference: Path | None, utt2cond: Path | str | None, batch_seconds: float,
    nj: int, device: str, unrounded: bool,
) -> None:  # fmt: skip
    """Write one wav a talker of each recording of DATA: OUT/spk1/UTT.wav, OUT/spk2/UTT.wav, ..., and spk1.scp, ...

    They have the recording's length and sampling rate. Where the single talkers are known, the SI-SNR and its gain
    over the mixture are printed and written to OUT/si_snr.json, with a list by recording.
    """
    from csc_cli.extraction.separate import separate_data_dir
    from csc_cli.metrics.separation_files import measure_data_dir

    done = separate_data_dir(model, data, out, batch_seconds=batch_seconds, nj=nj, device=device, unrounded=unrounded)
    click.echo(done)
    measured = measure_data_dir(out, data, reference, utt2cond)
    if measured is not None:
        click.echo(measured)
