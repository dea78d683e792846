"""A verification protocol: enrollment on clean speech, tests clean and interfered, each recording in its own channel.

Rules (ours):

* A speaker's utterances are put in random order; the first `enrollment` enroll, the next `tests` are tested. A
  speaker with fewer keeps one for testing and enrolls with the rest; one with a single utterance is not enrolled
  and can only interfere.
* Each test utterance is tested clean and, for each number of `talkers` and each ratio of `sir_db`, mixed with
  utterances of other speakers that enroll nobody: random speakers, and of each speaker's utterances a random one
  with at least as much speech as the test utterance, else the one with most. It is cut to the test utterance's
  length, or laid at a random place inside: the overlap is as high as the lengths allow.
* Interferers are the other speakers, or people who are never enrolled: those of another data directory, or those
  that are held back.
* Trials are all enrolled speakers against all test recordings, or the matched ones (see `impostors`), or so many
  nontargets for each recording; target if the enrolled speaker is any of the talkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.impostors import groups
from csc_cli.mixtures.produce import PLAN, Job, Product, data_digest, produce
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.split import Split, split_speakers
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.trials import write_trials
from csc_cli.parallel import ordered_map
from csc_cli.progress import track

CLEAN = "clean"


def make_trials(
    data_dir: Path,
    out: Path,
    config: TrialsConfig,
    *,
    seed: int = 0,
    interferers: Path | None = None,
    audio: bool = True,
    nj: int = 1,
) -> str:
    """Write the parts out/enroll and out/test, and out/{trials,utt2cond,utt2spks,utt2overlap,README.md}.

    Args:
        data_dir: clean recordings of speakers that no model was trained on.
        interferers: clean recordings of other people, who alone interfere and are never enrolled.
        audio: write the recordings, so that any Kaldi program can read them, or only their mix.jsonl.

    Returns:
        Lines for people.

    Raises:
        CscError: a recording that cannot be used (naming its line of mix.jsonl), too few speakers or utterances,
            ids that both data directories have, no sex or age of a speaker who is to be matched.
    """
    data = DataDir.load(data_dir)
    others = DataDir.load(interferers) if interferers else None
    split = split_speakers(data, config, seed, others)
    matches = groups(data, split.enroll, config)
    stamp = {"settings": configs.to_dict(config), "seed": seed, "data": data_digest(data)}
    stamp |= {"interferers": data_digest(others)} if others else {}

    def enroll() -> Iterable[Draw]:
        ids = sorted(id for ids in split.enroll.values() for id in ids)
        return (Draw(id, (data.by_id[id],), config.mixture(), seed, "enroll") for id in ids)

    def test() -> Iterable[Draw]:
        return sorted(test_draws(split, config, seed, nj), key=lambda draw: draw.id)

    enrolled = sum(map(len, split.enroll.values()))
    tests = sum(map(len, split.test.values())) * (1 + len(mixed_conditions(config)))
    product = Product(audio=audio, references=False, own_speaker=False)
    produce(out / "enroll", stamp, partial(_jobs, out / "enroll", enroll), enrolled, product, nj)
    produce(out / "test", stamp, partial(_jobs, out / "test", test), tests, Product(audio=audio, overlap=True), nj)
    return write_trials(out, split, matches, config, seed, data)


def mixed_conditions(config: TrialsConfig) -> list[tuple[int, float]]:
    """Talkers and ratio in dB of each condition that is not clean."""
    return [(talkers, sir_db) for talkers in config.talkers for sir_db in config.sir_db]


def condition_name(sir_db: float, talkers: int = 2) -> str:
    """The condition's name in utt2cond.

    >>> condition_name(5), condition_name(0), condition_name(-2.5, 3)
    ('2talkers_+5dB', '2talkers_0dB', '3talkers_-2.5dB')
    """
    return f"{talkers}talkers_{sir_db:+g}dB" if sir_db else f"{talkers}talkers_0dB"


def test_draws(split: Split, config: TrialsConfig, seed: int, nj: int = 1) -> Iterator[Draw]:
    """The test recordings, in the order of their speakers, utterances and conditions; errors as `make_trials`."""
    lengths = _speech_lengths(split, config, seed, nj)
    for speaker, ids in split.test.items():
        for id in ids:
            target = split.utterances[id]
            yield Draw(f"{id}-{CLEAN}", (target,), config.mixture(), seed, CLEAN)
            for talkers, sir_db in mixed_conditions(config):
                condition = condition_name(sir_db, talkers)
                name = f"{id}-{condition}"
                chosen, rng = _draw_interferers(split, speaker, name, talkers - 1, seed)
                over = [_pick(split.interferers[other], lengths, lengths[id], rng) for other in chosen]
                utterances = (target, *(split.utterances[other] for other in over))
                yield Draw(name, utterances, config.mixture(sir_db), seed, condition)


def _draw_interferers(
    split: Split, speaker: str, name: str, count: int, seed: int
) -> tuple[list[str], np.random.Generator]:
    """The speakers who interfere in recording `name`, and the generator that goes on to pick their utterances."""
    rng = seeds.generator(seed, "interferer", name)
    return split.talk_over(speaker, count, rng), rng


def _pick(pool: Sequence[str], lengths: Mapping[str, int], least: int, rng: np.random.Generator) -> str:
    """A random utterance of the pool with at least so much speech, else the one with most."""
    enough = [id for id in pool if lengths[id] >= least]
    return enough[int(rng.integers(len(enough)))] if enough else max(pool, key=lambda id: (lengths[id], id))


def _speech_lengths(split: Split, config: TrialsConfig, seed: int, nj: int) -> dict[str, int]:
    """Samples from the first to the last speech of each mixed utterance, and of all that drawn speakers have."""
    needed: set[str] = set()
    for speaker, ids in split.test.items():
        for id in ids:
            for talkers, sir_db in mixed_conditions(config):
                name = f"{id}-{condition_name(sir_db, talkers)}"
                chosen, _ = _draw_interferers(split, speaker, name, talkers - 1, seed)
                needed.update([id], *(split.interferers[other] for other in chosen))
    utterances = [split.utterances[id] for id in sorted(needed)]
    work = ordered_map(partial(_speech_length, rate=config.sample_rate), utterances, nj)
    measured = track(work, "where there is speech", len(utterances))
    return {utterance.id: length for utterance, length in zip(utterances, measured, strict=True)}


def _speech_length(utterance: Utterance, rate: int) -> int:
    start, end = AudioStore((utterance,), rate).active_range(utterance.id)
    return end - start


def _jobs(out: Path, draws: Callable[[], Iterable[Draw]]) -> Iterator[Job]:
    for line, draw in enumerate(draws(), start=1):
        yield Job(f"{out / PLAN}:{line}", draw, draw.utterances)
