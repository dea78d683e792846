"""The README of a trials folder: how it was made, what it holds, and checksums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli import config as configs
from csc_cli.files import sha256
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.presets import ListConfig
from csc_cli.mixtures.settings import TrialsConfig
from csc_cli.mixtures.split import Split

CHECKED = ("trials", "enroll/mix.jsonl", "test/mix.jsonl")
README = """\
# Trials

Made by `csc trials` from {utterances} utterances of {speakers} speakers.

- `enroll/`: {enroll} recordings of {enrolled} speakers (utt2spk), one talker each.
- `test/`: {tests} recordings. Each is its own speaker in utt2spk; its talkers are in `utt2spks`, the tested one
  first. `spk1.scp`, `spk2.scp`, ... (and `noise1.scp`): what each talker contributes to the mixture.
- `trials`: SPEAKER RECORDING target|nontarget. Target: the enrolled speaker is one of the recording's talkers,
  tested or interfering. {pairs}
- `utt2cond`: the condition of each test recording. `utt2overlap`: the share of the tested talker's active speech in
  which another talker is active, too.

| condition | recordings | target | nontarget | overlap, mean (lowest tenth) |
| --- | --- | --- | --- | --- |
{table}
{matched}
Each talker of each recording has a random channel of its own (smooth equaliser and band limit): the channel does
not tell speakers apart. Levels and ratios are over active speech, the ratio being the tested talker's level minus each
interferer's; silence at the ends of utterances is cut. An interferer never enrolls anybody, is another speaker than the
tested one, and has at least as much speech as the tested utterance where the drawn speaker has such an utterance; it is
cut to the tested utterance's length, {place}. {interferers}{more}

Seed {seed}. Settings:

```yaml
{settings}```

Checksums (SHA-256); the same data, settings and seed make the same:

```
{checksums}
```
"""

LIST_README = """\
# Trials

Made by `csc trials --from` from {trials}{preset}, over {utterances} utterances of {speakers} speakers.
SHA-256 of the list: `{digest}`.

- `enroll/`: {enroll} recordings, {enrollment}.
- `test/`: {tests} recordings `UTTERANCE-CONDITION`. Talkers are in `utt2spks`, the list's own one first; `spk1.scp`,
  `spk2.scp` (and `noise1.scp`): what each contributes.
- `trials`: ENROLLMENT RECORDING target|nontarget, each trial of the list in each condition.
  {key}
- `utt2cond`: the condition of each test recording. `utt2overlap`: the share of the list's talker's active speech in
  which the interferer is active, too.

| condition | recordings | target | nontarget | overlap, mean (lowest tenth) |
| --- | --- | --- | --- | --- |
{table}

{cases}
Each test utterance has one interferer, ratio and overlap, the same in all conditions: a random utterance of {pool},
of a speaker whom the test meets nowhere in the list and who is not its own. Ratios are of active speech, also the
noise's. Each draw is a function of the seed, the utterance's id and the ids of the data directory alone.

Seed {seed}. Settings:

```yaml
{settings}```

Checksums (SHA-256); the same list, data, settings and seed make the same:

```
{checksums}
```
"""
LIST_KEYS = {
    "single": "Target: the enrolled speaker is one of the talkers.",
    "any": "Target: a talker of the enrollment is a talker of the test.",
    "speaker": "ENROLLMENT is a talker of an enrollment recording: -s1 the list's own, -s2 the interferer. Target: "
    "that talker is one of the test's.",
}
CASES = {
    "clean": "the utterance alone, whole.",
    "noisy": "the utterance over noise.",
    "concatenated": "utterance and interferer one after the other, in random order.",
    "overlapped": "in random order, the second before the first has ended; the common part is the drawn share of all.",
    "mixed": "the interferer, cut to the utterance's length or laid at a random place in it, talks over the utterance.",
}


@dataclass(frozen=True)
class Row:
    """What a condition holds: recordings, trials, overlaps of its recordings."""

    condition: str
    overlaps: Sequence[float]
    target: int
    nontarget: int

    def __str__(self) -> str:
        trials = f"{self.target} target, {self.nontarget} nontarget trials"
        return f"{self.condition}: {len(self.overlaps)} recordings, {trials}"


def rows_by_condition(
    conditions: Mapping[str, str],
    overlaps: Mapping[str, str],
    counts: Mapping[tuple[str, bool], int],
    order: Sequence[str] = (),
) -> list[Row]:
    """What each condition holds.

    Args:
        conditions, overlaps: of each test recording, as utt2cond and utt2overlap have them.
        counts: of trials, by condition and whether they are target trials; 0 where there is none (a Counter).
        order: the conditions that come first.
    """
    shares: dict[str, list[float]] = {condition: [] for condition in order}
    for id, condition in conditions.items():
        shares.setdefault(condition, []).append(float(overlaps[id]))
    return [Row(name, own, counts[name, True], counts[name, False]) for name, own in shares.items()]


def trials_readme(
    out: Path,
    split: Split,
    matches: Mapping[str, str],
    tests: int,
    rows: Sequence[Row],
    config: TrialsConfig,
    seed: int,
    data: DataDir,
) -> str:
    """The protocol in words, with its settings, counts and checksums of the files in `out`.

    Args:
        matches: the group of each enrolled speaker.
        tests: number of test recordings.
    """
    return README.format(
        utterances=len(data.utterances),
        speakers=len(data.spk2utt),
        enroll=sum(map(len, split.enroll.values())),
        enrolled=len(split.enroll),
        tests=tests,
        pairs=_pairs_in_words(config),
        table="\n".join(map(_table_row, rows)),
        matched=_groups_in_words(matches) if config.matched else "",
        interferers=_interferers_in_words(split),
        place=_place_in_words(config),
        more=_more_in_words(config),
        seed=seed,
        settings=configs.dumps(config),
        checksums="\n".join(f"{sha256(out / name)}  {name}" for name in CHECKED),
    )


def list_readme(
    out: Path,
    trials: Path,
    preset: str,
    enroll: int,
    rows: Sequence[Row],
    config: ListConfig,
    seed: int,
    data: DataDir,
    pool: DataDir,
) -> str:
    """As `trials_readme`, of a protocol over the list `trials`.

    Args:
        enroll: number of enrollment recordings.
        pool: whose utterances interfere.
    """
    mixed = config.enrollment == "mixture"
    return LIST_README.format(
        trials=trials.name,
        digest=sha256(trials),
        utterances=len(data.utterances),
        speakers=len(data.spk2utt),
        preset=f", by the preset `{preset}`" if preset else "",
        enroll=enroll,
        enrollment="`UTTERANCE-mixed`, each with an interferer who disturbs no test" if mixed else "one talker each",
        tests=sum(len(row.overlaps) for row in rows),
        key=LIST_KEYS[config.trials if mixed else "single"],
        table="\n".join(map(_table_row, rows)),
        cases="".join(f"- {row.condition}: {CASES[row.condition]}\n" for row in rows),
        pool="the same data" if pool is data else f"{len(pool.spk2utt)} other speakers",
        seed=seed,
        settings=configs.dumps(config),
        checksums="\n".join(f"{sha256(out / name)}  {name}" for name in CHECKED),
    )


def _table_row(row: Row) -> str:
    overlap = "-"
    if any(row.overlaps):
        mean, low = float(np.mean(row.overlaps)), float(np.quantile(row.overlaps, 0.1))
        overlap = f"{100 * mean:.0f} % ({100 * low:.0f} %)"
    return f"| {row.condition} | {len(row.overlaps)} | {row.target} | {row.nontarget} | {overlap} |"


def _pairs_in_words(config: TrialsConfig) -> str:
    if not config.matched and config.nontargets is None:
        return "All enrolled speakers meet all recordings."
    if not config.matched:
        return f"{config.nontargets} random nontarget speakers meet each recording."
    shared = " and ".join({"sex": "sex", "age": "age band"}[trait] for trait in config.matched)
    which = "All" if config.nontargets is None else f"At most {config.nontargets} random"
    return f"{which} nontarget speakers who share {shared} with one of a recording's targets meet it."


def _groups_in_words(matches: Mapping[str, str]) -> str:
    counts = sorted(Counter(matches.values()).items())
    lines = [f"| {group} | {count} |" for group, count in counts]
    return "\n".join(["", "| matched group | enrolled speakers |", "| --- | --- |", *lines, ""])


def _interferers_in_words(split: Split) -> str:
    if split.interferers.keys().isdisjoint(split.enroll):
        return f"Interferers are {len(split.interferers)} speakers who are never enrolled."
    return "Any other speaker may interfere, enrolled or not."


def _place_in_words(config: TrialsConfig) -> str:
    if not config.overlap:
        return "or laid at a random place inside"
    return "and overlaps the tested stretch by the share in the condition's name"


def _more_in_words(config: TrialsConfig) -> str:
    """What settings that are off by default add, a line each."""
    lines = []
    if config.overlap:
        lines.append(
            "`..._overlap0.25`: the common part of the tested stretch and each interferer's, of the shorter one."
        )
    if config.noise_snr_db or config.together_snr_db is not None:
        lines.append("`noise_...`: noise, at the tested talker's active level minus the noise's root mean square.")
    if config.reverberation:
        lines.append("`..._room`: all talkers in one room; levels and ratios are of what arrives at the microphone.")
    if config.cut_s:
        lines.append("`clean_...s`: a stretch of so many seconds of the test utterances that have as much speech.")
    if config.enrollment_s is not None:
        lines.append(
            f"A speaker enrolls with as many utterances as hold {config.enrollment_s:g} s, if there are so many."
        )
    if config.duration_bands_s:
        lines.append("`utt2duration`: the band in which the duration of each test recording lies.")
    if config.activity:
        lines.append("Where there is speech is what vad.scp of the data directory says.")
    return "\n" + "".join(f"\n- {line}" for line in lines) if lines else ""
