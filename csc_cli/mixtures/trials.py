"""Trials of a protocol's recordings: who meets which recording, and what is right."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from csc_cli import seeds
from csc_cli.errors import DataError
from csc_cli.files import open_atomic
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.text import read_map, write_map
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.readme import rows_by_condition, trials_readme
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.split import Split

DURATIONS = "utt2duration"


@dataclass(frozen=True)
class Test:
    """A test recording: its condition, its talkers and its length."""

    id: str
    condition: str
    speakers: tuple[str, ...]
    seconds: float = 0.0


def write_trials(
    out: Path, split: Split, matches: Mapping[str, str], config: TrialsConfig, seed: int, data: DataDir
) -> str:
    """Write trials, utt2cond, utt2spks, utt2overlap, utt2duration and README.md beside out/enroll and out/test.

    Args:
        matches: the group of each enrolled speaker (see `impostors.groups`).

    Returns:
        Lines for people: the number of trials by condition.

    Raises:
        DataError: there is not one nontarget trial.
    """
    tests = [
        Test(
            mixture.id,
            mixture.condition,
            tuple(source.speaker for source in mixture.sources),
            mixture.length / mixture.sample_rate,
        )
        for mixture in read_mixtures(out / "test" / "mix.jsonl")
    ]
    counts = Counter((test.condition, target) for _, test, target in pairs(matches, tests, config.nontargets, seed))
    if not any(not target for _, target in counts):
        raise DataError(
            f"{out}: no enrolled speaker shares {' and '.join(config.matched)} with another, so there is no nontarget "
            "trial; match less, or give fewer age_bands"
        )
    overlaps = read_map(out / "test" / "utt2overlap")
    conditions = {test.id: test.condition for test in tests}
    write_map(out / "utt2cond", conditions)
    write_map(out / "utt2spks", {test.id: test.speakers for test in tests})
    write_map(out / "utt2overlap", overlaps)
    if config.duration_bands_s:
        write_map(out / DURATIONS, {test.id: duration_band(test.seconds, config.duration_bands_s) for test in tests})
    else:
        (out / DURATIONS).unlink(missing_ok=True)
    with open_atomic(out / "trials") as stream:
        for speaker, test, target in pairs(matches, tests, config.nontargets, seed):
            stream.write(f"{speaker} {test.id} {'target' if target else 'nontarget'}\n")
    rows = rows_by_condition(conditions, overlaps, counts)
    with open_atomic(out / "README.md") as stream:
        stream.write(trials_readme(out, split, matches, len(tests), rows, config, seed, data))
    first = f"{out}: {len(split.enroll)} speakers enrolled{_others(split, data)}"
    return "\n".join([first, *map(str, rows)])


def duration_band(seconds: float, begins: Sequence[float]) -> str:
    """The band of durations, a name without white space.

    >>> [duration_band(seconds, (2, 4)) for seconds in (1.9, 2.0, 5.0)]
    ['0_to_2s', '2_to_4s', '4s_and_longer']
    """
    edges = (0.0, *begins)
    place = bisect.bisect_right(begins, seconds)
    return f"{edges[place]:g}_to_{edges[place + 1]:g}s" if place < len(begins) else f"{begins[-1]:g}s_and_longer"


def pairs(
    matches: Mapping[str, str], tests: Sequence[Test], nontargets: int | None, seed: int
) -> Iterator[tuple[str, Test, bool]]:
    """(enrolled speaker, test, whether the speaker is heard), all that match or `nontargets` of them for each test.

    A nontarget speaker matches if one of the test's targets (talkers who are enrolled) is of the same group.

    Args:
        matches: enrolled speaker -> group.
    """
    speakers = sorted(matches)
    for test in tests:
        heard = set(test.speakers)
        wanted = {matches[speaker] for speaker in heard if speaker in matches}
        others = [speaker for speaker in speakers if speaker not in heard and matches[speaker] in wanted]
        if nontargets is not None and nontargets < len(others):
            chosen = seeds.generator(seed, "nontargets", test.id).permutation(len(others))[:nontargets]
            others = [others[place] for place in chosen]
        tried = heard.union(others)
        yield from ((speaker, test, speaker in heard) for speaker in speakers if speaker in tried)


def _others(split: Split, data: DataDir) -> str:
    """What the speakers do who are not enrolled, for the summary."""
    alone = len(data.spk2utt) - len(split.enroll)
    if split.interferers.keys().isdisjoint(split.enroll):
        return f"; {len(split.interferers)} others interfere"
    return f"; {alone} with one utterance only interfere" if alone else ""
