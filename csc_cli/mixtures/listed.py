"""A list of trials and the data directory that it names: who meets whom, by the utterances themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from csc_cli.errors import DataError, at
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.trials import Trials, read_trials
from csc_cli.mixtures.split import share_audio

Form = Literal["kaldi", "voxceleb"]


@dataclass(frozen=True)
class Listed:
    """A list of trials over a data directory.

    Attributes:
        enroll: enrollment (an utterance, or else a speaker) -> its utterances.
        speaker: enrollment -> who it is.
        tests: test utterances, in C order.
        rivals: utterance that is tested or enrolls -> the speakers of all that it meets in the list.
        trials: the pairs by the names that the data directory has, in the list's order, with their key.
    """

    enroll: Mapping[str, tuple[Utterance, ...]]
    speaker: Mapping[str, str]
    tests: tuple[Utterance, ...]
    rivals: Mapping[str, frozenset[str]]
    trials: tuple[tuple[str, str, bool], ...]


def read_list(path: str | Path, form: Form, data: DataDir) -> Listed:
    """The list's trials; a list without a key gets it from the data directory's speakers.

    Names are ids of `data`; of a path such as VoxCeleb's `id10270/x6uYqmx31kE/00001.wav` also the id
    `id10270-x6uYqmx31kE-00001`. The first column may name speakers, too: they enroll with all their utterances that
    the list does not test.

    Raises:
        DataError: naming the line: an unknown name, a key that the speakers contradict, an utterance that meets
            itself; an enrolled speaker with no utterance left.
    """
    pairs = read_trials(path, form)
    tests = [_utterance(name, data) for name in pairs.test_ids]
    _refuse_unknown(path, pairs.test_ids, tests, pairs.test_index, data, "the utterance")
    tested = {utterance.id for utterance in tests if utterance is not None}
    enroll = [_enrollment(name, data, tested) for name in pairs.enroll_ids]
    _refuse_unknown(path, pairs.enroll_ids, enroll, pairs.enroll_index, data, "the utterance or speaker")
    trials = tuple(_keyed(path, pairs, [one for one in enroll if one], [one for one in tests if one]))
    enrolled = dict(one for one in enroll if one is not None)
    speaker = {name: utterances[0].speaker for name, utterances in enrolled.items()}
    rivals: dict[str, set[str]] = {}
    for name, test, _ in trials:
        rivals.setdefault(test, set()).add(speaker[name])
        for utterance in enrolled[name]:
            rivals.setdefault(utterance.id, set()).add(data.by_id[test].speaker)
    frozen = {id: frozenset(speakers) for id, speakers in rivals.items()}
    ordered = sorted((one for one in tests if one is not None), key=lambda one: one.id)
    return Listed(enrolled, speaker, tuple(ordered), frozen, trials)


def _utterance(name: str, data: DataDir) -> Utterance | None:
    found = data.by_id.get(name)
    if found is None and "/" in name:
        found = data.by_id.get(str(PurePosixPath(name).with_suffix("")).replace("/", "-"))
    return found


def _enrollment(name: str, data: DataDir, tested: set[str]) -> tuple[str, tuple[Utterance, ...]] | None:
    """The enrollment's name in the data directory and its utterances, or None if it has no such name."""
    one = _utterance(name, data)
    if one is not None:
        return one.id, (one,)
    if name not in data.spk2utt:
        return None
    ids = [id for id in data.spk2utt[name] if id not in tested]
    if not ids:
        raise DataError(f"{data.path}: all utterances of speaker '{name}' are tested; none is left to enroll with")
    return name, tuple(data.by_id[id] for id in ids)


def _refuse_unknown(
    path: str | Path, names: np.ndarray, found: Sequence[object], index: np.ndarray, data: DataDir, what: str
) -> None:
    wrong = [place for place, item in enumerate(found) if item is None]
    if wrong:
        line = int(np.argmax(np.isin(index, wrong)))
        more = f" ({len(wrong)} such names in all)" if len(wrong) > 1 else ""
        message = f"{data.path} does not have {what} '{names[index[line]]}'{more}; give the data that the list is of"
        raise DataError(at(path, line + 1, message))


def _keyed(
    path: str | Path, pairs: Trials, enroll: list[tuple[str, tuple[Utterance, ...]]], tests: list[Utterance]
) -> Iterable[tuple[str, str, bool]]:
    given = None if pairs.target is None else pairs.target.tolist()
    columns = zip(pairs.enroll_index.tolist(), pairs.test_index.tolist(), strict=True)
    for line, (left, right) in enumerate(columns, start=1):
        (name, utterances), test = enroll[left], tests[right]
        target = utterances[0].speaker == test.speaker
        if given is not None and given[line - 1] != target:
            said = "target" if given[line - 1] else "nontarget"
            message = f"says {said}, but the speakers are '{utterances[0].speaker}' and '{test.speaker}'"
            raise DataError(at(path, line, f"{message}; correct the list or utt2spk"))
        if any(share_audio(one, test) for one in utterances):
            message = f"'{test.id}' meets itself, or a part of itself, in '{name}'; take the line out"
            raise DataError(at(path, line, message))
        yield name, test.id, target
