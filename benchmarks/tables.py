#!/usr/bin/env python3
"""Reading and writing tables of vectors, csc and kaldiio side by side.

    python benchmarks/tables.py [--vectors 1000000] [--dim 256] [--archives 8] [--repeats 3]
                                [--lines 10000000] [--work DIR]

Prints microseconds of processor time (user and system) a vector, the least of the repeats, which take turns, and the
ratio kaldiio / csc. The files are read from the page cache; csc also looks for doubled keys and for values that are not
finite, kaldiio does not. Before that, random access to an scp of --lines lines: time to open, memory, time a look-up.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import kaldiio
import numpy as np
from machine import machine

from csc_cli.kaldi.access import open_table
from csc_cli.kaldi.tables import VectorWriter, read_vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--archives", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    print(f"machine: {machine()}, one used; numpy {np.__version__}, kaldiio {version('kaldiio')}")
    folder = Path(tempfile.mkdtemp(prefix="tables-", dir=settings.work))
    try:
        lookups(folder, settings.lines)
        archives(folder, settings)
    finally:
        shutil.rmtree(folder)


def version(package: str) -> str:
    from importlib.metadata import version as of

    return of(package)


def archives(folder: Path, settings: argparse.Namespace) -> None:
    """Write and read vectors; the scp in order, and shuffled."""
    count, each = settings.vectors, settings.vectors // settings.archives
    matrix = np.random.default_rng(0).standard_normal((each, settings.dim)).astype(np.float32)
    print(f"{count} vectors of {settings.dim} float32, {settings.archives} archives; microseconds a vector")

    def csc_write() -> None:
        for archive in range(settings.archives):
            with VectorWriter(f"ark,scp:{folder}/{archive}.ark,{folder}/{archive}.scp") as writer:
                for key, vector in named(archive, matrix):
                    writer.write(key, vector)

    def kaldiio_write() -> None:
        for archive in range(settings.archives):
            kaldiio.save_ark(f"{folder}/k.ark", dict(named(archive, matrix)), scp=f"{folder}/k.scp")

    compare("write ark and scp", count, settings.repeats, csc_write, {"save_ark": kaldiio_write})
    lines = [line for archive in range(settings.archives) for line in (folder / f"{archive}.scp").open()]
    (folder / "sorted.scp").write_text("".join(lines))
    random.Random(0).shuffle(lines)
    (folder / "shuffled.scp").write_text("".join(lines))
    del lines
    for order in ("sorted", "shuffled"):
        scp = f"{folder}/{order}.scp"
        rivals = {
            "load_scp_sequential": lambda scp=scp: consume(kaldiio.load_scp_sequential(scp)),
            "load_scp, files kept open": lambda scp=scp: consume(kaldiio.load_scp(scp, max_cache_fd=16).items()),
        }
        compare(
            f"read by scp, {order}",
            count,
            settings.repeats,
            lambda scp=scp: consume(read_vectors(f"scp:{scp}")),
            rivals,
        )
    compare(
        "read an ark",
        each,
        settings.repeats,
        lambda: consume(read_vectors(f"ark:{folder}/0.ark")),
        {"load_ark": lambda: consume(kaldiio.load_ark(f"{folder}/0.ark"))},
    )


def named(archive: int, matrix: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    return ((f"speaker{archive:03d}-utterance{row:07d}", vector) for row, vector in enumerate(matrix))


def consume(entries: Iterator[tuple[str, np.ndarray]]) -> None:
    for _key, _vector in entries:
        pass


def compare(
    what: str, count: int, repeats: int, ours: Callable[[], None], rivals: dict[str, Callable[[], None]]
) -> None:
    """Run all in turn, and print the least times."""
    runs = {"csc": ours, **rivals}
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.process_time()
            run()
            least[name] = min(least[name], (time.process_time() - began) / count * 1e6)
    own = least.pop("csc")
    others = "; ".join(f"kaldiio {name} {value:.2f}, ratio {value / own:.1f}" for name, value in least.items())
    print(f"{what}: csc {own:.2f}; {others}", flush=True)


def lookups(folder: Path, count: int) -> None:
    """Random access to one entry of a long scp."""
    with VectorWriter(f"ark:{folder}/one.ark") as writer:
        writer.write("x", np.ones(256, np.float32))
    with (folder / "long.scp").open("w") as stream:
        for row in range(count):
            stream.write(f"speaker-utterance{row:09d} {folder}/one.ark:2\n")
    keys = [f"speaker-utterance{row:09d}" for row in np.random.default_rng(0).integers(0, count, 20_000)]
    for options in ("scp,s", "scp"):  # that which holds nothing first
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        with open_table(f"{options}:{folder}/long.scp") as table:
            opened = time.process_time()
            for key in keys:
                if table.find(key) is None:
                    raise SystemExit(f"{key} is not found")
            ended = time.process_time()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        each = (ended - opened) / len(keys) * 1e6
        print(
            f"random access, {options}: of {count} lines: opened in {opened - began:.2f} s, "
            f"{grown:.0f} MB more at the peak, {each:.0f} microseconds a look-up"
        )


if __name__ == "__main__":
    main()
