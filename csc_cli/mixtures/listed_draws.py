"""The recordings of a protocol over a list: each utterance meets one interferer, in all conditions the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.audio import length_samples
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.conditions import DIGITS, draw_noise, uniform, with_clips
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.listed import Listed
from csc_cli.mixtures.manifest import Mixture, Source
from csc_cli.mixtures.presets import Case, ListConfig
from csc_cli.mixtures.settings import MixtureConfig
from csc_cli.mixtures.store import AudioStore

TRIES = 100
Part = tuple[int, int, int]  # start, length, onset


@dataclass(frozen=True)
class ListedDraw(Draw):
    """One recording: the first utterance, and in most conditions a second one that interferes.

    Attributes:
        case: how they meet; `config` has the rate and, for noise, the noise.
        level_db: of the first one's active speech.
        sir_db: the first one minus the other.
        overlap: the common part's share of the whole mixture (overlapped).
        first: whether the first utterance begins (concatenated, overlapped).
    """

    case: Case = "clean"
    level_db: float = 0.0
    sir_db: float = 0.0
    overlap: float = 0.0
    first: bool = True

    def plan(self, store: AudioStore) -> Mixture:
        """The mixture, of whole recordings; errors as `AudioStore.samples`."""
        rng = seeds.generator(self.seed, "list plan", self.id)
        lengths = [store.samples(utterance.id).size for utterance in self.utterances]
        parts, total = _place(self.case, lengths, self.overlap, self.first, rng)
        levels = (self.level_db, round(self.level_db - self.sir_db, DIGITS))
        sources = tuple(
            Source(utterance.id, utterance.speaker, start, length, onset, level_db)
            for utterance, (start, length, onset), level_db in zip(self.utterances, parts, levels, strict=False)
        )
        noise = draw_noise(rng, self.config.noise, self.level_db)
        if noise is not None:
            noise = with_clips(noise, self.config.noise, rng, store, total, self.voices)
        return Mixture(self.id, self.config.sample_rate, total, sources, noise, None, self.condition)


def _place(
    case: Case, lengths: list[int], overlap: float, first: bool, rng: np.random.Generator
) -> tuple[list[Part], int]:
    """Start, length and onset of each source, and the length of the mixture, in samples.

    Of two that overlap, the common part is `overlap` of the whole: n = L1 + L2 - common, common = overlap * n.
    """
    one = lengths[0]
    if len(lengths) == 1:
        return [(0, one, 0)], one
    two = lengths[1]
    if case == "mixed":
        common = min(one, two)
        start, onset = int(rng.integers(two - common + 1)), int(rng.integers(one - common + 1))
        return [(0, one, 0), (start, common, onset)], one
    common = round(overlap * (one + two) / (1 + overlap)) if case == "overlapped" else 0
    total = one + two - common
    onsets = (0, one - common) if first else (two - common, 0)
    return [(0, one, onsets[0]), (0, two, onsets[1])], total


def test_draws(listed: Listed, pool: DataDir, config: ListConfig, seed: int) -> Iterator[ListedDraw]:
    """The test recordings, in C order of their utterances; `UTT-CONDITION` is their id.

    Args:
        pool: whose utterances interfere.

    Raises:
        DataError: nobody is left to interfere with one of them.
    """
    chooser = Chooser(pool, config, seed, side=1 if config.enrollment == "mixture" else None)
    for target in listed.tests:
        avoid = listed.rivals[target.id] | {target.speaker}
        yield from _draws(target, chooser, avoid, config, seed, "test", config.conditions)


def enroll_draws(listed: Listed, pool: DataDir, config: ListConfig, seed: int) -> Iterator[ListedDraw]:
    """The enrollment recordings, in C order; mixtures are `UTT-mixed`. Arguments and errors as `test_draws`."""
    chooser = Chooser(pool, config, seed, side=0)
    mixed = config.enrollment == "mixture"
    utterances = {one.id: one for enrolled in listed.enroll.values() for one in enrolled}
    for id in sorted(utterances):
        one = utterances[id]
        avoid = listed.rivals[id] | {one.speaker}
        for draw in _draws(one, chooser, avoid, config, seed, "enroll", ("mixed",) if mixed else ("clean",)):
            yield draw if mixed else replace(draw, id=id, condition="enroll")


def _draws(
    target: Utterance,
    chooser: Chooser,
    avoid: frozenset[str],
    config: ListConfig,
    seed: int,
    part: str,
    cases: tuple[Case, ...],
) -> Iterator[ListedDraw]:
    rng = seeds.generator(seed, f"list {part}", target.id)
    sir_db = _ratio(config, rng)
    first = bool(rng.random() < 0.5)
    wanted = bool(set(cases) - {"clean", "noisy"})
    other, overlap = chooser.choose(target, avoid, rng, "overlapped" in cases) if wanted else (None, 0.0)
    for case in cases:
        noise = replace(config.noise, probability=1.0 if case == "noisy" else 0.0, snr_db=(sir_db, sir_db))
        settings = MixtureConfig(sample_rate=config.sample_rate, crop_s=None, noise=noise)
        utterances = (target,) if other is None or case in ("clean", "noisy") else (target, other)
        name = f"{target.id}-{case}"
        voices = chooser.voices(name, avoid) if case == "noisy" and "babble" in config.noise.kinds else ()
        yield ListedDraw(
            name, utterances, settings, seed, case, case, config.level_db, sir_db, overlap, first, voices=voices
        )


def _ratio(config: ListConfig, rng: np.random.Generator) -> float:
    if not config.sir_step_db:
        return uniform(rng, config.sir_db)
    low, high = config.sir_db
    steps = int((high - low) / config.sir_step_db + 1e-9)
    return round(low + config.sir_step_db * int(rng.integers(steps + 1)), DIGITS)


class Chooser:
    """Draws interferers among the utterances of a data directory, by their ids alone.

    `side` 0 or 1 keeps to one half of the speakers, so that nobody interferes both with enrollments and with tests.
    """

    def __init__(self, pool: DataDir, config: ListConfig, seed: int, side: int | None) -> None:
        self.pool, self.config, self.seed = pool, config, seed
        speakers = {speaker for speaker in pool.spk2utt if side in (None, seeds.derive(seed, "side", speaker) & 1)}
        self.utterances = [one for one in pool.utterances if one.speaker in speakers]
        self.speakers = speakers

    def choose(
        self, target: Utterance, avoid: frozenset[str], rng: np.random.Generator, overlapped: bool
    ) -> tuple[Utterance, float]:
        """An interferer of other speakers than `avoid`, and an overlap that the two lengths allow (see `_place`).

        Raises:
            DataError: there is none.
        """
        self._check(target.id, avoid)
        one = length_samples(target, self.config.sample_rate) if overlapped else 0
        for _ in range(TRIES):
            overlap = uniform(rng, self.config.overlap)
            for _ in range(TRIES):
                other = self._draw(avoid, rng)
                two = length_samples(other, self.config.sample_rate) if overlapped else 0
                if overlap * max(one, two) <= min(one, two):
                    return other, overlap
        raise DataError(
            f"{self.pool.path}: no utterance is long or short enough to overlap '{target.id}' by "
            f"{self.config.overlap[0]:g} of the whole; lower overlap, or give other people by --interferers"
        )

    def voices(self, name: str, avoid: frozenset[str]) -> tuple[Utterance, ...]:
        """Utterances for the babble of recording `name`, of other speakers than `avoid`; errors as `choose`."""
        self._check(name, avoid)
        rng = seeds.generator(self.seed, "list babble", name)
        return tuple(self._draw(avoid, rng) for _ in range(self.config.noise.babble[1]))

    def _check(self, name: str, avoid: frozenset[str]) -> None:
        if self.speakers <= avoid:
            raise DataError(
                f"{self.pool.path}: nobody is left to interfere with '{name}', who meets speakers of all "
                f"{len(self.speakers)} that may; give other people by --interferers"
            )

    def _draw(self, avoid: frozenset[str], rng: np.random.Generator) -> Utterance:
        for _ in range(TRIES):
            other = self.utterances[int(rng.integers(len(self.utterances)))]
            if other.speaker not in avoid:
                return other
        able = [one for one in self.utterances if one.speaker not in avoid]
        return able[int(rng.integers(len(able)))]
