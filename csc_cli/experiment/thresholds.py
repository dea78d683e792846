"""Errors at a threshold that was chosen elsewhere."""

from __future__ import annotations

from pathlib import Path

from csc_cli.kaldi.trials import join_file, read_key
from csc_cli.metrics.conditions import conditions


def errors_at(trials_dir: Path, scores: Path, threshold: float) -> dict[str, tuple[float, float]]:
    """Condition -> share of targets below the threshold (missed), share of nontargets at or above it (accepted).

    Raises:
        DataError: trials without a key; a trial without a score or condition.
    """
    trials, target = read_key(trials_dir / "trials", "error rates need it")
    accepted = join_file(trials, scores, trials_dir / "trials") >= threshold
    utt2cond = trials_dir / "utt2cond"
    of, names = conditions(trials, utt2cond if utt2cond.exists() else None)
    found = {}
    for index, name in enumerate(names):
        here = of == index
        found[name] = (float((~accepted[here & target]).mean()), float(accepted[here & ~target].mean()))
    return found
