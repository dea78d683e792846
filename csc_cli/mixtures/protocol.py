"""A verification protocol: enrollment on clean speech, tests clean and interfered, each recording in its own channel.

Rules (ours):

* A speaker's utterances are put in random order; the first `enrollment` enroll, the next `tests` are tested. A
  speaker with fewer keeps one for testing and enrolls with the rest; one with a single utterance is not enrolled
  and can only interfere.
* Each test utterance is tested clean and, at each ratio of `sir_db`, mixed with an utterance of another speaker
  that enrolls nobody: a random speaker, and of the speaker's utterances a random one with at least as much speech
  as the test utterance, else the one with most. It is cut to the test utterance's length, or laid at a random
  place inside: the overlap is as high as the lengths allow.
* Trials are all enrolled speakers against all test recordings (or so many nontargets for each recording);
  target if the enrolled speaker is any of the talkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.produce import PLAN, Job, Product, data_digest, produce
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.trials import write_trials
from csc_cli.parallel import ordered_map
from csc_cli.progress import track

CLEAN = "clean"


@dataclass(frozen=True)
class Split:
    """Speaker -> utterance ids: which enroll, which are tested, which may interfere."""

    enroll: Mapping[str, Sequence[str]]
    test: Mapping[str, Sequence[str]]
    interferers: Mapping[str, Sequence[str]]


def make_trials(
    data_dir: Path,
    out: Path,
    config: TrialsConfig,
    *,
    seed: int = 0,
    audio: bool = True,
    nj: int = 1,
) -> str:
    """Write the parts out/enroll and out/test, and out/{trials,utt2cond,utt2spks,README.md}.

    Args:
        data_dir: clean recordings of speakers that no model was trained on.
        audio: write the recordings, so that any Kaldi program can read them, or only their mix.jsonl.

    Returns:
        Lines for people.

    Raises:
        CscError: a recording that cannot be used (naming its line of mix.jsonl), too few speakers or utterances.
    """
    data = DataDir.load(data_dir)
    split = split_speakers(data, config, seed)
    stamp = {"settings": configs.to_dict(config), "seed": seed, "data": data_digest(data)}

    def enroll() -> Iterable[Draw]:
        ids = sorted(id for ids in split.enroll.values() for id in ids)
        return (Draw(id, (data.by_id[id],), config.mixture(), seed, "enroll") for id in ids)

    def test() -> Iterable[Draw]:
        return sorted(test_draws(data, split, config, seed, nj), key=lambda draw: draw.id)

    enrolled = sum(map(len, split.enroll.values()))
    tests = sum(map(len, split.test.values())) * (1 + len(config.sir_db))
    product = Product(audio=audio, references=False, own_speaker=False)
    produce(out / "enroll", stamp, partial(_jobs, out / "enroll", enroll), enrolled, product, nj)
    produce(out / "test", stamp, partial(_jobs, out / "test", test), tests, Product(audio=audio), nj)
    return write_trials(out, split.enroll, config, seed, data)


def condition_name(sir_db: float) -> str:
    """The condition's name in utt2cond.

    >>> condition_name(5), condition_name(0), condition_name(-2.5)
    ('2talkers_+5dB', '2talkers_0dB', '2talkers_-2.5dB')
    """
    return f"2talkers_{sir_db:+g}dB" if sir_db else "2talkers_0dB"


def split_speakers(data: DataDir, config: TrialsConfig, seed: int) -> Split:
    """Part each speaker's utterances, by the seed and the speaker alone.

    Raises:
        DataError: fewer than two speakers with two utterances, or nobody left to interfere with one of them.
    """
    enroll: dict[str, list[str]] = {}
    test: dict[str, list[str]] = {}
    interferers: dict[str, list[str]] = {}
    for speaker, ids in data.spk2utt.items():
        order = [ids[place] for place in seeds.generator(seed, "split", speaker).permutation(len(ids))]
        count = min(config.enrollment, len(order) - 1)
        if count:
            enroll[speaker] = order[:count]
            test[speaker] = order[count : count + config.tests]
        interferers[speaker] = sorted(order[count:])
    split = Split(enroll, test, interferers)
    if len(enroll) < 2:
        raise DataError(
            f"{data.path}: {len(enroll)} of {len(data.spk2utt)} speaker(s) have two utterances, one to enroll and one "
            "to test; trials need two such speakers, or nobody is left to interfere and to be told apart"
        )
    return split


def test_draws(data: DataDir, split: Split, config: TrialsConfig, seed: int, nj: int = 1) -> Iterator[Draw]:
    """The test recordings, in the order of their speakers, utterances and conditions; errors as `make_trials`."""
    lengths = _speech_lengths(data, split, config, nj) if config.sir_db else {}
    speakers = sorted(split.interferers)
    for speaker, ids in split.test.items():
        others = [other for other in speakers if other != speaker]
        for id in ids:
            target = data.by_id[id]
            yield Draw(f"{id}-{CLEAN}", (target,), config.mixture(), seed, CLEAN)
            for sir_db in config.sir_db:
                condition = condition_name(sir_db)
                name = f"{id}-{condition}"
                rng = seeds.generator(seed, "interferer", name)
                pool = split.interferers[others[int(rng.integers(len(others)))]]
                enough = [other for other in pool if lengths[other] >= lengths[id]]
                pick = int(rng.integers(len(enough))) if enough else 0
                interferer = enough[pick] if enough else max(pool, key=lambda other: (lengths[other], other))
                yield Draw(name, (target, data.by_id[interferer]), config.mixture(sir_db), seed, condition)


def _speech_lengths(data: DataDir, split: Split, config: TrialsConfig, nj: int) -> dict[str, int]:
    """Samples from the first to the last speech of each utterance that is tested or may interfere."""
    ids = sorted(id for ids in split.interferers.values() for id in ids)
    work = ordered_map(partial(_speech_length, rate=config.sample_rate), (data.by_id[id] for id in ids), nj)
    return dict(zip(ids, track(work, "where there is speech", len(ids)), strict=True))


def _speech_length(utterance: Utterance, rate: int) -> int:
    start, end = AudioStore((utterance,), rate).active_range(utterance.id)
    return end - start


def _jobs(out: Path, draws: Callable[[], Iterable[Draw]]) -> Iterator[Job]:
    for line, draw in enumerate(draws(), start=1):
        yield Job(f"{out / PLAN}:{line}", draw, draw.utterances)
