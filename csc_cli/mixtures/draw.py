"""Which utterances meet: a mixture's talkers are a function of the seed, its number and the data directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.plan import plan_mixture
from csc_cli.mixtures.settings import MixtureConfig
from csc_cli.mixtures.store import AudioStore, detector
from csc_cli.mixtures.surroundings import Surroundings


@dataclass(frozen=True)
class Draw:
    """A mixture whose talkers are known and whose plan is still to be drawn, which needs their audio.

    `seed` and the id decide the draw, so that it can be made anywhere. `voices` are those of a babble.
    """

    id: str
    utterances: tuple[Utterance, ...]
    config: MixtureConfig
    seed: int
    condition: str = ""
    voices: tuple[Utterance, ...] = field(default=(), kw_only=True)

    @property
    def needed(self) -> tuple[Utterance, ...]:
        """All utterances of the data directory that the mixture may need."""
        return self.utterances + self.voices

    def plan(self, store: AudioStore) -> Mixture:
        """The mixture; errors as `plan_mixture`."""
        rng = seeds.generator(self.seed, "plan", self.id)
        return plan_mixture(
            self.id, self.utterances, self.config, rng, store, condition=self.condition, voices=self.voices
        )


def draw_data_dir(
    data: DataDir, config: MixtureConfig, seed: int, count: int, talkers: int | tuple[int, int] = 2, start: int = 0
) -> Iterator[Draw]:
    """`count` mixtures of `talkers` different speakers each (of two numbers: from one to the other), one at a time.

    The first talkers go through all utterances in a random order, again and again; each other talker is a
    random speaker and one of the speaker's utterances. Number n of a longer run is number n of a shorter one, and of
    one that begins at number `start`.

    Raises:
        DataError: fewer speakers than talkers.
    """
    speakers = list(data.spk2utt)
    least, most = (talkers, talkers) if isinstance(talkers, int) else talkers
    if not 1 <= least <= most <= len(speakers):
        raise DataError(
            f"{data.path}: {len(speakers)} speaker(s), too few for mixtures of {most} talkers; "
            "nobody is left to interfere"
        )
    babble = config.noise.probability > 0 and "babble" in config.noise.kinds
    if babble and most == len(speakers):
        raise DataError(f"{data.path}: {len(speakers)} speaker(s); nobody is left to babble behind {most} talkers")
    for index in range(start, count):
        turn, place = divmod(index, len(data.utterances))
        order = _order(seed, turn, len(data.utterances))
        rng = seeds.generator(seed, "talkers", index)
        first = data.utterances[order[place]]
        number = least if least == most else int(seeds.generator(seed, "number", index).integers(least, most + 1))
        chosen = (first, *other_talkers(data, speakers, first, number - 1, rng))
        voices: tuple[Utterance, ...] = ()
        if babble:
            among = seeds.generator(seed, "babble", index)
            voices = draw_voices(data, speakers, chosen, config.noise.babble[1], among)
        yield Draw(f"mix{index:07d}", chosen, config, seed, voices=voices)


@lru_cache(maxsize=2)
def _order(seed: int, turn: int, count: int) -> np.ndarray:
    """The order in which a turn goes through all utterances."""
    return seeds.generator(seed, "order", turn).permutation(count)


def other_talkers(
    data: DataDir, speakers: list[str], first: Utterance, count: int, rng: np.random.Generator
) -> list[Utterance]:
    """`count` random utterances of random speakers, all different and none `first`'s."""
    met = {first.speaker}
    chosen: list[Utterance] = []
    while len(chosen) < count:
        speaker = speakers[int(rng.integers(len(speakers)))]
        if speaker not in met:
            met.add(speaker)
            utterances = data.spk2utt[speaker]
            chosen.append(data.by_id[utterances[int(rng.integers(len(utterances)))]])
    return chosen


def draw_voices(
    data: DataDir, speakers: list[str], talkers: Sequence[Utterance], count: int, rng: np.random.Generator
) -> tuple[Utterance, ...]:
    """`count` random utterances of random speakers who are none of the talkers; a speaker may come again.

    At least one speaker must be left.
    """
    taken = {talker.speaker for talker in talkers}
    chosen: list[Utterance] = []
    while len(chosen) < count:
        speaker = speakers[int(rng.integers(len(speakers)))]
        if speaker not in taken:
            utterances = data.spk2utt[speaker]
            chosen.append(data.by_id[utterances[int(rng.integers(len(utterances)))]])
    return tuple(chosen)


def plan_data_dir(
    data: DataDir,
    config: MixtureConfig,
    seed: int,
    count: int,
    talkers: int | tuple[int, int] = 2,
    store: AudioStore | None = None,
) -> Iterator[Mixture]:
    """The mixtures that `csc simulate` makes of the data directory; errors as `draw_data_dir` and `plan_mixture`."""
    if store is None:
        surroundings = Surroundings.of(config.noise, config.room)
        store = AudioStore(data, config.sample_rate, vad=detector(data, config.activity), surroundings=surroundings)
    for draw in draw_data_dir(data, config, seed, count, talkers):
        yield draw.plan(store)
