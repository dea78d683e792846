#!/usr/bin/env python3
"""Spectrograms of mixtures, of what csc made of them, and of the true sources, side by side.

    python3 tools/plot_separation.py data/trials/test exp/csc/separated OUT.png UTTERANCE...

The streams stand in the order that fits the sources best, with the SI-SNR improvement of each.
"""

from __future__ import annotations

import sys
from itertools import permutations
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from csc_cli.kaldi.audio import read_audio
from csc_cli.metrics.separation import si_snr


def table(path: Path) -> dict[str, str]:
    """KEY VALUE lines."""
    return dict(line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())


def draw(axes, samples: np.ndarray, rate: int, title: str) -> None:
    """One spectrogram, 70 dB deep below the loudest."""
    axes.specgram(samples + 1e-9, NFFT=256, noverlap=192, Fs=rate, vmin=-130, vmax=-60, cmap="magma")
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=6)


def main(data: Path, separated: Path, out: Path, *utterances: str) -> None:
    """Draw a row for each utterance."""
    names = {"mixture": table(data / "wav.scp")}
    for number in (1, 2):
        names[f"source {number}"] = table(data / f"spk{number}.scp")
        names[f"stream {number}"] = table(separated / f"spk{number}.scp")
    figure = Figure(figsize=(14, 2.2 * len(utterances)), layout="constrained")
    for row, utterance in zip(figure.subplots(len(utterances), 5, squeeze=False), utterances, strict=True):
        audio = {}
        for name, paths in names.items():
            audio[name], rate = read_audio(paths[utterance])
        sources = np.stack([audio["source 1"], audio["source 2"]])
        streams = np.stack([audio["stream 1"], audio["stream 2"]])
        order = max(permutations(range(2)), key=lambda order: si_snr(streams[list(order)], sources).sum())
        gains = si_snr(streams[list(order)], sources) - si_snr(audio["mixture"][None], sources)
        draw(row[0], audio["mixture"], rate, f"{utterance}: mixture")
        for place in range(2):
            draw(row[1 + 2 * place], sources[place], rate, f"source {place + 1}")
            draw(row[2 + 2 * place], streams[order[place]], rate, f"stream {order[place] + 1}, {gains[place]:+.1f} dB")
    figure.savefig(out, dpi=70)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
