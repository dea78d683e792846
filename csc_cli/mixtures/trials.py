"""Trials of a protocol's recordings, and the README that says how they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from csc_cli import config as configs
from csc_cli import seeds
from csc_cli.files import open_atomic, sha256
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.text import write_map
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.settings import TrialsConfig

CHECKED = ("trials", "enroll/mix.jsonl", "test/mix.jsonl")
README = """\
# Trials

Made by `csc trials` from {utterances} utterances of {speakers} speakers.

- `enroll/`: {enroll} recordings of {enrolled} speakers (utt2spk), one talker each.
- `test/`: {tests} recordings. Each is its own speaker in utt2spk; its talkers are in `utt2spks`, the tested one
  first. `spk1.scp`, `spk2.scp` (and `noise1.scp`): what each talker contributes to the mixture.
- `trials`: SPEAKER RECORDING target|nontarget. Target: the enrolled speaker is one of the recording's talkers,
  tested or interfering. {pairs}
- `utt2cond`: the condition of each test recording.

| condition | recordings | target | nontarget |
| --- | --- | --- | --- |
{table}

Each talker of each recording has a random channel of its own (smooth equaliser and band limit): the channel does
not tell speakers apart. Levels and ratios are over active speech; silence at the ends of utterances is cut. An
interferer never enrolls anybody, is another speaker than the tested one, and has at least as much speech as the
tested utterance where the drawn speaker has such an utterance; it is cut to the tested utterance's length, or laid
at a random place inside.

Seed {seed}. Settings:

```yaml
{settings}```

Checksums (SHA-256); the same data, settings and seed make the same:

```
{checksums}
```
"""


@dataclass(frozen=True)
class Test:
    """A test recording: its condition and its talkers."""

    id: str
    condition: str
    speakers: tuple[str, ...]


def write_trials(out: Path, enroll: Mapping[str, Sequence[str]], config: TrialsConfig, seed: int, data: DataDir) -> str:
    """Write trials, utt2cond, utt2spks and README.md beside the parts out/enroll and out/test.

    Args:
        enroll: the enrolled speakers and their utterances.

    Returns:
        Lines for people: the number of trials by condition.
    """
    tests = [
        Test(mixture.id, mixture.condition, tuple(source.speaker for source in mixture.sources))
        for mixture in read_mixtures(out / "test" / "mix.jsonl")
    ]
    write_map(out / "utt2cond", {test.id: test.condition for test in tests})
    write_map(out / "utt2spks", {test.id: test.speakers for test in tests})
    counts: Counter[tuple[str, bool]] = Counter()
    with open_atomic(out / "trials") as stream:
        for speaker, test, target in pairs(sorted(enroll), tests, config.nontargets, seed):
            counts[test.condition, target] += 1
            stream.write(f"{speaker} {test.id} {'target' if target else 'nontarget'}\n")
    recordings = Counter(test.condition for test in tests)
    rows = [(name, number, counts[name, True], counts[name, False]) for name, number in recordings.items()]
    with open_atomic(out / "README.md") as stream:
        stream.write(_readme(out, enroll, len(tests), rows, config, seed, data))
    lines = [f"{name}: {number} recordings, {yes} target, {no} nontarget trials" for name, number, yes, no in rows]
    alone = len(data.spk2utt) - len(enroll)
    note = f"; {alone} with one utterance only interfere" if alone else ""
    return "\n".join([f"{out}: {len(enroll)} speakers enrolled{note}", *lines])


def pairs(
    speakers: Sequence[str], tests: Sequence[Test], nontargets: int | None, seed: int
) -> Iterator[tuple[str, Test, bool]]:
    """(enrolled speaker, test, whether the speaker is heard), all of them or `nontargets` for each test."""
    for test in tests:
        heard = set(test.speakers)
        others = [speaker for speaker in speakers if speaker not in heard]
        if nontargets is not None and nontargets < len(others):
            chosen = seeds.generator(seed, "nontargets", test.id).permutation(len(others))[:nontargets]
            others = [others[place] for place in chosen]
        tried = heard.union(others)
        yield from ((speaker, test, speaker in heard) for speaker in speakers if speaker in tried)


def _readme(
    out: Path,
    enroll: Mapping[str, Sequence[str]],
    tests: int,
    rows: Sequence[tuple[str, int, int, int]],
    config: TrialsConfig,
    seed: int,
    data: DataDir,
) -> str:
    every = "All enrolled speakers meet all recordings."
    some = f"{config.nontargets} random nontarget speakers meet each recording."
    return README.format(
        utterances=len(data.utterances),
        speakers=len(data.spk2utt),
        enroll=sum(map(len, enroll.values())),
        enrolled=len(enroll),
        tests=tests,
        pairs=every if config.nontargets is None else some,
        table="\n".join(f"| {name} | {number} | {yes} | {no} |" for name, number, yes, no in rows),
        seed=seed,
        settings=configs.dumps(config),
        checksums="\n".join(f"{sha256(out / name)}  {name}" for name in CHECKED),
    )
