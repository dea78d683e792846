"""LibriMix: LibriSpeech's talkers mixed, with WHAM!'s noise (Cosentino et al., arXiv 2005.11262), as plans.

LibriMix is published as tables of which recordings are mixed at which gains, and scripts that mix them. Here the
tables become plans whose rendering does the same arithmetic: each recording whole, times its gain, brought to the
rate, then all cut to the shortest source (min) or filled up to the longest (max), and added in float32.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from csc_cli.corpora.librispeech import read_speakers
from csc_cli.corpora.walk import not_found
from csc_cli.dsp import resampled_length
from csc_cli.errors import ConfigError, DataError, at, nearest, some
from csc_cli.kaldi.audio import read_header
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.manifest import Clip, Mixture, Noise, Source, write_mixtures
from csc_cli.progress import track
from csc_cli.text_files import read_csv

# LibriMix's name of a set -> the end of its table's name.
SETS = {"train-100": "train-clean-100", "train-360": "train-clean-360", "dev": "dev-clean", "test": "test-clean"}
TYPES = ("mix_clean", "mix_both", "mix_single")
SPEECH_RATE = 16_000


class Row(NamedTuple):
    """A line of a table: `paths` of the sources below LibriSpeech, of the noise below WHAM!'s folder."""

    id: str
    paths: tuple[str, ...]
    gains: tuple[float, ...]
    noise: str
    noise_gain: float
    line: int


@dataclass(frozen=True)
class Version:
    """Which of LibriMix's many versions: talkers, Hz, length (min, max), and what is mixed.

    mix_clean: the talkers; mix_both: the talkers and the noise; mix_single: the first talker and the noise.
    """

    talkers: int = 2
    sample_rate: int = 8000
    mode: Literal["min", "max"] = "min"
    kind: str = "mix_clean"

    def __post_init__(self) -> None:
        if self.talkers < 1 or self.sample_rate not in (8000, SPEECH_RATE) or self.mode not in ("min", "max"):
            raise ConfigError(f"{self}: talkers at least 1, at 8000 or 16000 Hz, mode min or max")
        if self.kind not in TYPES:
            raise ConfigError(f"LibriMix has no type '{self.kind}'; {nearest(self.kind, TYPES)}")


@dataclass(frozen=True)
class Places:
    """Where LibriMix's ingredients are: the folders of LibriSpeech, of WHAM!'s noise and of the tables."""

    librispeech: Path
    wham: Path
    metadata: Path

    @classmethod
    def find(cls, source: Path, version: Version, sets: Iterable[str]) -> Places:
        """In the folder that LibriMix's own script fills: LibriSpeech, wham_noise and metadata.

        Raises:
            DataError: which of them is missing.
        """
        wanted = ["LibriSpeech", *(["wham_noise"] if version.kind != "mix_clean" else [])]
        if any(not (source / name).is_dir() for name in wanted):
            raise not_found((source,), wanted, "give the folder that holds them")
        tables = [table_name(version, name) for name in sets]
        folders = (source / "metadata", source / "LibriMix" / "metadata", source)
        places = [folder / f"Libri{version.talkers}Mix" for folder in folders] + list(folders)
        for folder in places:
            if all((folder / table).is_file() for table in tables):
                return cls(source / "LibriSpeech", source / "wham_noise", folder)
        raise not_found(places, tables, "they are in metadata/ of https://github.com/JorisCos/LibriMix")


def table_name(version: Version, name: str) -> str:
    """The file that describes a set. Raises ConfigError: no such set."""
    if name not in SETS:
        raise ConfigError(f"LibriMix has no set '{name}'; {nearest(name, SETS)}")
    return f"libri{version.talkers}mix_{SETS[name]}.csv"


def prepare_librimix(source: Path, data: Path, version: Version, sets: Iterable[str] = ("dev", "test")) -> str:
    """Write for each set data/SET/mix.jsonl, and the data directories data/SET/sources and data/SET/noises.

    Args:
        source: the folder that has LibriSpeech, wham_noise (not for mix_clean) and metadata.

    Returns:
        A line a set.

    Raises:
        DataError: something is missing (what, and where was looked), or a table has another form.
        AudioError: a recording's header cannot be read, or it is not at 16 kHz. ConfigError: no such set or version.
    """
    sets = list(sets)
    places = Places.find(source, version, sets)
    lines = []
    for name in sets:
        rows = read_table(places.metadata / table_name(version, name), version.talkers)
        recordings = _Recordings(places, version, rows)
        recordings.sources().save(data / name / "sources")
        if version.kind != "mix_clean":
            recordings.noises().save(data / name / "noises")
        plan = (recordings.mixture(row) for row in track(rows, f"{name}: lengths"))
        count = write_mixtures(data / name / "mix.jsonl", plan)
        lines.append(f"{data / name / 'mix.jsonl'}: {count} mixtures{recordings.remark()}")
    return "\n".join(lines)


def read_table(path: Path, talkers: int) -> list[Row]:
    """The rows of a table of LibriMix's metadata.

    Raises:
        DataError: with `path:line`: a column is missing, a gain is no number above 0, or an id comes twice.
    """
    columns = [f"source_{n}_{what}" for n in range(1, talkers + 1) for what in ("path", "gain")]
    columns = ["mixture_ID", *columns, "noise_path", "noise_gain"]
    rows: dict[str, Row] = {}
    there, lines = read_csv(path)
    if missing := [name for name in columns if name not in there]:
        raise DataError(at(path, 1, f"has no columns {some(missing)}; is it a table of {talkers} talkers?"))
    for line, fields in lines:
        row = _row(fields, talkers, path, line)
        if rows.setdefault(row.id, row) is not row:
            raise DataError(at(path, row.line, f"the mixture '{row.id}' comes twice; keep one"))
    if not rows:
        raise DataError(f"{path}: has no mixtures; download it again")
    return list(rows.values())


def _row(fields: dict[str, str], talkers: int, path: Path, line: int) -> Row:
    try:
        gains = [float(fields[f"source_{n}_gain"]) for n in range(1, talkers + 1)]
        gains.append(float(fields["noise_gain"]))
    except (TypeError, ValueError):
        gains = [0.0]
    if not all(0 < gain < float("inf") for gain in gains):
        raise DataError(at(path, line, "gains must be numbers above 0; download the table again"))
    paths = tuple(fields[f"source_{n}_path"] for n in range(1, talkers + 1))
    if any(len(name.split("/")) != 4 for name in paths):
        raise DataError(at(path, line, "a source's path must be SUBSET/READER/CHAPTER/NAME.flac"))
    return Row(fields["mixture_ID"], paths, tuple(gains[:-1]), fields["noise_path"], gains[-1], line)


class _Recordings:
    """What the rows of one table name: where it lies, and how long it is."""

    def __init__(self, places: Places, version: Version, rows: list[Row]) -> None:
        self.places, self.version, self.rows = places, version, rows
        self.used = [row.paths[:1] if version.kind == "mix_single" else row.paths for row in rows]
        _check_there(places.librispeech, (path for row in rows for path in row.paths))
        if version.kind != "mix_clean":
            _check_there(places.wham, (row.noise for row in rows))
        self.short = 0

    def sources(self) -> DataDir:
        paths = {_utterance(path): path for used in self.used for path in used}
        folder = self.places.librispeech
        utterances = [Utterance(key, _speaker(paths[key]), os.path.join(folder, paths[key])) for key in sorted(paths)]
        tables = {}
        if (folder / "SPEAKERS.TXT").is_file():
            sexes = read_speakers(folder / "SPEAKERS.TXT")
            own = {utterance.speaker for utterance in utterances}
            if own <= sexes.keys():
                tables = {"spk2gender": {speaker: sexes[speaker] for speaker in own}}
        return DataDir(folder, tuple(utterances), tables)

    def noises(self) -> DataDir:
        """An utterance a mixture: of the noise as much as the mixture's longest source, which is where LibriMix
        cuts it before it resamples."""
        utterances = []
        for row in self.rows:
            path = os.path.join(self.places.wham, row.noise)
            frames = max(self._length(name) for name in row.paths)
            there = _frames(path)
            self.short += there < frames
            end_s = None if there <= frames else frames / SPEECH_RATE
            key = f"{row.id}-noise"
            utterances.append(Utterance(key, key, path, 0.0, end_s))
        return DataDir(self.places.wham, tuple(sorted(utterances, key=lambda utterance: utterance.id)))

    def mixture(self, row: Row) -> Mixture:
        rate = self.version.sample_rate
        lengths = [resampled_length(self._length(path), SPEECH_RATE, rate) for path in row.paths]
        whole = min(lengths) if self.version.mode == "min" else max(lengths)
        count = 1 if self.version.kind == "mix_single" else len(row.paths)
        sources = tuple(
            Source(_utterance(path), _speaker(path), 0, min(length, whole), 0, None, gain=gain)
            for path, gain, length in list(zip(row.paths, row.gains, lengths, strict=True))[:count]
        )
        noise = None
        if self.version.kind != "mix_clean":
            noise = Noise("recorded", None, 0, (Clip(f"{row.id}-noise"),), gain=row.noise_gain)
        resampler = "" if rate == SPEECH_RATE else "polyphase"
        return Mixture(row.id, rate, whole, sources, noise, condition=self.version.kind, resampler=resampler)

    def remark(self) -> str:
        if not self.short:
            return ""
        return f"; {self.short} noises are shorter than their mixture and go on from their beginning"

    def _length(self, path: str) -> int:
        return _frames(os.path.join(self.places.librispeech, path))


@cache
def _frames(path: str) -> int:
    header = read_header(path)
    if header.sample_rate != SPEECH_RATE:
        raise DataError(f"{path}: is at {header.sample_rate} Hz, not {SPEECH_RATE}; unpack the corpus again")
    return header.frames


def _check_there(folder: Path, names: Iterable[str]) -> None:
    wanted = sorted(set(names))
    missing = [name for name in wanted if not (folder / name).is_file()]
    if not missing:
        return
    made = [name for name in missing if name.endswith(("sp08.wav", "sp12.wav"))]
    hint = "; noises named ...sp08 and ...sp12 are made by LibriMix's augment_train_noise.py" if made else ""
    raise DataError(f"{folder}: {len(missing)} of {len(wanted)} recordings are not there: {some(missing)}{hint}")


def _utterance(path: str) -> str:
    return os.path.splitext(path.rpartition("/")[2])[0]


def _speaker(path: str) -> str:
    return path.split("/")[1]
