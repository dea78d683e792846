#!/usr/bin/env python3
"""AS-norm's statistics: each of many vectors with a cohort, of whose scores the highest are taken.

    python benchmarks/plda_normalisation.py [--vectors 100000] [--cohort 10000] [--top 300] [--dim 256] [--threads 1]

Prints seconds of processor time of the statistics, and of the matrix product by itself (float32, the same blocks).
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from machine import machine

from csc_cli.backend import normalise
from csc_cli.backend.forms import PairForm
from csc_cli.backend.normalise import normaliser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--cohort", type=int, default=10_000)
    parser.add_argument("--top", type=int, default=300)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    draw = np.random.default_rng(0)
    left, right = (draw.normal(size=(n, settings.dim)) for n in (settings.vectors, settings.cohort))
    left, right = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (left, right))
    form = PairForm.product(left, right)

    def statistics(form: PairForm) -> None:
        # One vector on the test's side: what is measured is the enrollments' side.
        other = PairForm.product(right, left[:1])
        names = [str(i) for i in range(len(form.left))]
        normaliser("as", lambda: form, lambda: other, names, ["v"], top_n=settings.top, nj=settings.threads)

    print(f"machine: {machine()}, {settings.threads} used; numpy {np.__version__}")
    size = f"{settings.vectors:,} x {settings.cohort:,}, top {settings.top}"
    spent = seconds(lambda: statistics(form))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    product = seconds(lambda: products(form.single()))
    print(f"{size}: {spent:.2f} s of processor time, {memory:,.0f} MiB; the matrix product alone {product:.2f} s, "
          f"{spent / product:.2f} times that")  # fmt: skip


def products(form: PairForm) -> None:
    size = max(1, normalise.BLOCK_SCORES // len(form.right))
    for start in range(0, len(form.left), size):
        form.of_all(slice(start, start + size))


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
