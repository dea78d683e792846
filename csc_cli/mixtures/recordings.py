"""The recordings of a verification protocol: who is heard in each, a function of the seed and its id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.lengths import speech_lengths
from csc_cli.mixtures.settings import MixtureConfig, TrialsConfig
from csc_cli.mixtures.split import Split
from csc_cli.mixtures.trial_conditions import Condition, Overlapped, conditions


class Recordings:
    """What enrolls and what is tested, by the split of the speakers; see `protocol` for the rules.

    Args:
        nj: processes that look where there is speech.
        vad: says it; None: csc's own detector does.
    """

    def __init__(self, split: Split, config: TrialsConfig, seed: int, nj: int = 1, vad: VadTable | None = None) -> None:
        self.split, self.config, self.seed, self.nj, self.vad = split, config, seed, nj, vad
        self.conditions = conditions(config)

    def enroll(self) -> Iterator[Draw]:
        """One for each utterance that enrolls, in C order."""
        for id in sorted(id for ids in self.split.enroll.values() for id in ids):
            settings, talkers = self.config.mixture(), (self.split.utterances[id],)
            yield Draw(id, talkers, settings, self.seed, "enroll", voices=self._voices(id, talkers, settings))

    def test(self) -> list[Draw]:
        """All test recordings, in C order.

        Raises:
            CscError: an utterance that cannot be read or is silent, a condition that no utterance is long enough for,
                nobody left to babble.
        """
        drawn = [
            self._draw(speaker, id, condition)
            for speaker, ids in self.split.test.items()
            for id in ids
            for condition in self.conditions
            if condition.cut_s is None or self._lengths[id] >= condition.cut_s * self.config.sample_rate
        ]
        empty = {condition.name for condition in self.conditions}.difference(draw.condition for draw in drawn)
        if empty:
            raise DataError(f"no test utterance has enough speech for {', '.join(sorted(empty))}; give shorter cut_s")
        return sorted(drawn, key=lambda draw: draw.id)

    def _draw(self, speaker: str, id: str, condition: Condition) -> Draw:
        name = f"{id}-{condition.name}"
        chosen, rng = self._interferers(speaker, name, condition)
        lengths = self._lengths if chosen else {}
        over = [_pick(self.split.interferers[other], lengths, lengths[id], rng) for other in chosen]
        talkers = tuple(self.split.utterances[one] for one in (id, *over))
        settings = condition.mixture(self.config)
        voices = self._voices(name, talkers, settings)
        if condition.overlap is None:
            return Draw(name, talkers, settings, self.seed, condition.name, voices=voices)
        return Overlapped(name, talkers, settings, self.seed, condition.name, condition.overlap, voices=voices)

    def _interferers(self, speaker: str, name: str, condition: Condition) -> tuple[list[str], np.random.Generator]:
        """The speakers who interfere in recording `name`, and the generator that goes on to pick their utterances."""
        rng = seeds.generator(self.seed, "interferer", name)
        return self.split.talk_over(speaker, condition.talkers - 1, rng), rng

    def _voices(self, name: str, talkers: Sequence[Utterance], settings: MixtureConfig) -> tuple[Utterance, ...]:
        """Utterances for a babble: of speakers who may interfere and are none of the talkers."""
        if not settings.noise.probability or "babble" not in settings.noise.kinds:
            return ()
        taken = {talker.speaker for talker in talkers}
        able = [speaker for speaker in sorted(self.split.interferers) if speaker not in taken]
        if not able:
            raise DataError(f"recording '{name}': nobody is left to babble behind {len(talkers)} talker(s)")
        rng = seeds.generator(self.seed, "babble", name)
        pools = (self.split.interferers[able[int(rng.integers(len(able)))]] for _ in range(settings.noise.babble[1]))
        return tuple(self.split.utterances[pool[int(rng.integers(len(pool)))]] for pool in pools)

    @cached_property
    def _lengths(self) -> Mapping[str, int]:
        """Samples from first to last speech of each mixed or cut utterance, and of all that interferers have."""
        needed: set[str] = set()
        for speaker, ids in self.split.test.items():
            for id in ids:
                for condition in self.conditions:
                    if condition.talkers > 1 or condition.cut_s is not None:
                        chosen, _ = self._interferers(speaker, f"{id}-{condition.name}", condition)
                        needed.update([id], *(self.split.interferers[other] for other in chosen))
        utterances = (self.split.utterances[id] for id in needed)
        return speech_lengths(utterances, self.config.sample_rate, self.nj, self.vad)


def _pick(pool: Sequence[str], lengths: Mapping[str, int], least: int, rng: np.random.Generator) -> str:
    """A random utterance of the pool with at least so much speech, else the one with most."""
    enough = [id for id in pool if lengths[id] >= least]
    return enough[int(rng.integers(len(enough)))] if enough else max(pool, key=lambda id: (lengths[id], id))
