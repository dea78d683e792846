"""VoxCeleb1's lists of trials: O (the test speakers), E (all speakers), H (all, of the same nation and sex)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from csc_cli.errors import DataError, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.trials import Trials, read_trials, write_trials

# The published file -> the data directory. The later, cleaned lists have the plain names, as in most papers.
LISTS = {
    "veri_test2.txt": "voxceleb1_o",
    "list_test_all2.txt": "voxceleb1_e",
    "list_test_hard2.txt": "voxceleb1_h",
    "veri_test.txt": "voxceleb1_o_uncleaned",
    "list_test_all.txt": "voxceleb1_e_uncleaned",
    "list_test_hard.txt": "voxceleb1_h_uncleaned",
}


def find_lists(places: Iterable[Path]) -> dict[str, Path]:
    """The lists in `places` and their folders meta: file name -> where it lies."""
    found: dict[str, Path] = {}
    for path in (place / sub / name for place in places for sub in ("", "meta") for name in LISTS):
        if path.is_file():
            found.setdefault(path.name, path)
    return found


def prepare_lists(
    lists: Mapping[str, Path], parts: Mapping[str, list[Utterance]], data: Path, speakers: Mapping[str, tuple[str, str]]
) -> list[str]:
    """Write data/voxceleb1_{o,e,h}: the utterances that a list names, its trials as Kaldi's, and the list itself.

    Args:
        parts: the utterances of voxceleb1_dev and voxceleb1_test; a list that needs one that is wholly absent is
            passed over, and a line says so.
        speakers: speaker -> (sex, part).

    Raises:
        DataError: trials of utterances that are not there though their part is, or not the published form.
    """
    utterances = {utterance.id: utterance for part in parts.values() for utterance in part}
    lines = []
    for file, name in LISTS.items():
        if file not in lists:
            continue
        trials = read_list(lists[file])
        wanted = sorted(set(trials.enroll_ids.tolist()) | set(trials.test_ids.tolist()))
        missing = [key for key in wanted if key not in utterances]
        if missing:
            message = f"{len(missing)} of {len(wanted)} utterances are not there: {some(missing)}"
            if all(parts.values()):
                raise DataError(f"{lists[file]}: {message}; unpack VoxCeleb1's dev and test again")
            lines.append(f"{data / name}: not made, {message} (it needs VoxCeleb1's dev and test)")
            continue
        _save(DataDir(data, tuple(utterances[key] for key in wanted)), trials, lists[file], data / name, speakers)
        lines.append(f"{data / name}: {len(wanted)} utterances, {len(trials)} trials")
    return lines


def read_list(path: Path) -> Trials:
    """The trials of a list, `1|0 id10270/5r0dWxy17C8/00001.wav id...`, as utterance ids. Raises DataError."""
    trials = read_trials(path, "voxceleb")
    return Trials(
        _ids(trials.enroll_ids, path), _ids(trials.test_ids, path), trials.enroll_index, trials.test_index,
        trials.target,
    )  # fmt: skip


def utterance_id(name: str) -> str:
    """The id of a recording that a list names.

    >>> utterance_id("id10270/5r0dWxy17C8/00001.wav")
    'id10270-5r0dWxy17C8-00001'
    """
    return name.rpartition(".")[0].replace("/", "-")


def _ids(names: np.ndarray, path: Path) -> np.ndarray:
    odd = [name for name in names.tolist() if name.count("/") != 2 or "." not in name]
    if odd:
        raise DataError(f"{path}: '{odd[0]}' is not SPEAKER/VIDEO/NUMBER.wav; download the list again")
    ids = np.empty(len(names), dtype=object)
    ids[:] = [utterance_id(name) for name in names.tolist()]
    return ids


def _save(chosen: DataDir, trials: Trials, file: Path, folder: Path, speakers: Mapping[str, tuple[str, str]]) -> None:
    sexes = {speaker: speakers[speaker][0] for speaker in chosen.spk2utt if speaker in speakers}
    tables = {"spk2gender": sexes} if len(sexes) == len(chosen.spk2utt) else {}
    DataDir(chosen.path, chosen.utterances, tables).save(folder)
    write_trials(folder / "trials", trials)
    shutil.copyfile(file, folder / file.name)
