#!/usr/bin/env python3
"""Metrics of many trials: time and memory of each step in a process of its own.

    python benchmarks/metrics.py [--trials 10000000] [--drawn 1000000] [--draws 1000] [--work DIR]

Times are seconds of processor time (user and system) after a first small call that loads or compiles; memory is the
peak of the process, with the interpreter, numpy and the data. scikit-learn's roc_curve, where it is installed, is the
rival of the EER.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

ENROLLED = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000_000)
    parser.add_argument("--drawn", type=int, default=1_000_000, help="Trials of the bootstrap.")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    print(f"machine: {machine()}, one used; numpy {np.__version__}")
    for share in (0.1, 0.5):
        print(f"arrays of {settings.trials} trials, {share:.0%} targets")
        ours = alone(eer_of_arrays, settings.trials, share, "csc")
        rival = alone(eer_of_arrays, settings.trials, share, "scikit-learn")
        if ours and rival:
            print(f"  ratio scikit-learn / csc: {rival / ours:.1f}")
        alone(min_dcf_of_arrays, settings.trials, share)
        alone(cllr_of_arrays, settings.trials, share)
        alone(logistic_of_arrays, settings.trials, share)
    folder = Path(tempfile.mkdtemp(prefix="metrics-", dir=settings.work))
    try:
        alone(write_files, folder, settings.trials)
        print(f"text files of {settings.trials} lines, scores shuffled")
        alone(join_files, folder)
        alone(evaluate_files, folder, 0)
        alone(evaluate_files, folder, settings.draws)
    finally:
        shutil.rmtree(folder)
    for share in (0.003, 0.1, 0.5):
        print(f"bootstrap: {settings.draws} draws of 500 speakers, {settings.drawn} trials, {share:.1%} targets")
        alone(bootstrap_of_trials, settings.drawn, settings.draws, share)


def alone(task: Callable[..., tuple[str, float] | None], *arguments: Any) -> float | None:
    """Run a task in a new process with one thread, print what it says, and return its seconds."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:  # waits for its process, which a Pool ends before it has tidied up
        said, seconds, memory = pool.submit(_measured, task, arguments).result()
    if seconds is not None:
        print(f"  {said}: {seconds:.2f} s, peak {memory:.2f} GB", flush=True)
    return seconds


def _measured(task: Callable[..., tuple[str, float] | None], arguments: tuple[Any, ...]) -> tuple[str, Any, float]:
    said, seconds = task(*arguments) or ("", None)
    return said, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.process_time()
    function(*arguments)
    return time.process_time() - start


def drawn_scores(trials: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.random(trials) < share
    return rng.normal(size=trials) + 2 * target, target


def eer_of_arrays(trials: int, share: float, whose: str) -> tuple[str, float] | None:
    from csc_cli.metrics.detection import eer

    scores, target = drawn_scores(trials, share)
    if whose == "csc":
        eer(scores[:1000], target[:1000])
        return "EER", timed(eer, scores, target)
    try:
        from sklearn.metrics import roc_curve
    except ImportError:
        return None
    return "roc_curve of scikit-learn, from which an EER is read", timed(roc_curve, target, scores)


def min_dcf_of_arrays(trials: int, share: float) -> tuple[str, float]:
    from csc_cli.metrics.detection import min_dcf

    scores, target = drawn_scores(trials, share)
    min_dcf(scores[:1000], target[:1000])
    return "minDCF", timed(min_dcf, scores, target)


def cllr_of_arrays(trials: int, share: float) -> tuple[str, float]:
    from csc_cli.metrics.calibration import cllr, min_cllr

    scores, target = drawn_scores(trials, share)
    min_cllr(scores[:1000], target[:1000])
    return "Cllr and its minimum", timed(cllr, scores, target) + timed(min_cllr, scores, target)


def logistic_of_arrays(trials: int, share: float) -> tuple[str, float]:
    from csc_cli.backend.logistic import fit

    scores, target = drawn_scores(trials, share)
    fit(scores[:1000, None], target[:1000], 0.5)
    return "calibration (one system)", timed(fit, scores[:, None], target, 0.5)


def write_files(folder: Path, trials: int) -> None:
    """All of 2,000 enrolled speakers against utterances of one of them each; the scores' lines shuffled."""
    from csc_cli.kaldi.trials import Pairs, Trials, write_scores, write_trials

    utterances = trials // ENROLLED
    names = np.array([f"spk{i:05d}" for i in range(ENROLLED)], object)
    tests = np.array([f"spk{i % ENROLLED:05d}-utt{i:06d}" for i in range(utterances)], object)
    enroll = np.repeat(np.arange(ENROLLED, dtype=np.int32), utterances)
    test = np.tile(np.arange(utterances, dtype=np.int32), ENROLLED)
    target = enroll == test % ENROLLED
    write_trials(folder / "trials", Trials(names, tests, enroll, test, target))
    rng = np.random.default_rng(0)
    order = rng.permutation(len(target))
    scores = (rng.normal(size=len(target)) + 2 * target)[order]
    write_scores(folder / "scores", Pairs(names, tests, enroll[order], test[order]), scores)


def join_files(folder: Path) -> tuple[str, float]:
    from csc_cli.kaldi.trials import Scores, Trials, join, read_scores, read_trials

    join(Trials.of("ab", "uv", [True, False]), Scores.of("ab", "uv", [1.0, 2.0]))
    return "read both and join by key", timed(
        lambda: join(read_trials(folder / "trials"), read_scores(folder / "scores"))
    )


def evaluate_files(folder: Path, draws: int) -> tuple[str, float]:
    from csc_cli.metrics.report import evaluate
    from csc_cli.plots.detection import plot_detection

    trials, scores, out = folder / "trials", folder / "scores", folder / "results"
    seconds = timed(lambda: evaluate(trials, [scores], out, replicates=draws, draw=plot_detection))
    return f"csc evaluate --bootstrap {draws}, pictures too", seconds


def bootstrap_of_trials(trials: int, draws: int, share: float) -> tuple[str, float]:
    from csc_cli.kaldi.trials import Trials
    from csc_cli.metrics.cost import OperatingPoint
    from csc_cli.metrics.intervals import bootstrap, draw_counts
    from csc_cli.metrics.speakers import trial_speakers

    rng = np.random.default_rng(0)
    enroll, test = rng.integers(0, 500, trials).astype(np.int32), rng.integers(0, 5000, trials).astype(np.int32)
    own = rng.random(trials) < share
    test[own] = enroll[own] + 500 * rng.integers(0, 10, own.sum())
    target = test % 500 == enroll
    names = np.array([f"s{i}" for i in range(500)], object)
    tests = np.array([f"u{i}" for i in range(5000)], object)
    speakers = trial_speakers(
        Trials(names, tests, enroll, test, target), None, {f"u{i}": [f"s{i % 500}"] for i in range(5000)}
    )
    scores = rng.normal(size=trials) + 2 * target
    points = (OperatingPoint(0.01), OperatingPoint(0.05))
    counts = draw_counts(500, draws, 0)
    first = np.arange(trials) < 1000
    bootstrap(scores[first], target[first], speakers.subset(first), counts[:2], points)
    seconds = timed(bootstrap, scores, target, speakers, counts, points)
    return "EER, Cllr, min Cllr, and minDCF and actDCF at two points", seconds


if __name__ == "__main__":
    main()
