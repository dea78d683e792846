"""Utterances whose recording cannot be read while training goes on: others in their place, named and counted.

A batch stays a function of (seed, step) and of which recordings can be read: before each batch it is asked whether the
files of its utterances are there, even where their samples are still in memory, so that workers, ranks and reruns
that find the same files make the same batch (ours).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np

from csc_cli import seeds
from csc_cli.errors import AudioError, DataError, some
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.sources import place_of
from csc_cli.kaldi.specifiers import is_pipe, split_offset
from csc_cli.mixtures.store import AudioStore
from csc_cli.progress import note

Heard = tuple[Utterance, float]  # and its speed
Lost = tuple[tuple[str, str], ...]  # utterance ids, and what is wrong with each
Made = TypeVar("Made")


def absence(utterance: Utterance) -> str:
    """That the file of its recording is not there; empty where it is, or where it is a command."""
    name = utterance.recording
    if is_pipe(name) or os.path.exists(name) or os.path.exists(split_offset(name)[0]):
        return ""
    return f"{place_of(utterance)}: is not there"


def fault(utterance: Utterance, store: AudioStore, speed: float = 1.0) -> str:
    """What is wrong with an utterance that cannot be mixed; empty for one that can."""
    message = absence(utterance)
    if not message:
        try:
            store.speech(utterance.id, speed)
            store.samples(utterance.id, speed)
        except AudioError as error:
            message = str(error)
    return message


class Substitutes:
    """Draws others for those utterances of a batch that cannot be read: of the same speaker, else of another one."""

    def __init__(
        self, utterances: Sequence[Utterance], label: Callable[[Utterance], str], seed: int, store: AudioStore
    ) -> None:
        """`label` says whose an utterance is: those of like label stand for each other."""
        self.utterances, self.label, self.seed, self.store = utterances, label, seed, store
        self.drawn: Sequence[Heard] = ()  # of the batch that is being made
        self.asked: dict[str, Utterance] = {}  # and all who were asked for
        self.faults: dict[str, str] = {}  # found while it was being made
        self.lost: dict[str, str] = {}  # whom it misses

    @cached_property
    def groups(self) -> dict[str, list[Utterance]]:
        """The utterances by label; made where first needed, which in most trainings is never."""
        groups: dict[str, list[Utterance]] = {}
        for utterance in self.utterances:
            groups.setdefault(self.label(utterance), []).append(utterance)
        return groups

    def attempt(self, make: Callable[[], Made]) -> tuple[Made, Lost]:
        """What `make`, which asks `fill` whom to mix, gives once all of them can be read; and who could not.

        Raises:
            CscError: of `make`, for another reason; nobody is left to draw.
        """
        self.faults, self.lost = {}, {}
        while True:
            try:
                return make(), tuple(self.lost.items())
            except AudioError:
                found = {one.id: fault(one, self.store) for one in self.asked.values()}
                found |= {one.id: fault(one, self.store, speed) for one, speed in self.drawn}
                new = {name: message for name, message in found.items() if message}
                if not new:
                    raise
                self.faults |= new

    def fill(self, step: int, drawn: Sequence[Heard]) -> list[Heard]:
        """The utterances drawn for a batch, others in the place of those that cannot be read.

        Raises:
            DataError: nobody is left to draw.
        """
        filled, self.asked = list(drawn), {}
        bad = [place for place, (utterance, _) in enumerate(drawn) if not self.usable(utterance)]
        while bad:
            rng = seeds.generator(self.seed, "substitute", step, bad[0])
            label = self.label(drawn[bad[0]][0])
            own = [place for place, (utterance, _) in enumerate(drawn) if self.label(utterance) == label]
            places = [place for place in own if place in bad]
            kept = [filled[place][0] for place in own if place not in bad]
            chosen = self.choose(self.groups[label], rng, len(places), filled) or kept[:1]
            if not chosen:  # nothing of this speaker can be read
                places, chosen = own, self.choose_others(rng, len(own), filled)
            for index, place in enumerate(places):
                # A speaker with a single utterance brings it twice, as where all can be read.
                filled[place] = (chosen[min(index, len(chosen) - 1)], drawn[place][1])
            bad = [place for place in bad if place not in own]
        self.drawn = filled
        return filled

    def choose(
        self, group: Sequence[Utterance], rng: np.random.Generator, count: int, filled: Sequence[Heard]
    ) -> list[Utterance]:
        """Up to `count` random utterances of the group that can be read and are not in the batch."""
        present, found = {utterance.id for utterance, _ in filled}, list[Utterance]()
        for index in rng.permutation(len(group)):
            if len(found) < count and group[index].id not in present and self.usable(group[index]):
                found.append(group[index])
        return found

    def choose_others(self, rng: np.random.Generator, count: int, filled: Sequence[Heard]) -> list[Utterance]:
        """The same of the first in a random order of labels, none of the batch's, who has one."""
        present = {self.label(utterance) for utterance, _ in filled}
        others = [label for label in self.groups if label not in present]
        for index in rng.permutation(len(others)):
            found = self.choose(self.groups[others[index]], rng, count, filled)
            if found:
                return found
        reason = next(iter(self.lost.values()))
        raise DataError(f"nobody is left to train on in the place of {some(sorted(self.lost))}: {reason}")

    def usable(self, utterance: Utterance) -> bool:
        """Whether its file is there and nothing was found wrong with it; otherwise it is lost."""
        self.asked[utterance.id] = utterance
        message = self.faults.get(utterance.id) or absence(utterance)
        if message:
            self.lost[utterance.id] = message
        return not message


class LostCount:
    """Names each lost utterance once, and ends the training when they are too many."""

    def __init__(self, limit: float, total: int, aloud: bool = True) -> None:
        """`limit` is the share of `total` utterances that may be lost; `aloud`: whether each is named."""
        self.limit, self.total, self.aloud = limit, total, aloud
        self.faults: dict[str, str] = {}

    def add(self, lost: Iterable[tuple[str, str]]) -> None:
        """
        Raises:
            DataError: more than the share are lost.
        """
        for utterance, message in lost:
            if utterance not in self.faults:
                self.faults[utterance] = message
                if self.aloud:
                    note(f"{message}; left out ({len(self.faults)} of {self.total} utterances)")
        if len(self.faults) > self.limit * self.total:
            raise DataError(
                f"{len(self.faults)} of {self.total} utterances cannot be read, more than the share "
                f"batch.lost={self.limit:g}: {some(list(self.faults.values()), 1)}; restore them, and the same command "
                "goes on from the last checkpoint"
            )

    def figures(self) -> dict[str, int]:
        """For a line of train.jsonl; empty where all could be read."""
        return {"lost": len(self.faults)} if self.faults else {}

    def words(self) -> str:
        """For the last line of a training; empty where all could be read."""
        return f"; left out: {some(list(self.faults))}, which could not be read" if self.faults else ""

    def state(self) -> dict[str, str]:
        return self.faults

    def load(self, state: Mapping[str, str]) -> None:
        self.faults = dict(state)
