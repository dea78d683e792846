"""`csc vad`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from csc_cli.cli import options


def _read_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    """A file of Kaldi's options gives the defaults; what is typed counts more."""
    if path is not None:
        from csc_cli.kaldi.options import read_options

        known = [option.name or "" for option in ctx.command.params if isinstance(option, click.Option)]
        ctx.default_map = {**(ctx.default_map or {}), **read_options(path, known)}


@click.command(
    epilog=options.examples(
        "csc vad --nj 4 data/train",
        "csc vad --config conf/vad.conf data/train exp/vad",
        "csc vad --vad-energy-threshold 5.5 --vad-frames-context 2 --vad-proportion-threshold 0.12 data/train",
    )
)
@options.existing("data")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), callback=_read_config, is_eager=True,
    expose_value=False, metavar="FILE", help="Kaldi's option file: lines --vad-energy-threshold=5.5.",
)  # fmt: skip
@click.option(
    "--source", type=click.Choice(["auto", "feats", "audio"]), default="auto", show_default=True,
    help="Column 0 of DATA/feats.scp, or the log energy of the audio; auto: feats where there is a feats.scp.",
)  # fmt: skip
@click.option("--vad-energy-threshold", type=float, default=5.0, show_default=True, help="Log energy of speech.")
@click.option(
    "--vad-energy-mean-scale", type=float, default=0.5, show_default=True,
    help="So many times the utterance's mean log energy is added to the threshold.",
)  # fmt: skip
@click.option(
    "--vad-frames-context", type=int, default=0, show_default=True, help="Frames on each side that are asked, too."
)
@click.option(
    "--vad-proportion-threshold", type=float, default=0.6, show_default=True,
    help="Share of the frames asked that must be above the threshold.",
)  # fmt: skip
@click.option("--omit-unvoiced-utts", type=bool, default=False, show_default=True, help="Leave them out of vad.scp.")
@click.option("--frame-length", type=float, default=25.0, show_default=True, help="Milliseconds, of audio.")
@click.option("--frame-shift", type=float, default=10.0, show_default=True, help="Milliseconds, of audio.")
@click.option(
    "--snip-edges", type=bool, default=True, show_default=True,
    help="Frames lie within the audio; false: they are centred, one each frame shift.",
)  # fmt: skip
@click.option(
    "--dither", type=float, default=1.0, show_default=True, help="The mean energy of Kaldi's dither; nothing random."
)
@options.no_pipes
@options.nj
@options.quiet
def vad(data: Path, out: Path | None, source: Any, omit_unvoiced_utts: bool, nj: int, **settings: Any) -> None:
    """Decide by energy which frames of DATA's utterances are speech: DATA/vad.scp, and vad.ark in OUT or DATA.

    This is Kaldi's compute-vad with its options and defaults: 1 for a voiced frame, 0 for another. Without feats.scp
    it decides on the audio's log energy, which is the first coefficient of Kaldi's MFCC as they are by default.
    """
    from csc_cli.kaldi.vad import FrameConfig, VadConfig
    from csc_cli.kaldi.vad_files import vad_data_dir

    names = ("energy_threshold", "energy_mean_scale", "frames_context", "proportion_threshold")
    decisions = VadConfig(**{name: settings[f"vad_{name}"] for name in names})
    frames = FrameConfig(settings["frame_length"], settings["frame_shift"], settings["snip_edges"], settings["dither"])
    done = vad_data_dir(
        data, source=source, vad=decisions, frames=frames, out_dir=out, omit_unvoiced=omit_unvoiced_utts, nj=nj
    )
    click.echo(done)
