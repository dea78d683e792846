"""Who enrolls, who is tested and who interferes: a function of the seed and each speaker alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def split_speakers(data: DataDir, config: TrialsConfig, seed: int, interferers: DataDir | None = None) -> Split:
    """Part each speaker's utterances.

    Args:
        interferers: other people, who alone interfere.

    Raises:
        ConfigError: `held_back` beside `interferers`, or so many that nobody is left.
        DataError: fewer than two speakers with two utterances, nobody left to interfere with one of them, or
            the two data directories share ids.
    """
    back = _held_back(data, config, seed)
    enroll: dict[str, list[str]] = {}
    test: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {}
    for speaker, ids in data.spk2utt.items():
        order = [ids[place] for place in seeds.generator(seed, "split", speaker).permutation(len(ids))]
        count = 0 if speaker in back else min(config.enrollment, len(order) - 1)
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
        _refuse_shared(data, interferers)
        left, utterances = interferers.spk2utt, data.by_id | interferers.by_id
    elif back:
        left = {speaker: ids for speaker, ids in left.items() if speaker not in enroll}
    split = Split(enroll, test, left, utterances)
    _check_interferers(interferers or data, split, config)
    return split


def _held_back(data: DataDir, config: TrialsConfig, seed: int) -> set[str]:
    """The speakers who are never enrolled though they could be."""
    able = [speaker for speaker, ids in data.spk2utt.items() if len(ids) > 1]
    able.sort(key=lambda speaker: seeds.derive(seed, "held back", speaker))
    count = int(config.held_back) if config.held_back >= 1 else round(config.held_back * len(able))
    if count and len(able) - count < 2:
        raise ConfigError(f"held_back={config.held_back:g}: leaves fewer than two of {len(able)} speakers to enroll")
    return set(able[:count])


def _refuse_shared(data: DataDir, interferers: DataDir) -> None:
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
