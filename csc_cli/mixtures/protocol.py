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

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from csc_cli import config as configs
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.impostors import groups
from csc_cli.mixtures.lengths import speech_lengths
from csc_cli.mixtures.produce import Product, data_digest, jobs_of, produce
from csc_cli.mixtures.recordings import Recordings
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.split import split_speakers
from csc_cli.mixtures.store import detector
from csc_cli.mixtures.surroundings import Surroundings
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
            ids that both data directories have, no sex or age of a speaker who is to be matched, no folder of
            noises or rooms where one is named.
    """
    data = DataDir.load(data_dir)
    others = DataDir.load(interferers) if interferers else None
    vad = _detector(data, others, config)
    split = split_speakers(data, config, seed, others, _enrollment_seconds(data, config, nj, vad))
    matches = groups(data, split.enroll, config)
    stamp = {"settings": configs.to_dict(config), "seed": seed, "data": data_digest(data)}
    stamp |= {"interferers": data_digest(others)} if others else {}
    stamp |= {"vad": vad.digest()} if vad else {}
    surroundings = Surroundings(config.noise.data, config.room.data)
    stamp |= surroundings.stamp()
    made = Recordings(split, config, seed, nj, vad)
    enrolled = sum(map(len, split.enroll.values()))
    tests = sum(map(len, split.test.values())) * len(made.conditions)
    parts = (
        ("enroll", made.enroll, enrolled, Product(audio=audio, references=False, own_speaker=False)),
        ("test", made.test, tests, Product(audio=audio, overlap=True)),
    )
    for part, draws, total, product in parts:
        produce(out / part, stamp, partial(jobs_of, out / part, draws, surroundings, vad), total, product, nj)
    return write_trials(out, split, matches, config, seed, data)


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
