"""Who enrolls, who is tested and who interferes: a function of the seed and each speaker alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from csc_cli import seeds
from csc_cli.errors import ConfigError, DataError, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.settings import TrialsConfig


@dataclass(frozen=True)
class Split:
    """Speaker -> utterance ids: which enroll, which are tested, which may interfere; and all utterances by id."""

    enroll: Mapping[str, Sequence[str]]
    test: Mapping[str, Sequence[str]]
    interferers: Mapping[str, Sequence[str]]
    utterances: Mapping[str, Utterance]

    def talk_over(self, speaker: str, count: int, rng: np.random.Generator) -> list[str]:
        """`count` random speakers who interfere with `speaker`, all different."""
        others = [other for other in sorted(self.interferers) if other != speaker]
        return [others.pop(int(rng.integers(len(others)))) for _ in range(count)]


def split_speakers(
    data: DataDir,
    config: TrialsConfig,
    seed: int,
    interferers: DataDir | None = None,
    seconds: Mapping[str, float] | None = None,
) -> Split:
    """Part each speaker's utterances.

    Args:
        interferers: other people, who alone interfere.
        seconds: of speech of each utterance of speakers with several, where `enrollment_s` is set.

    Raises:
        ConfigError: `held_back` beside `interferers`, or so many that nobody is left.
        DataError: fewer than two speakers with two utterances, nobody left to interfere with one of them,
            the two data directories share ids, or an enrolling utterance shares audio with another that is heard.
    """
    back = _held_back(data, config, seed)
    enroll: dict[str, list[str]] = {}
    test: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {}
    for speaker, ids in data.spk2utt.items():
        order = [ids[place] for place in seeds.generator(seed, "split", speaker).permutation(len(ids))]
        count = 0 if speaker in back else min(_enough(order, config, seconds), len(order) - 1)
        if count:
            enroll[speaker] = order[:count]
            test[speaker] = order[count : count + config.tests]
        left[speaker] = sorted(order[count:])
    if len(enroll) < 2:
        raise DataError(
            f"{data.path}: {len(enroll)} of {len(data.spk2utt)} speaker(s) have two utterances, one to enroll and one "
            "to test; trials need two such speakers, or nobody is left to interfere and to be told apart"
        )
    utterances: Mapping[str, Utterance] = data.by_id
    if interferers is not None:
        if back:
            raise ConfigError(f"held_back={config.held_back:g}: give other interferers or hold some back, not both")
        refuse_shared_ids(data, interferers)
        left, utterances = interferers.spk2utt, data.by_id | interferers.by_id
    elif back:
        left = {speaker: ids for speaker, ids in left.items() if speaker not in enroll}
    split = Split(enroll, test, left, utterances)
    _check_interferers(interferers or data, split, config)
    refuse_shared_audio(
        (utterances[id] for ids in enroll.values() for id in ids),
        (utterances[id] for part in (test, left) for ids in part.values() for id in ids),
    )
    return split


def refuse_shared_audio(enroll: Iterable[Utterance], heard: Iterable[Utterance]) -> None:
    """Raise DataError where an utterance that enrolls has samples in common with one that tests or interferes."""
    spans: dict[tuple[str, int], list[Utterance]] = {}
    for utterance in heard:
        spans.setdefault((utterance.recording, utterance.channel), []).append(utterance)
    for one in enroll:
        for other in spans.get((one.recording, one.channel), ()):
            if share_audio(one, other):
                raise DataError(
                    f"{one.scp}: the utterances '{one.id}' (which enrolls) and '{other.id}' (which is heard in tests) "
                    "have the same audio in part; leave one of them out, or make segments that do not overlap"
                )


def share_audio(one: Utterance, other: Utterance) -> bool:
    """Whether the two have samples of one channel of one recording in common."""
    if (one.recording, one.channel) != (other.recording, other.channel):
        return False
    ends = [math.inf if part.end_s is None else part.end_s for part in (one, other)]
    return min(ends) > max(one.start_s, other.start_s)


def _enough(order: Sequence[str], config: TrialsConfig, seconds: Mapping[str, float] | None) -> int:
    """How many of the utterances, in this order, enroll if there are as many."""
    if config.enrollment_s is None or seconds is None or len(order) < 2:
        return config.enrollment
    sums = np.cumsum([seconds[id] for id in order])
    return int(np.searchsorted(sums, config.enrollment_s)) + 1


def _held_back(data: DataDir, config: TrialsConfig, seed: int) -> set[str]:
    """The speakers who are never enrolled though they could be."""
    able = [speaker for speaker, ids in data.spk2utt.items() if len(ids) > 1]
    able.sort(key=lambda speaker: seeds.derive(seed, "held back", speaker))
    count = int(config.held_back) if config.held_back >= 1 else round(config.held_back * len(able))
    if count and len(able) - count < 2:
        raise ConfigError(f"held_back={config.held_back:g}: leaves fewer than two of {len(able)} speakers to enroll")
    return set(able[:count])


def refuse_shared_ids(data: DataDir, interferers: DataDir) -> None:
    """Raise DataError where the two have speakers or utterances in common."""
    both = f"{data.path} and {interferers.path} both have"
    speakers = sorted(set(data.spk2utt) & set(interferers.spk2utt))
    if speakers:
        raise DataError(
            f"{both} the speaker(s) {some(speakers)}; interferers must be other people: leave these out of "
            f"{interferers.path}, or give them other ids if they are others"
        )
    utterances = sorted(set(data.by_id) & set(interferers.by_id))
    if utterances:
        raise DataError(f"{both} the utterance(s) {some(utterances)}; give them other ids in {interferers.path}")


def _check_interferers(data: DataDir, split: Split, config: TrialsConfig) -> None:
    need = max(config.talkers) - 1
    have = len(split.interferers) - (not split.interferers.keys().isdisjoint(split.test))
    if config.sir_db and have < need:
        raise DataError(
            f"{data.path}: {have} speaker(s) are left to interfere; {need} are needed for {need + 1} talkers"
        )
