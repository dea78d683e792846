"""Finished parts become Kaldi's tables: xvector, spk_xvector, num_utts, utt2streams, stream_activity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from csc_cli.errors import ConfigError, CscError
from csc_cli.extraction.activity import active_streams
from csc_cli.extraction.parts import Parts
from csc_cli.extraction.recordings import Failure
from csc_cli.kaldi.datadir import DataDir
from csc_cli.kaldi.tables import VectorWriter, write_ints, write_map

STREAM_TABLES = ("utt2streams", "stream_activity")


@dataclass(frozen=True)
class Layout:
    """Which vectors are written."""

    streams: Literal["best", "all"]
    enroll: Literal["mean", "attention"]
    active_db: float

    def __post_init__(self) -> None:
        if not self.active_db >= 0:
            raise ConfigError(f"--active-db {self.active_db:g}: must be at least 0")

    @property
    def settings(self) -> dict[str, Any]:
        return asdict(self)


class Written(NamedTuple):
    files: list[Path]
    failures: list[Failure]
    summary: str


class Row(NamedTuple):
    """Where the results of an utterance lie, and what is written of them."""

    part: int
    row: int
    vectors: np.ndarray  # (C, E)
    energy_db: np.ndarray  # (C,)
    seconds: np.ndarray  # (C,)

    @property
    def best(self) -> int:
        """The stream of most energy."""
        return int(np.argmax(self.energy_db))


def write_vectors(
    out: Path, data: DataDir, parts: Parts, count: int, layout: Layout, read_out: Callable[[np.ndarray], np.ndarray]
) -> Written:
    """Write the tables from `count` parts, each whole or not at all; none where nothing succeeded.

    Args:
        read_out: segments (S, E) -> vector (E,), for speakers by attention.

    Raises:
        CscError: a part is gone.
    """
    rows, failures = _gather(parts, count)
    if not rows:
        return Written([], failures, f"{out}: nothing was written")
    vectors = dict(_named(rows, layout))
    files = _write_table(out, "xvector", vectors)
    tables = _stream_tables(rows, layout)
    for name in STREAM_TABLES:
        if layout.streams == "all":
            write_map(out / name, tables[name])
            files.append(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    utterances = {spk: [utt for utt in utts if utt in rows] for spk, utts in data.spk2utt.items()}
    utterances = {spk: utts for spk, utts in utterances.items() if utts}
    of_speaker = _by_attention(parts, rows, read_out) if layout.enroll == "attention" else _by_mean(rows)
    files += _write_table(out, "spk_xvector", {spk: of_speaker(utts) for spk, utts in utterances.items()})
    write_ints(f"ark,t:{out / 'num_utts.ark'}", {spk: len(utts) for spk, utts in utterances.items()})
    files.append(out / "num_utts.ark")
    of = f"{len(rows)} utterances" + (f", {len(vectors)} streams" if layout.streams == "all" else "")
    dimensions = len(next(iter(vectors.values())))
    return Written(files, failures, f"{of}, {len(utterances)} speakers, {dimensions} dimensions -> {out}/xvector.scp")


def _gather(parts: Parts, count: int) -> tuple[dict[str, Row], list[Failure]]:
    rows: dict[str, Row] = {}
    failures: list[Failure] = []
    for number in range(count):
        part = parts.load(number)
        if part is None:
            raise CscError(f"{parts.folder}: file {number} is gone or damaged; run the command again")
        arrays, failed = part
        failures += failed
        results = zip(arrays["ids"].tolist(), arrays["vectors"], arrays["energy_db"], arrays["seconds"], strict=True)
        for row, (utterance, *values) in enumerate(results):
            rows[utterance] = Row(number, row, *values)
    return dict(sorted(rows.items())), failures


def stream_key(utterance: str, stream: int) -> str:
    """`UTT-s1` for stream 0: the n-th stream is the one that `csc separate` writes to spkN."""
    return f"{utterance}-s{stream + 1}"


def _named(rows: dict[str, Row], layout: Layout) -> Iterator[tuple[str, np.ndarray]]:
    if layout.streams == "best":
        yield from ((utterance, row.vectors[row.best]) for utterance, row in rows.items())
        return
    for utterance, row in rows.items():
        for stream in active_streams(row.energy_db, -layout.active_db):
            yield stream_key(utterance, stream), row.vectors[stream]


def _stream_tables(rows: dict[str, Row], layout: Layout) -> dict[str, dict[str, list[str]]]:
    utt2streams: dict[str, list[str]] = {}
    stream_activity: dict[str, list[str]] = {}
    for utterance, row in rows.items():
        active = active_streams(row.energy_db, -layout.active_db)
        utt2streams[utterance] = [stream_key(utterance, stream) for stream in active]
        for key, stream in zip(utt2streams[utterance], active, strict=True):
            stream_activity[key] = [f"{row.seconds[stream]:.2f}", f"{row.energy_db[stream]:.2f}"]
    return dict(zip(STREAM_TABLES, (utt2streams, stream_activity), strict=True))


def _write_table(out: Path, name: str, vectors: dict[str, np.ndarray]) -> list[Path]:
    ark, scp = out / f"{name}.ark", out / f"{name}.scp"
    with VectorWriter(f"ark,scp:{ark},{scp}") as writer:
        for key in sorted(vectors):
            writer.write(key, vectors[key].astype(np.float32))
    return [ark, scp]


def _by_mean(rows: dict[str, Row]) -> Callable[[list[str]], np.ndarray]:
    """The mean of the utterances' vectors, each made of unit length first."""

    def of(utterances: list[str]) -> np.ndarray:
        best = np.array([rows[utterance].vectors[rows[utterance].best] for utterance in utterances], np.float64)
        return (best / np.linalg.norm(best, axis=1, keepdims=True)).mean(0)

    return of


def _by_attention(
    parts: Parts, rows: dict[str, Row], read_out: Callable[[np.ndarray], np.ndarray]
) -> Callable[[list[str]], np.ndarray]:
    """The readout over the segments of all utterances of a speaker (their streams of most energy)."""

    @lru_cache(maxsize=8)
    def segments(number: int) -> list[np.ndarray]:
        part = parts.load(number)
        if part is None:
            raise CscError(f"{parts.folder}: file {number} is gone or damaged; run the command again")
        return np.split(part[0]["segments"], np.cumsum(part[0]["counts"])[:-1])

    def of(utterances: list[str]) -> np.ndarray:
        places = [rows[utterance] for utterance in utterances]
        return read_out(np.concatenate([segments(place.part)[place.row] for place in places]))

    return of
