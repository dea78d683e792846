"""A verification protocol: enrollment on clean speech, tests by condition, each recording in its own channel.

Rules (ours):

* A speaker's utterances are put in random order; the first `enrollment` enroll (or as many as hold `enrollment_s`
  of speech), the next `tests` are tested. A speaker with fewer keeps one for testing and enrolls with the rest; one
  with a single utterance is not enrolled and can only interfere.
* Each test utterance is tested clean, alone in the conditions that settings add, and, for each number of `talkers`
  and each ratio of `sir_db`, mixed with utterances of other speakers that enroll nobody: random speakers, and of
  each speaker's utterances a random one with at least as much speech as the test utterance, else the one with most.
  It is cut to the test utterance's length, and laid at a random place inside (the overlap is as high as the lengths
  allow) or so that it overlaps by each ratio of `overlap`.
* Interferers are the other speakers, or people who are never enrolled: those of another data directory, or those
  that are held back.
* Trials are all enrolled speakers against all test recordings, or the matched ones (see `impostors`), or so many
  nontargets for each recording; target if the enrolled speaker is any of the talkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.impostors import groups
from csc_cli.mixtures.lengths import speech_lengths
from csc_cli.mixtures.produce import PLAN, Job, Product, data_digest, produce
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.split import Split, split_speakers
from csc_cli.mixtures.store import detector
from csc_cli.mixtures.trial_conditions import Condition, Overlapped, conditions
from csc_cli.mixtures.trials import write_trials


def load_settings(path: Path | None, overrides: Sequence[str] = ()) -> TrialsConfig:
    """The settings of a file, or the defaults, with `overrides` on top."""
    if path is None:
        return configs.loads(TrialsConfig, "", "defaults", overrides)
    return configs.load(TrialsConfig, path, overrides)


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
    vad = _detector(data, others, config)
    split = split_speakers(data, config, seed, others, _enrollment_seconds(data, config, nj, vad))
    matches = groups(data, split.enroll, config)
    stamp = {"settings": configs.to_dict(config), "seed": seed, "data": data_digest(data)}
    stamp |= {"interferers": data_digest(others)} if others else {}
    stamp |= {"vad": vad.digest()} if vad else {}

    def enroll() -> Iterable[Draw]:
        ids = sorted(id for ids in split.enroll.values() for id in ids)
        return (Draw(id, (data.by_id[id],), config.mixture(), seed, "enroll") for id in ids)

    def test() -> Iterable[Draw]:
        return sorted(test_draws(split, config, seed, nj, vad), key=lambda draw: draw.id)

    enrolled = sum(map(len, split.enroll.values()))
    tests = sum(map(len, split.test.values())) * len(conditions(config))
    product = Product(audio=audio, references=False, own_speaker=False)
    produce(out / "enroll", stamp, partial(_jobs, out / "enroll", enroll, vad), enrolled, product, nj)
    produce(out / "test", stamp, partial(_jobs, out / "test", test, vad), tests, Product(audio=audio, overlap=True), nj)
    return write_trials(out, split, matches, config, seed, data)


def test_draws(
    split: Split, config: TrialsConfig, seed: int, nj: int = 1, vad: VadTable | None = None
) -> Iterator[Draw]:
    """The test recordings, in the order of their speakers, utterances and conditions; errors as `make_trials`."""
    lengths = _speech_lengths(split, config, seed, nj, vad)
    made = dict.fromkeys((condition.name for condition in conditions(config)), 0)
    for speaker, ids in split.test.items():
        for id in ids:
            target = split.utterances[id]
            for condition in conditions(config):
                if condition.cut_s is not None and lengths[id] < condition.cut_s * config.sample_rate:
                    continue
                made[condition.name] += 1
                name = f"{id}-{condition.name}"
                chosen, rng = _draw_interferers(split, speaker, name, condition.talkers - 1, seed)
                over = [_pick(split.interferers[other], lengths, lengths[id], rng) for other in chosen]
                utterances = (target, *(split.utterances[other] for other in over))
                settings = condition.mixture(config)
                if condition.overlap is None:
                    yield Draw(name, utterances, settings, seed, condition.name)
                else:
                    yield Overlapped(name, utterances, settings, seed, condition.name, condition.overlap)
    empty = [name for name, count in made.items() if not count]
    if empty:
        raise DataError(f"no test utterance has enough speech for {', '.join(empty)}; give shorter cut_s")


def _detector(data: DataDir, others: DataDir | None, config: TrialsConfig) -> VadTable | None:
    """Where there is speech in both data directories, if `activity` asks for their decisions."""
    vad = detector(data, config.activity)
    other = detector(others, config.activity) if others else None
    return replace(vad, places={**vad.places, **other.places}) if vad and other else vad


def _enrollment_seconds(
    data: DataDir, config: TrialsConfig, nj: int, vad: VadTable | None
) -> Mapping[str, float] | None:
    """Seconds of speech of the utterances that may enroll, where the protocol counts seconds."""
    if config.enrollment_s is None:
        return None
    able = [data.by_id[id] for ids in data.spk2utt.values() if len(ids) > 1 for id in ids]
    lengths = speech_lengths(able, config.sample_rate, nj, vad)
    return {id: length / config.sample_rate for id, length in lengths.items()}


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


def _speech_lengths(split: Split, config: TrialsConfig, seed: int, nj: int, vad: VadTable | None) -> dict[str, int]:
    """Samples from the first to the last speech of each mixed or cut utterance, and of all that drawn speakers have."""
    needed: set[str] = set()
    for speaker, ids in split.test.items():
        for id in ids:
            for condition in filter(_needs_lengths, conditions(config)):
                name = f"{id}-{condition.name}"
                chosen, _ = _draw_interferers(split, speaker, name, condition.talkers - 1, seed)
                needed.update([id], *(split.interferers[other] for other in chosen))
    return speech_lengths((split.utterances[id] for id in needed), config.sample_rate, nj, vad)


def _needs_lengths(condition: Condition) -> bool:
    return condition.talkers > 1 or condition.cut_s is not None


def _jobs(out: Path, draws: Callable[[], Iterable[Draw]], vad: VadTable | None) -> Iterator[Job]:
    for line, draw in enumerate(draws(), start=1):
        own = vad.subset(draw.utterances) if vad else None
        yield Job(f"{out / PLAN}:{line}", draw, draw.utterances, own)
