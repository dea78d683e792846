#!/usr/bin/env python3
"""`csc plda train` and `csc lda train`, as a user runs them, and the computation by itself.

    python benchmarks/plda_training.py [--vectors 100000] [--dim 256] [--speakers 5000] [--iterations 10]
                                       [--kaldi 5.1] [--threads 1] [--repeats 3] [--work DIR]

Vectors drawn from the model, in an ark with an scp. Prints seconds of processor time (the least of the repeats), the
clock's and the peak memory; and the ratio to --kaldi, the seconds of Kaldi's `ivector-compute-plda` on one core. Where
that program is on the PATH, it is run in the same call, its own time is used, and the two models are compared. The
computation is what is left when the vectors are in memory (float32): statistics, iterations, the last transform.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine
from plda_scoring import CSC, Cost, cost, show

from csc_cli.backend.lda import LDA
from csc_cli.backend.model_files import read_plda
from csc_cli.backend.plda import Plda
from csc_cli.kaldi.tables import VectorWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--speakers", type=int, default=5000)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--kaldi", type=float, default=5.1, help="Seconds of Kaldi's program.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    print(f"machine: {machine()}, {settings.threads} used; numpy {np.__version__}")
    folder = Path(tempfile.mkdtemp(prefix="plda-", dir=settings.work))
    try:
        x, speakers = make(folder, settings)
        end_to_end(folder, settings)
        computation(x, speakers, settings)
    finally:
        shutil.rmtree(folder)


def make(folder: Path, settings: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    # Speakers of unlike sizes, as in VoxCeleb.
    speakers = np.sort(
        draw.choice(settings.speakers, settings.vectors, p=draw.dirichlet(np.full(settings.speakers, 5)))
    )
    mix = draw.normal(size=(settings.dim, settings.dim)).astype(np.float32) / 16
    x = draw.normal(size=(settings.speakers, settings.dim))[speakers] + 2 * draw.normal(
        size=(settings.vectors, settings.dim)
    )
    x = x.astype(np.float32) @ mix
    names = [f"spk{k:05d}-utt{i:07d}" for i, k in enumerate(speakers.tolist())]
    with VectorWriter(f"ark,scp:{folder}/x.ark,{folder}/x.scp") as writer:
        for name, vector in zip(names, x, strict=True):
            writer.write(name, vector)
    of: dict[int, list[str]] = {}
    for name, k in zip(names, speakers.tolist(), strict=True):
        of.setdefault(k, []).append(name)
    (folder / "spk2utt").write_text("".join(f"spk{k:05d} {' '.join(utts)}\n" for k, utts in of.items()))
    (folder / "utt2spk").write_text("".join(f"{name} {name[:8]}\n" for name in names))
    return x, speakers


def end_to_end(folder: Path, settings: argparse.Namespace) -> None:
    iterations = f"--num-em-iters={settings.iterations}"
    kaldi = settings.kaldi
    if shutil.which("ivector-compute-plda"):
        files = [f"ark:{folder}/spk2utt", f"ark,s,cs:{folder}/x.ark", f"{folder}/kaldi"]
        spent = least([["ivector-compute-plda", iterations, *files]] * settings.repeats)
        kaldi = spent.cpu_s
        print(f"Kaldi: {show(spent)}")
    for source in ("scp", "ark"):
        command = [*CSC, "plda", "train", "--quiet", iterations, f"{folder}/spk2utt", f"{source}:{folder}/x.{source}"]
        spent = least([[*command, f"{folder}/plda"]] * settings.repeats)
        print(f"csc plda train, by {source}: {show(spent)}; {kaldi / spent.cpu_s:.1f} times as fast as Kaldi")
    if (folder / "kaldi").exists():
        ours, theirs = read_plda(f"{folder}/plda"), read_plda(f"{folder}/kaldi")
        for part in ("mean_", "within_", "between_", "psi_"):
            print(f"largest difference of {part[:-1]}: {np.abs(getattr(ours, part) - getattr(theirs, part)).max():.1e}")
    command = [*CSC, "lda", "train", "--quiet", "--dim", str(settings.dim // 2), f"scp:{folder}/x.scp"]
    print(f"csc lda train: {show(least([[*command, f'{folder}/utt2spk', f'{folder}/lda']] * settings.repeats))}")


def computation(x: np.ndarray, speakers: np.ndarray, settings: argparse.Namespace) -> None:
    for name, fit in (
        ("PLDA", lambda: Plda(iterations=settings.iterations).fit(x, speakers)),
        ("LDA", lambda: LDA(dim=settings.dim // 2).fit(x, speakers)),
    ):
        seconds = []
        for _ in range(settings.repeats):
            began = time.process_time()
            fit()
            seconds.append(time.process_time() - began)
        ratio = f"; {settings.kaldi / min(seconds):.1f} times as fast as all of Kaldi's" if name == "PLDA" else ""
        print(f"{name} from vectors in memory: {min(seconds):.2f} s of processor time{ratio}")


def least(commands: list[list[str]]) -> Cost:
    """The run that took least processor time."""
    return min((cost(command) for command in commands), key=lambda spent: spent.cpu_s)


if __name__ == "__main__":
    main()
