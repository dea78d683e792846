"""SI-SNR and its gain of separated recordings on disk, by condition; the measuring part of `csc separate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from csc_cli.errors import CscError, DataError
from csc_cli.files import write_json
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.layout import base_folder, resolve
from csc_cli.kaldi.text import read_map
from csc_cli.metrics.conditions import condition_order
from csc_cli.metrics.separation import LIMIT_DB, SeparationScore, si_snr_improvement
from csc_cli.progress import track

RESULT = "si_snr.json"
Table = Mapping[str, str]


class Measured(NamedTuple):
    """Means over the talkers of one recording, or over recordings, in dB."""

    si_snr: float
    improvement: float


def measure_data_dir(
    separated: str | Path, data_dir: str | Path, reference: str | Path | None = None, utt2cond: str | Path | None = None
) -> str | None:
    """SI-SNR under the best permutation of the recordings with at least two references; writes si_snr.json.

    Args:
        separated: what `csc separate` wrote (spk1.scp, spk2.scp, ...), and where the result goes.
        data_dir: the recordings that were separated.
        reference: a data directory with spk1.scp, spk2.scp, ..., or its spk1.scp; default: `data_dir`.
        utt2cond: utterance -> condition.

    Returns:
        Lines with the means, for people; None where no reference was asked for and no recording has two.

    Raises:
        DataError: `reference` has no references, or they do not fit the recordings.
    """
    separated = Path(separated)
    data = DataDir.load(data_dir)
    references = _numbered_scps(Path(reference if reference is not None else data_dir))
    wanted = [utt for utt in data.by_id if sum(utt in table for table in references) >= 2]
    if not wanted and reference is None:
        return None
    estimates = _numbered_scps(separated)
    conditions = read_map(utt2cond) if utt2cond else {}
    scores: dict[str, SeparationScore] = {}
    skipped: dict[str, str] = {}
    for utterance in track(wanted, "measuring"):
        try:
            scores[utterance] = _score(data, utterance, references, estimates)
        except CscError as error:
            skipped[utterance] = str(error)
    if not scores:
        raise DataError(
            f"{reference or data_dir}: no recording could be measured"
            + (
                f"; {len(skipped)} failed, first: {next(iter(skipped.values()))}"
                if skipped
                else ": none has two talkers"
            )
        )
    groups = _groups(scores, conditions)
    write_json(separated / RESULT, _as_json(scores, groups, skipped, conditions))
    return "\n".join(_lines(groups, skipped))


def _numbered_scps(path: Path) -> list[Table]:
    """The tables spk1.scp, spk2.scp, ... of a folder, or those beside a file spk1.scp; paths are resolved."""
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise DataError(f"{path}: not found; give a data directory with spk1.scp and spk2.scp")
    tables: list[Table] = []
    while (scp := folder / f"spk{len(tables) + 1}.scp").is_file():
        table = read_map(scp)
        base = base_folder(folder, table.values())
        tables.append({key: resolve(name, base) for key, name in table.items()})
    return tables


def _score(data: DataDir, utterance: str, references: list[Table], estimates: list[Table]) -> SeparationScore:
    mixture, rate = read_audio(data.by_id[utterance])
    truth = [read_audio(table[utterance], rate)[0] for table in references if utterance in table]
    heard = [read_audio(table[utterance], rate)[0] for table in estimates if utterance in table]
    lengths = {len(mixture), *map(len, truth), *map(len, heard)}
    if not heard:
        raise DataError(f"utterance '{utterance}': was not separated")
    if len(lengths) > 1:
        raise DataError(f"utterance '{utterance}': recording, references and streams have {sorted(lengths)} samples")
    try:
        return si_snr_improvement(np.stack(heard), np.stack(truth), mixture)
    except DataError as error:
        raise DataError(f"utterance '{utterance}': {error}") from error


def _mean(scores: list[SeparationScore]) -> Measured:
    """Each recording counts alike, whatever its talkers."""
    return Measured(*(float(np.mean([x[part].mean() for x in scores])) for part in (1, 2)))


def _median(scores: list[SeparationScore]) -> float:
    """Of the recordings' SI-SNRi, in dB."""
    return float(np.median([score.improvement.mean() for score in scores]))


def _groups(scores: Mapping[str, SeparationScore], conditions: Table) -> dict[str, list[SeparationScore]]:
    """All scores, then those of each condition."""
    groups = {"all": list(scores.values())}
    names = sorted({conditions[utt] for utt in scores if utt in conditions}, key=condition_order)
    for name in names:
        groups[name] = [score for utt, score in scores.items() if conditions.get(utt) == name]
    return groups


def _lines(groups: Mapping[str, list[SeparationScore]], skipped: Table) -> Iterator[str]:
    width = max(map(len, groups))
    for name, scores in groups.items():
        mean = _mean(scores)
        figures = f"SI-SNR {mean.si_snr:6.2f} dB, SI-SNRi {mean.improvement:6.2f} dB (median {_median(scores):.2f})"
        yield f"{name:{width}}  {figures}, {len(scores)} recordings"
    empty = sum(bool((score.si_snr <= -LIMIT_DB).any()) for score in next(iter(groups.values())))
    if empty:
        yield (
            f"{empty} recordings have a stream of zeros, which counts as {-LIMIT_DB:g} dB and decides the means; "
            "16-bit wavs round very quiet streams to zeros: separate with --float to measure"
        )
    if skipped:
        yield f"{len(skipped)} recordings could not be measured, first: {next(iter(skipped.values()))}"


def _as_json(
    scores: Mapping[str, SeparationScore],
    groups: Mapping[str, list[SeparationScore]],
    skipped: Table,
    conditions: Table,
) -> dict[str, Any]:
    return {
        "mean": {
            name: {**_mean(members)._asdict(), "median_improvement": _median(members), "recordings": len(members)}
            for name, members in groups.items()
        },
        "skipped": dict(skipped),
        "utterances": {
            utterance: {
                "condition": conditions.get(utterance),
                "si_snr": score.si_snr.tolist(),
                "improvement": score.improvement.tolist(),
                "stream": [int(stream) + 1 for stream in score.permutation],
            }
            for utterance, score in scores.items()
        },
    }  # fmt: skip
