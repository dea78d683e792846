#!/usr/bin/env python3
"""`csc prepare voxceleb` on a tree of the size of VoxCeleb2: time and memory.

    python benchmarks/voxceleb_tree.py [--utterances 1100000] [--work DIR]

The files are empty (no recording is opened): 8 in each video's folder, 24 videos a speaker. Beside it the time of
listing the tree with os.walk, which is the least that any preparation does.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import shutil
import string
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

LETTERS = string.ascii_letters + string.digits + "-_"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_100_000)
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voxceleb-", dir=settings.work))
    try:
        made = make(folder / "voxceleb2", settings.utterances)
        began = time.process_time()
        files = sum(len(names) for _, _, names in os.walk(folder))
        walk_s = time.process_time() - began
        command = [sys.executable, "-m", "csc_cli.cli.main", "prepare", "voxceleb", "--quiet", folder, folder / "data"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = usage.ru_utime + usage.ru_stime
        print(f"machine: {machine()}, Python {platform.python_version()}; {made} utterances")
        print(f"os.walk ({files} files): {walk_s:.2f} s of processor time")
        print(f"csc prepare voxceleb: {seconds:.2f} s, {seconds / walk_s:.1f} times; {usage.ru_maxrss / 1024:.0f} MB")
    finally:
        shutil.rmtree(folder)


def make(root: Path, utterances: int) -> int:
    """Empty files root/dev/aac/idNNNNN/VIDEO/NNNNN.m4a."""
    rng = random.Random(0)
    made, speaker = 0, 12
    while made < utterances:
        for _ in range(24):
            folder = root / "dev" / "aac" / f"id{speaker:05d}" / "".join(rng.choices(LETTERS, k=11))
            folder.mkdir(parents=True)
            for number in range(1, 9):
                (folder / f"{number:05d}.m4a").touch()
            made += 8
        speaker += 1
    return made


if __name__ == "__main__":
    main()
