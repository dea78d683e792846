#!/usr/bin/env python3
"""`csc score plda` on sparse trials, text in and out, as a user runs it.

    python benchmarks/plda_scoring.py [--trials 1000000 10000000] [--enrollments 5000] [--tests 50000] [--dim 256]
                                      [--kaldi 64000] [--threads 1] [--dense 0] [--work DIR]

Generated vectors and trials: for each size a shuffled list and the same list sorted. Prints seconds of processor time
(user and system), of the clock, and the peak memory of each run; the marginal rate (more trials over more seconds),
which leaves start-up and reading the vectors out; and its ratio to --kaldi, the trials a second of Kaldi's
`ivector-plda-scoring` on one core. Where Kaldi's program is on the PATH, it is run on the smallest list in the same
call and its own rate is used. --dense N also scores N enrollments with all tests, to a table.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine import machine

from csc_cli.backend.model_files import write_plda
from csc_cli.backend.plda import Plda
from csc_cli.kaldi.tables import VectorWriter

CSC = [sys.executable, "-m", "csc_cli.cli.main"]


class Cost(NamedTuple):
    cpu_s: float
    clock_s: float
    memory_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs=2, default=[1_000_000, 10_000_000])
    parser.add_argument("--enrollments", type=int, default=5000)
    parser.add_argument("--tests", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--kaldi", type=float, default=64_000, help="Kaldi's trials a second.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dense", type=int, default=0, help="Enrollments of the dense run.")
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    print(f"machine: {machine()}, {settings.threads} used; numpy {np.__version__}")
    folder = Path(tempfile.mkdtemp(prefix="plda-", dir=settings.work))
    try:
        make_vectors(folder, settings)
        sparse(folder, settings)
        if settings.dense:
            dense(folder, settings)
    finally:
        shutil.rmtree(folder)


def make_vectors(folder: Path, settings: argparse.Namespace) -> None:
    draw = np.random.default_rng(0)
    dim = settings.dim
    write_plda(f"{folder}/plda", Plda.of(draw.normal(size=dim), draw.normal(size=(dim, dim)), draw.random(dim) * 4))
    for name, count, key in (("enroll", settings.enrollments, enrollment), ("test", settings.tests, test)):
        with VectorWriter(f"ark,scp:{folder}/{name}.ark,{folder}/{name}.scp") as writer:
            for i in range(count):
                writer.write(key(i), draw.normal(size=dim).astype(np.float32))
    with open(folder / "num_utts", "w") as stream:
        stream.writelines(f"{enrollment(i)} {1 + i % 5}\n" for i in range(settings.enrollments))


def enrollment(i: int) -> str:
    return f"id{10000 + i:05d}"


def test(i: int) -> str:
    return f"id{10000 + i % 5000:05d}-utt{i:06d}"


def sparse(folder: Path, settings: argparse.Namespace) -> None:
    command = [*CSC, "score", "plda", "--quiet", "--nj", str(settings.threads), "--num-utts", f"ark:{folder}/num_utts"]
    files = [f"{folder}/plda", "TRIALS", f"scp:{folder}/enroll.scp", f"scp:{folder}/test.scp", f"{folder}/scores"]

    def score(trials: str) -> Cost:
        return cost([*command, *(trials if name == "TRIALS" else name for name in files)])

    make_trials(folder, 1000, settings)
    score(f"{folder}/trials")  # compiles, where there is no cache yet
    print(f"1,000 trials (start-up and reading the vectors): {show(score(f'{folder}/trials'))}")
    kaldi_rate = settings.kaldi
    seconds: dict[str, list[Cost]] = {"shuffled": [], "sorted": []}
    for count in settings.trials:
        make_trials(folder, count, settings)
        if shutil.which("ivector-plda-scoring") and count == settings.trials[0]:
            kaldi_rate = kaldis_rate(folder, files, count)
        for order in seconds:
            seconds[order].append(score(f"{folder}/{'trials' if order == 'shuffled' else 'sorted'}"))
            print(f"{count:,} trials, {order}: {show(seconds[order][-1])}")
    for order, (less, more) in seconds.items():
        rate = (settings.trials[1] - settings.trials[0]) / (more.cpu_s - less.cpu_s)
        print(f"marginal rate, {order}: {rate:,.0f} trials a second of processor time, "
              f"{rate / kaldi_rate:.1f} times Kaldi's {kaldi_rate:,.0f}")  # fmt: skip


def make_trials(folder: Path, count: int, settings: argparse.Namespace) -> None:
    """In a process of its own: a command's peak memory is never told as less than what its parent had."""
    process = multiprocessing.get_context("fork").Process(target=_make_trials, args=(folder, count, settings))
    process.start()
    process.join()


def _make_trials(folder: Path, count: int, settings: argparse.Namespace) -> None:
    draw = np.random.default_rng(count)
    left, right = draw.integers(0, settings.enrollments, count), draw.integers(0, settings.tests, count)
    for name, order in (("trials", slice(None)), ("sorted", np.lexsort((right, left)))):
        with open(folder / name, "w") as stream:
            pairs = zip(left[order].tolist(), right[order].tolist())
            stream.writelines(f"{enrollment(e)} {test(v)}\n" for e, v in pairs)


def kaldis_rate(folder: Path, files: list[str], count: int) -> float:
    options = [f"--num-utts=ark:{folder}/num_utts"]
    names = [files[0], *files[2:4]]
    once = cost(["ivector-plda-scoring", *options, *names, f"{folder}/trials", f"{folder}/kaldi"])
    print(f"{count:,} trials, Kaldi: {show(once)}")
    return count / once.cpu_s


def dense(folder: Path, settings: argparse.Namespace) -> None:
    with open(folder / "enroll.scp") as stream:
        lines = stream.readlines()[: settings.dense]
    (folder / "some.scp").write_text("".join(lines))
    out = f"ark:{folder}/dense.ark"
    command = [*CSC, "score", "plda", "--quiet", "--nj", str(settings.threads), f"{folder}/plda", "all"]
    spent = cost([*command, f"scp:{folder}/some.scp", f"scp:{folder}/test.scp", out])
    left, right = np.ones((len(lines), settings.dim)), np.ones((settings.tests, settings.dim))
    began = time.process_time()
    for start in range(0, len(left), 64):
        left[start : start + 64] @ right.T
    product = time.process_time() - began
    print(f"{len(lines):,} x {settings.tests:,}, to a table: {show(spent)}; the matrix product alone {product:.2f} s")


def cost(command: list[str]) -> Cost:
    """Run a command; what it and its children took."""
    began = time.monotonic()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    return Cost(usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024)


def show(spent: Cost) -> str:
    return f"{spent.cpu_s:.2f} s of processor time, {spent.clock_s:.2f} s by the clock, {spent.memory_mib:,.0f} MiB"


if __name__ == "__main__":
    main()
