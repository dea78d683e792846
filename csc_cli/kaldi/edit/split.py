"""A data directory in N parts under it, by the rules of Kaldi's split_data.sh: splitN/J, splitNutt/J."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.files import atomic_dir
from csc_cli.kaldi.edit.tables import Tables, read_tables
from csc_cli.kaldi.layout import is_of_data_dir, keys_of
from csc_cli.kaldi.specifiers import unwritable
from csc_cli.kaldi.text import without_gc


def split_data_dir(source: str | Path, number: int, per_utt: bool = False) -> str:
    """Write the parts 1 to `number` of the data directory `source` to `source/splitN/J`; returns a summary.

    Args:
        per_utt: ignore the speakers, and write to `source/splitNutt/J`; else a speaker is in one part.

    Raises:
        DataError: faults in `source`; fewer speakers (utterances) than parts.
    """
    source = Path(source)
    out = source / f"split{number}{'utt' if per_utt else ''}"
    if is_newer(out, source, number):
        return f"{out}: {number} parts are there already and newer than {source}"
    data = read_tables(source)
    parts = by_utterance(list(data.utt2spk), number) if per_utt else by_speaker(data, number)
    try:
        with atomic_dir(out) as folder:
            _write(data, parts, folder)
    except OSError as error:
        raise unwritable(out, error) from error
    sizes = sorted(map(len, parts))
    return f"{out}: {number} parts of {sizes[0]} to {sizes[-1]} utterances"


def is_newer(out: Path, source: Path, number: int) -> bool:
    """Whether all parts are in `out`, made of just the files that `source` has, after their last change."""
    inputs = [file for file in source.iterdir() if is_of_data_dir(file.name) and file.is_file()]
    if not inputs or not all((out / str(job) / "utt2spk").exists() for job in range(1, number + 1)):
        return False
    made = {file.name: file.stat().st_mtime_ns for file in (out / "1").iterdir()}
    # A table without entries of the first part has no file there; a file that the source has no more is stale.
    if not set(made) <= {file.name for file in inputs} | {"spk2utt"}:
        return False
    return min(made.values()) > max(file.stat().st_mtime_ns for file in inputs)


def by_utterance(utterances: Sequence[str], number: int) -> list[list[str]]:
    """Runs of equal size; the first ones have one more where the number does not divide.

    >>> by_utterance(["a", "b", "c", "d", "e"], 3)
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    if not 0 < number <= len(utterances):
        raise DataError(f"{len(utterances)} utterances cannot be split into {number} parts; ask for fewer")
    size, more = divmod(len(utterances), number)
    starts = [job * size + min(job, more) for job in range(number + 1)]
    return [list(utterances[start:stop]) for start, stop in pairwise(starts)]


def by_speaker(data: Tables, number: int) -> list[list[str]]:
    """Runs of speakers with about as many utterances each, in the order of utt2spk (Kaldi's split_scp.pl).

    At first each part gets as many speakers; then a part's first or last speaker moves to its neighbour for as
    long as that makes the two more alike.
    """
    own: dict[str, list[str]] = {}
    for utterance, speaker in data.utt2spk.items():
        own.setdefault(speaker, []).append(utterance)
    if not 0 < number <= len(own):
        remedy = "ask for fewer, or split by utterance (--per-utt)"
        raise DataError(f"{data.path}: {len(own)} speakers cannot be split into {number} parts; {remedy}")
    # bounds[j] is the first speaker of part j: the least s with int(s * number / speakers) = j.
    bounds = [-(-job * len(own) // number) for job in range(number + 1)]
    speakers = list(own)
    _balance(bounds, [len(own[speaker]) for speaker in speakers])
    return [
        [utterance for speaker in speakers[start:stop] for utterance in own[speaker]]
        for start, stop in pairwise(bounds)
    ]


def _balance(bounds: list[int], sizes: Sequence[int]) -> None:
    """Move the bounds between neighbouring parts until no move of one speaker makes two parts more alike."""
    totals = [sum(sizes[start:stop]) for start, stop in pairwise(bounds)]

    def move(left: int, size: int, step: int) -> bool:
        """Move one speaker across the bound after part `left`: to the right (step -1) or to the left (1)."""
        if abs(totals[left + 1] - totals[left] - 2 * step * size) >= abs(totals[left + 1] - totals[left]):
            return False
        totals[left] += step * size
        totals[left + 1] -= step * size
        bounds[left + 1] += step
        return True

    changed = True
    while changed:
        changed = False
        for part in range(len(totals)):
            if part + 1 < len(totals) and bounds[part] < bounds[part + 1]:
                changed |= move(part, sizes[bounds[part + 1] - 1], -1)
            if part and bounds[part] < bounds[part + 1]:
                changed |= move(part - 1, sizes[bounds[part]], 1)


@without_gc()
def _write(data: Tables, parts: Sequence[Sequence[str]], folder: Path) -> None:
    """Each table's lines to the parts that they belong to, in one pass over the table."""
    jobs: dict[str, dict[str, list[int]]] = {"utterance": {}, "speaker": {}, "recording": {}}
    for job, utterances in enumerate(parts):
        keys: dict[str, Iterable[str]] = {"utterance": utterances, "recording": data.recordings(utterances)}
        keys["speaker"] = {data.utt2spk[utterance] for utterance in utterances}
        for what, own in keys.items():
            for key in own:
                jobs[what].setdefault(key, []).append(job)
        (folder / str(job + 1)).mkdir()
    for name, table in data.of.items():
        what = "recording" if name == "wav.scp" else keys_of(name)
        _deal(folder, name, table, jobs[what], len(parts))
    for job, utterances in enumerate(parts, 1):
        part = Tables(data.path, {"utt2spk": {utterance: data.utt2spk[utterance] for utterance in utterances}})
        (folder / str(job) / "spk2utt").write_bytes(part.content("spk2utt"))
        if "frame_shift" in data.plain:
            (folder / str(job) / "frame_shift").write_bytes(data.plain["frame_shift"])


def _deal(folder: Path, name: str, table: Mapping[str, str], jobs: Mapping[str, Sequence[int]], number: int) -> None:
    rows: list[list[str]] = [[] for _ in range(number)]
    for key in sorted(table):
        line = f"{key} {table[key]}\n" if table[key] else f"{key}\n"
        for job in jobs.get(key, ()):
            rows[job].append(line)
    for job, lines in enumerate(rows, 1):
        if lines:
            (folder / str(job) / name).write_text("".join(lines), encoding="utf-8")
