"""The parts of a corpus: speakers dealt out to train, dev and test, and their data directories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from csc_cli.errors import ConfigError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.seeds import derive, generator

PARTS = ("train", "dev", "test")


def split_speakers(speakers: Iterable[str], dev: float, test: float, seed: int) -> dict[str, list[str]]:
    """The speakers of each part, in C order; at least one is left for train.

    A speaker's place in the draw is a function of the seed and the id alone, so speakers that are added later
    move few of the others.

    Args:
        dev, test: a number of speakers, or a fraction of them all where it is less than 1 (rounded).

    Raises:
        ConfigError: a number that is negative or not whole, or too few speakers.
    """
    order = sorted(set(speakers), key=lambda speaker: derive(seed, "split speakers", speaker))
    counts = {"dev": _count(dev, len(order), "dev"), "test": _count(test, len(order), "test")}
    held = sum(counts.values())
    if held >= len(order):
        wanted = f"{counts['dev']} of dev, {counts['test']} of test and one of train"
        raise ConfigError(f"{len(order)} speakers are too few for {wanted}; ask for fewer")
    test_end = counts["test"]
    return {
        "train": sorted(order[held:]),
        "dev": sorted(order[test_end:held]),
        "test": sorted(order[:test_end]),
    }


def draw_evenly(traits: Mapping[str, tuple[str | float, ...]], wanted: float, part: str, seed: int) -> list[str]:
    """Speakers for `part`, in C order, spread evenly over what `traits` says of them.

    The speakers are put in the order of their traits (alike ones in random order), and every (n / count)-th is
    taken from a random start on: systematic sampling. Of any run of m of the n, such as the girls from 6 to 8
    years, m count / n are drawn, rounded up or down.

    Args:
        traits: speaker -> values to sort by, the coarsest first.
        wanted: as in `split_speakers`.

    Raises:
        ConfigError: as `split_speakers`.
    """
    count = _count(wanted, len(traits), part)
    if count >= len(traits):
        raise ConfigError(f"{len(traits)} speakers are too few for {count} of {part} and one of train; ask for fewer")
    order = sorted(traits, key=lambda speaker: (traits[speaker], derive(seed, "split speakers", speaker)))
    start = generator(seed, "split start", part).random()
    return sorted(order[int((place + start) * len(order) / count)] for place in range(count))


def _count(wanted: float, speakers: int, part: str) -> int:
    if not wanted >= 0 or (wanted >= 1 and wanted != int(wanted)):
        raise ConfigError(f"{wanted} speakers of {part}: must be a whole number, or a fraction below 1")
    return int(wanted) if wanted >= 1 else round(wanted * speakers)


def of_speakers(data: DataDir, speakers: Iterable[str]) -> DataDir:
    """The utterances of these speakers."""
    wanted = set(speakers)
    return data.subset(utterance.id for utterance in data.utterances if utterance.speaker in wanted)


def write_parts(out: Path, parts: Mapping[str, DataDir], seconds: Mapping[str, float] | None = None) -> str:
    """Write the data directories out/train, out/dev and out/test; those that `parts` lacks must not be there.

    Returns:
        A line a part: speakers, utterances, and hours where `seconds` are known.

    Raises:
        ConfigError: a part of an earlier run is in the way, whose speakers may be in another part now.
    """
    for part in PARTS:
        if part not in parts and (out / part / "wav.scp").exists():
            raise ConfigError(f"{out / part}: left from a run with other settings; remove it or choose another folder")
    for part in parts:
        # An interrupted run must not leave two drawings of the speakers side by side.
        (out / part / "wav.scp").unlink(missing_ok=True)
    lines = []
    for part in PARTS:
        if part in parts:
            parts[part].save(out / part)
            counts = f"{len(parts[part].spk2utt)} speakers, {len(parts[part].utterances)} utterances"
            hours = f", {seconds[part] / 3600:.2f} hours" if seconds else ""
            lines.append(f"{out / part}: {counts}{hours}")
    return "\n".join(lines)
