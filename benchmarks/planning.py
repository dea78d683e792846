"""How fast mixtures are planned where it is known where speech is: mixtures a second, alone and on NJ processes.

    python benchmarks/planning.py --num 1000000 --nj 2          the bar: a million in under 60 s
    python benchmarks/planning.py --utterances 2000 --num 20000

The data directory is made up: its recordings are never read, the table of speech is drawn at random.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import machine

from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.bulk import Plan, plan_lines
from csc_cli.mixtures.settings import MixtureConfig

KEY = "made up"


def make(folder: Path, utterances: int) -> Path:
    """A data directory of speakers with 20 utterances each, and its table of speech; the table's path."""
    rng = np.random.default_rng(0)
    ids = [f"s{number // 20:06d}-u{number % 20:02d}" for number in range(utterances)]
    DataDir(folder, tuple(Utterance(id, id[:7], f"/none/{id}.flac") for id in ids)).save(folder)
    frames = rng.integers(300, 1600, utterances)
    bits = []
    for count in frames:
        active = np.repeat(rng.random(count // 20 + 1) < 0.7, 20)[:count]
        active[:20], active[20:40], active[-20:] = False, True, False
        bits.append(np.packbits(active))
    path = folder / "speech.npz"
    np.savez(path, key=KEY, ids="\n".join(ids), samples=frames * 160, frames=frames, bits=np.concatenate(bits))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=100_000)
    parser.add_argument("--utterances", type=int, default=100_000)
    parser.add_argument("--nj", type=int, default=2)
    given = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        table = make(Path(name), given.utterances)
        for crop_s in (2.5, None):
            plan = Plan(name, MixtureConfig(sample_rate=16000, crop_s=crop_s), 0, 2, table, KEY)
            sums = set()
            for nj in sorted({1, given.nj}):
                digest, began, cpu = hashlib.sha256(), time.perf_counter(), sum(os.times()[:4])
                for line in plan_lines(plan, 0, given.num, nj):
                    digest.update(str(line).encode())
                seconds, cpu = time.perf_counter() - began, sum(os.times()[:4]) - cpu
                sums.add(digest.hexdigest())
                print(
                    f"crop_s={crop_s}, {nj} process(es): {given.num} mixtures in {seconds:.1f} s, "
                    f"{1e6 * seconds / given.num:.0f} s a million ({1e6 * cpu / given.num:.0f} s of CPU)"
                )
            print(f"the same lines: {len(sums) == 1}")


if __name__ == "__main__":
    main()
