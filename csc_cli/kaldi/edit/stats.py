"""What a data directory holds, in numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.audio import Header
from csc_cli.kaldi.audio_checks import examine
from csc_cli.kaldi.edit.lengths import durations_s
from csc_cli.kaldi.edit.tables import Tables, read_tables
from csc_cli.parallel import ordered_map
from csc_cli.progress import track


@dataclass(frozen=True)
class Spread:
    """How numbers are distributed: their sum, mean, least, 5 %, half, 95 %, greatest."""

    total: float
    mean: float
    minimum: float
    p05: float
    median: float
    p95: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one number."""
        marks = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
        return cls(float(np.sum(values)), float(np.mean(values)), *map(float, marks))

    def __str__(self) -> str:
        numbers = (self.mean, self.minimum, self.p05, self.median, self.p95, self.maximum)
        return "  ".join(f"{number:8.2f}" for number in numbers)


@dataclass(frozen=True)
class Stats:
    """The numbers of a data directory; those that nothing there tells are None."""

    path: str
    utterances: int
    speakers: int
    recordings: int | None
    seconds: Spread | None
    utterances_per_speaker: Spread
    seconds_per_speaker: Spread | None
    gender: dict[str, int]
    sample_rates: dict[str, int]
    channels: dict[str, int]
    tables: dict[str, int]

    def to_json(self) -> str:
        """All of it, as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        hours = f", {self.seconds.total / 3600:.2f} h" if self.seconds else ""
        of = f" in {self.recordings} recordings" if self.recordings is not None else ""
        lines = [f"{self.path}: {self.utterances} utterances of {self.speakers} speakers{of}{hours}"]
        head = ("mean", "least", "5 %", "median", "95 %", "most")
        lines.append(" " * 24 + "  ".join(f"{name:>8}" for name in head))
        rows: tuple[tuple[str, Spread | None], ...] = (("seconds", self.seconds),)
        rows += (("utterances a speaker", self.utterances_per_speaker),)
        rows += (("seconds a speaker", self.seconds_per_speaker),)
        lines += [f"{name:24}{spread}" for name, spread in rows if spread]
        counts = {"gender": self.gender, "Hz": self.sample_rates, "channels": self.channels, "lines": self.tables}
        for name, table in counts.items():
            if table:
                lines.append(f"{name:24}" + ", ".join(f"{key}: {count}" for key, count in table.items()))
        return "\n".join(lines)


def stats_of_data_dir(path: str | Path, audio: bool = True, nj: int = 1) -> Stats:
    """Count what the data directory `path` holds.

    Args:
        audio: open the recordings' headers, for rates and channels, and durations that no table has.
        nj: processes that open them.

    Raises:
        DataError: faults in the directory; recordings that cannot be opened.
    """
    data = read_tables(path)
    headers = _headers(data, nj) if audio else {}
    known = {key: header.frames / header.sample_rate for key, header in headers.items()}
    told = headers or "segments" in data.of or data.utt2spk.keys() <= data.of.get("utt2dur", {}).keys()
    seconds = durations_s(data, known) if told else {}
    by_speaker = [sum(seconds[utterance] for utterance in own) for own in data.spk2utt.values()] if seconds else []
    return Stats(
        path=str(path),
        utterances=len(data.utt2spk),
        speakers=len(data.spk2utt),
        recordings=len(data.of["wav.scp"]) if "wav.scp" in data.of else None,
        seconds=Spread.of(list(seconds.values())) if seconds else None,
        utterances_per_speaker=Spread.of([len(own) for own in data.spk2utt.values()]),
        seconds_per_speaker=Spread.of(by_speaker) if seconds else None,
        gender=_counted(data.of.get("spk2gender", {}).values()),
        sample_rates=_counted(header.sample_rate for header in headers.values()),
        channels=_counted(header.channels for header in headers.values()),
        tables={name: len(table) for name, table in sorted(data.of.items())},
    )


def _counted(values: Iterable[str | int]) -> dict[str, int]:
    counts: Counter[str | int] = Counter(values)
    return {str(value): counts[value] for value in sorted(counts, key=lambda value: str(value).zfill(9))}


def _headers(data: Tables, nj: int) -> dict[str, Header]:
    """The headers of all recordings."""
    names = data.of.get("wav.scp", {})
    found = track(ordered_map(partial(examine, whole=False), names.values(), nj), "recordings", len(names))
    headers, faults = {}, []
    for key, header in zip(names, found, strict=True):
        if isinstance(header, Header):
            headers[key] = header
        else:
            faults.append(header)
    if faults:
        raise DataError(f"{data.path}: {len(faults)} recordings cannot be opened, the first: {faults[0]}")
    return headers
