"""`csc evaluate`: from trials and score files to results.json and results.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from csc_cli.errors import ConfigError
from csc_cli.files import nan_as_null, open_atomic, sha256, write_json
from csc_cli.kaldi.text import read_keyed
from csc_cli.kaldi.trials import join_file, read_key
from csc_cli.metrics.conditions import conditions
from csc_cli.metrics.cost import operating_points
from csc_cli.metrics.detection import Bools
from csc_cli.metrics.evaluation import ConditionResult, ConditionTrials, by_condition, evaluate_condition
from csc_cli.metrics.intervals import draw_counts
from csc_cli.metrics.speakers import trial_speakers
from csc_cli.metrics.tables import error_rates, likelihood_ratios, markdown, terminal

# (conditions, folder, caption) -> the names of the files drawn
Draw = Callable[[Sequence[ConditionTrials], Path, str], list[str]]
METHOD = {"level": 0.95, "method": "bootstrap over speakers, with Student's t"}


def evaluate(
    trials: str | Path,
    scores: Sequence[str | Path],
    out: Path,
    *,
    names: Sequence[str] = (),
    utt2cond: str | Path | None = None,
    enroll_utt2spk: str | Path | None = None,
    utt2spk: str | Path | None = None,
    replicates: int = 1000,
    seed: int = 0,
    p_target: Sequence[float] = (0.01,),
    c_miss: Sequence[float] = (),
    c_fa: Sequence[float] = (),
    draw: Draw | None = None,
) -> str:
    """Evaluate the score files `scores` on `trials`; write results.json and results.md to the folder `out`.

    Args:
        names: of the systems; without them the part of each path that tells the score files apart.
        utt2cond: test utterance -> condition.
        enroll_utt2spk, utt2spk: enrollment or test utterance -> one or more speakers, for the bootstrap.
        replicates: draws of the speakers; 0 leaves the intervals out.
        p_target, c_miss, c_fa: the operating points (`cost.operating_points`), the first being the main one.
        draw: draws pictures of the scores into `out`.

    Returns:
        The tables for a terminal, what they were made from, and where the files are.

    Raises:
        DataError: a file is damaged; trials without a key, without a score or without a condition; scores
            without a trial or not finite; a condition without targets or nontargets.
        ConfigError: an impossible setting.
    """
    points = operating_points(p_target, c_miss, c_fa)
    systems = _systems(names, scores)
    key, target = read_key(trials, "evaluation needs it")
    joined = {name: join_file(key, path, trials) for name, path in systems.items()}
    speakers = trial_speakers(key, *(read_keyed(path) if path else None for path in (enroll_utt2spk, utt2spk)))
    parts = by_condition(ConditionTrials("all", target, joined, speakers), *conditions(key, utt2cond))
    counts = draw_counts(len(speakers.names), replicates, seed)
    results = [evaluate_condition(part, counts, points) for part in parts]
    drawn = {"speakers": len(speakers.names), "replicates": replicates, "seed": seed, "speakers_from": speakers.rule}
    about = {
        **_inputs(trials, target, systems, utt2cond),
        "operating_points": [dataclasses.asdict(point) for point in points],
        "intervals": METHOD | drawn,
    }
    _write(out, about, results)
    pictures = draw(parts, out, _list_of(about["trials"], digits=16)) if draw else []
    return (
        f"{terminal(error_rates(results))}\n\n{terminal(likelihood_ratios(results))}\n\n"
        f"trials: {_list_of(about['trials'])}\n{', '.join(['results.json', 'results.md', *pictures])} in {out}"
    )


def default_names(paths: Sequence[str | Path]) -> list[str]:
    """The folder of each score file; where folders are alike, the last part of the paths that tells them apart.

    >>> default_names([Path("exp/csc/scores/test"), Path("exp/untrained/scores/test")])
    ['csc', 'untrained']
    """
    parts = [(Path(path).absolute().parts[:-1][::-1], Path(path).name) for path in paths]
    for depth in range(min(len(folders) for folders, _ in parts)):
        names = [folders[depth] for folders, _ in parts]
        if len(set(names)) == len(names):
            return names
    names = [name for _, name in parts]
    if len(set(names)) < len(names):
        raise ConfigError("the score files cannot be told apart by their paths; give each a --name")
    return names


def _systems(names: Sequence[str], scores: Sequence[str | Path]) -> dict[str, str | Path]:
    """The score file of each system, in order."""
    names = list(names) or default_names(scores)
    if len(names) != len(scores) or len(set(names)) != len(names):
        given = ", ".join(names)
        raise ConfigError(f"--name: {len(scores)} score file(s) need as many different names; given: {given}")
    return dict(zip(names, scores, strict=True))


def _inputs(
    trials: str | Path, target: Bools, systems: Mapping[str, str | Path], utt2cond: str | Path | None
) -> dict[str, Any]:
    """What the results were made from, as results.json has it."""
    targets = int(target.sum())
    return {
        "trials": {**_about(trials), "size": target.size, "targets": targets, "nontargets": target.size - targets},
        "systems": [{"name": name, **_about(path)} for name, path in systems.items()],
        "conditions_from": _about(utt2cond) if utt2cond else None,
    }


def _about(name: str | Path) -> dict[str, str]:
    """Name and checksum; of an absolute path only the last two parts, so that results tell nothing of a machine.

    A pipe or `-` has only a name.
    """
    path = Path(name)
    if not path.is_file():
        return {"path": str(name)}
    return {"path": str(Path(*path.parts[-2:]) if path.is_absolute() else path), "sha256": sha256(path)}


def _write(out: Path, about: dict[str, Any], results: Sequence[ConditionResult]) -> None:
    conditions = [dataclasses.asdict(result) for result in results]
    write_json(out / "results.json", nan_as_null({**about, "conditions": conditions}))
    with open_atomic(out / "results.md") as stream:
        stream.write(_page(about, results))


def _list_of(trials: dict[str, Any], digits: int = 64) -> str:
    """Which trials: two error rates can be compared only on the same list."""
    size = f"{trials['size']} trials ({trials['targets']} target / {trials['nontargets']} nontarget)"
    checksum = f", SHA-256 {trials['sha256'][:digits]}" if "sha256" in trials else ""
    return f"{trials['path']}, {size}{checksum}"


def _page(about: dict[str, Any], results: Sequence[ConditionResult]) -> str:
    intervals = about["intervals"]
    systems = [f"- {system['name']}: {_shown(system)}\n" for system in about["systems"]]
    note = "Without intervals (no bootstrap was asked for)."
    if intervals["replicates"]:
        draws = f"{intervals['speakers']} speakers, {intervals['replicates']} draws, seed {intervals['seed']}"
        note = f"95 % intervals by {intervals['method']} ({draws}; {intervals['speakers_from']})."
        if len(about["systems"]) > 1:
            note += " p: of no difference, by the same draws, not corrected for the number of comparisons."
    return (
        f"# Detection results\n\ntrials: {_list_of(about['trials'])}\n\n{markdown(error_rates(results))}\n"
        "EER on the convex hull of the ROC; minDCF(P_target, or P_target, C_miss, C_fa), costs of 1 left out. "
        f"{note}\n\n"
        f"{markdown(likelihood_ratios(results))}\n"
        "Cllr (bits) and actDCF take the scores for natural log likelihood ratios; those of scores that are not "
        f"calibrated say so.\n\n{''.join(systems)}"
    )


def _shown(about: dict[str, Any]) -> str:
    return f"`{about['path']}`" + (f", SHA-256 `{about['sha256']}`" if "sha256" in about else "")
