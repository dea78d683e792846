"""One cell of a grid: a model's vectors, scores and errors on a trial set, and the result file that says so."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

from csc_cli.experiment import keys, size
from csc_cli.experiment.cell import Cell, Training
from csc_cli.experiment.commands import Commands, locked, read_json
from csc_cli.experiment.grid import Grid
from csc_cli.experiment.measure import draw_errors
from csc_cli.experiment.training import check_done, check_proofs, cost, proofs, refuse_changed_code
from csc_cli.files import write_json

RESULT = "result.json"
PROVED = ("log", "scores", "draws.npz", "errors/results.json")


def score(cell: Cell, grid: Grid, commands: Commands, device: str = "auto", nj: int = 1) -> None:
    """Extract, score, evaluate what is missing, and write result.json last; nothing where it is there.

    Raises:
        CscError: a command failed; the package's code changed meanwhile; proofs of a result are gone.
        Stopped: the run was asked to stop; the next one goes on.
    """
    folder, trials = cell.folder, Path(cell.trials.folder)
    with locked(folder):
        if (folder / RESULT).exists():
            read_result(cell)
            return
        for training in trainings(cell):
            check_done(training)
        write_json(folder / "key.json", dataclasses.asdict(cell.key))
        work = ["--nj", nj, "--device", device]
        cohort = _vectors(cell, grid, commands, work)
        test = folder / "test"
        streams = ["--streams", test / "utt2streams"] if (test / "utt2streams").exists() else []
        options = [option.replace("{cohort}", cohort) for option in cell.system.score]
        vectors = [folder / "enroll" / "spk_xvector.scp", test / "xvector.scp"]
        commands.csc(folder, "score", "cosine", *streams, *options, trials / "trials", *vectors, folder / "scores")
        separated = _separate(cell, commands, work)
        tables = [("--utt2cond", trials / "utt2cond"), ("--utt2spk", trials / "utt2spks")]
        given = [word for name, path in tables if path.exists() for word in (name, path)]
        evaluated = [*given, "--name", cell.system.name, "--bootstrap", grid.bootstrap]
        commands.csc(folder, "evaluate", *evaluated, trials / "trials", folder / "scores", folder / "errors")
        draw_errors(trials, folder / "scores", grid.bootstrap).save(folder / "draws.npz")
        refuse_changed_code(keys.SCORING, folder)
        write_json(folder / RESULT, _result(cell, separated))
    for name in ("separated", "cohort"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _vectors(cell: Cell, grid: Grid, commands: Commands, work: list[object]) -> str:
    """Embed enrollment, test and, where it is asked for, the cohort; returns the cohort's rspecifier."""
    folder, system, trials = cell.folder, cell.system, Path(cell.trials.folder)
    wanted = {"enroll": trials / "enroll", "test": trials / "test"}
    if any("{cohort}" in option for option in system.score):
        wanted["cohort"] = Path(str(grid.cohort))
    for name, data in wanted.items():
        if system.external is not None:
            command = system.external.replace("{data}", shlex.quote(str(data)))
            commands.shell(folder, command.replace("{out}", shlex.quote(str(folder / name))))
        elif cell.training is not None:
            options: list[object] = ["--enroll", system.enroll, *system.extract]
            if name == "test":
                options += ["--sources"] if system.sources else ["--streams", system.streams]
            commands.csc(folder, "extract", *options, *work, cell.training.model, data, folder / name)
    return f"scp:{folder / 'cohort' / 'xvector.scp'}"


def _separate(cell: Cell, commands: Commands, work: list[object]) -> dict[str, Any] | None:
    """SI-SNR by condition of the separated test recordings, where the system separates."""
    if not cell.system.separates or cell.training is None:
        return None
    folder, trials = cell.folder, Path(cell.trials.folder)
    conditions = ["--utt2cond", trials / "utt2cond"] if (trials / "utt2cond").exists() else []
    model, target = cell.training.model, folder / "separated"
    commands.csc(folder, "separate", "--float", *conditions, *work, model, trials / "test", target)
    shutil.copyfile(target / "si_snr.json", folder / "si_snr.json")
    found: dict[str, Any] = read_json(folder / "si_snr.json")["mean"]
    return found


def trainings(cell: Cell) -> list[Training]:
    """All trainings that a cell rests on, the first ones first; none for an external system."""
    return [] if cell.training is None else list(cell.training.all())


def _result(cell: Cell, separated: dict[str, Any] | None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "place": {**dataclasses.asdict(cell.place), "trials": cell.trials.name},
        "group": cell.system.group,
        "key": dataclasses.asdict(cell.key),
        "finished": time.strftime("%F %T"),
        "separation": separated,
        "sha256": proofs(cell.folder, PROVED),
    }
    if cell.training is not None:
        facts = read_json(cell.training.folder / "info.json")
        result |= {
            "parameters": size.parameters(facts),
            "macs_per_second": size.macs_per_second(facts),
            "trainings": [cost(training) for training in trainings(cell)],
        }
    return result


def read_result(cell: Cell) -> dict[str, Any]:
    """The result file, found whole: log, scores and errors are those of its checksums, its key is the cell's.

    Raises:
        DataError: they are not, or the model's own proofs are gone.
    """
    result: dict[str, Any] = read_json(cell.folder / RESULT)
    check_proofs(cell.folder, result.get("sha256", {}), PROVED)
    for training in trainings(cell):
        check_done(training)
    return result
