#!/usr/bin/env python3
"""Commands on a large data directory: time and memory of `csc data`, and of Kaldi's scripts where they are at hand.

    python benchmarks/datadirs.py [--utterances 1100000] [--speakers 7205] [--kaldi .../egs/wsj/s5] [--work DIR]

The directory has wav.scp, utt2spk, spk2utt, utt2dur, utt2num_frames, feats.scp, vad.scp and spk2gender, as one of
VoxCeleb 1 and 2 would; no audio is opened. Each command is a process of its own: seconds of processor time (user and
system, children too), seconds on the clock, and the peak of memory. `damaged` lacks every tenth utterance in vad.scp
and has each file unsorted. Kaldi's scripts (bash, awk, perl, sort) run on the same files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_100_000)
    parser.add_argument("--speakers", type=int, default=7205)
    parser.add_argument("--kaldi", type=Path, help="A folder that has Kaldi's utils/ and a path.sh, to compare with.")
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    print(f"machine: {machine()}; {settings.utterances} utterances of {settings.speakers} speakers")
    folder = Path(tempfile.mkdtemp(prefix="datadirs-", dir=settings.work))
    try:
        whole, damaged, again = folder / "whole", folder / "damaged", folder / "damaged_for_kaldi"
        make(whole, settings.utterances, settings.speakers)
        damage(whole, damaged)
        shutil.copytree(damaged, again)
        number = settings.utterances // 10
        rows = {
            "validate": ([whole], ["validate_data_dir.sh", "--no-text", whole]),
            "validate, damaged": ([damaged], None),
            "fix, damaged": ([damaged], ["fix_data_dir.sh", again]),
            "fix, sound": ([whole], None),
            "subset": ([whole, number, folder / "part"], ["subset_data_dir.sh", whole, number, folder / "kaldi_part"]),
            "split": ([whole, 32], ["split_data.sh", whole, 31]),
            "copy": ([whole, folder / "copy"], ["copy_data_dir.sh", whole, folder / "kaldi_copy"]),
        }
        for name, (arguments, script) in rows.items():
            command = name.split(",")[0]
            options = ["--no-audio"] if command in ("validate", "fix") else []
            ours = run([sys.executable, "-m", "csc_cli.cli.main", "data", command, *options, *arguments])
            line = f"{name:20} csc {ours}"
            if settings.kaldi and script:
                line += f"; Kaldi {run([f'utils/{script[0]}', *script[1:]], settings.kaldi)}"
            print(line, flush=True)
    finally:
        shutil.rmtree(folder)


def make(path: Path, utterances: int, speakers: int) -> None:
    """Write the sound directory."""
    draw = random.Random(0)
    names = [f"id{10001 + index}" for index in range(speakers)]
    rows = sorted(
        (f"{names[index % speakers]}-{draw.getrandbits(60):015x}-{index // speakers:05d}", names[index % speakers])
        for index in range(utterances)
    )
    tables = {
        "utt2spk": lambda key, speaker: speaker,
        "wav.scp": lambda key, speaker: f"/export/corpora/VoxCeleb2/dev/aac/{speaker}/{key[8:]}.wav",
        "utt2dur": lambda key, speaker: f"{draw.uniform(4, 20):.2f}",
        "utt2num_frames": lambda key, speaker: str(draw.randint(400, 2000)),
        "feats.scp": lambda key, speaker: f"/export/mfcc/raw_mfcc.{draw.randint(1, 80)}.ark:{draw.getrandbits(30)}",
        "vad.scp": lambda key, speaker: f"/export/mfcc/vad.{draw.randint(1, 80)}.ark:{draw.getrandbits(30)}",
    }
    path.mkdir()
    own: dict[str, list[str]] = {}
    for key, speaker in rows:
        own.setdefault(speaker, []).append(key)
    for name, value in tables.items():
        with (path / name).open("w") as stream:
            stream.writelines(f"{key} {value(key, speaker)}\n" for key, speaker in rows)
    (path / "spk2utt").write_text("".join(f"{name} {' '.join(keys)}\n" for name, keys in sorted(own.items())))
    (path / "spk2gender").write_text("".join(f"{name} {draw.choice('mf')}\n" for name in sorted(own)))


def damage(source: Path, path: Path) -> None:
    """Write the directory unsorted, without every tenth line of vad.scp."""
    path.mkdir()
    for file in source.iterdir():
        lines = file.read_text().splitlines(keepends=True)
        if file.name == "vad.scp":
            del lines[::10]
        random.Random(1).shuffle(lines)
        (path / file.name).write_text("".join(lines))


def run(command: list[object], folder: Path | None = None) -> str:
    """Times and memory of a command; its output is not looked at."""
    environment = {**os.environ, "LC_ALL": "C"}
    began = time.monotonic()
    arguments = [str(argument) for argument in command]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(arguments, cwd=folder, env=environment, **silent) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    clock, memory, used = time.monotonic() - began, usage.ru_maxrss / 1e6, usage.ru_utime + usage.ru_stime
    return f"{used:.1f} s ({clock:.1f} s on the clock), {memory:.2f} GB, status {process.returncode}"


if __name__ == "__main__":
    main()
