"""Decisions on speech as Kaldi's tables: made for a data directory (`csc vad`), and read back."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from csc_cli.errors import AudioError, CscError, DataError, some
from csc_cli.kaldi.audio import frames_of, read_audio, read_header
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.opened import OpenArchives
from csc_cli.kaldi.specifiers import split_offset, split_range
from csc_cli.kaldi.tables import VectorWriter, read_matrices
from csc_cli.kaldi.vad import FrameConfig, VadConfig, decide, log_energies, speech_ranges
from csc_cli.kaldi.values import read_entries, read_numbers
from csc_cli.parallel import ordered_map
from csc_cli.progress import note, track

Source = Literal["auto", "feats", "audio"]
FEATS, VAD = "feats.scp", "vad.scp"


class Decided(NamedTuple):
    """The log energy of an utterance's frames, or why there is none."""

    id: str
    log_energy: np.ndarray
    failure: str = ""


@dataclass
class Totals:
    """What is said at the end."""

    utterances: int = 0
    unvoiced: int = 0
    frames: int = 0
    voiced: int = 0


def vad_data_dir(
    data_dir: str | Path,
    *,
    source: Source = "auto",
    vad: VadConfig | None = None,
    frames: FrameConfig | None = None,
    out_dir: str | Path | None = None,
    omit_unvoiced: bool = False,
    nj: int = 1,
) -> str:
    """Write vad.scp of a data directory, and the vad.ark it names: per utterance 1 for each voiced frame, else 0.

    Args:
        source: the first column of feats.scp, the log energy of the audio, or (auto) the first where feats.scp is
            there and the second where not.
        out_dir: where vad.ark goes; None: the data directory.
        omit_unvoiced: leave out utterances without a voiced frame.

    Returns:
        A line for people: how many, and from what.

    Raises:
        DataError: of the data directory, a damaged table; or, with the others written, utterances that failed.
    """
    path, vad = Path(data_dir), vad or VadConfig()
    out = Path(out_dir) if out_dir is not None else path
    if "," in f"{out}{path}":
        raise DataError(f"{out}: Kaldi's names of tables divide at commas; choose a folder without one")
    by_features = source == "feats" or (source == "auto" and (path / FEATS).exists())
    decided = _of_features(path) if by_features else _of_audio(path, frames or FrameConfig(), nj)
    totals, failures = Totals(), []
    with VectorWriter(f"ark,scp:{out / 'vad.ark'},{path / VAD}") as writer:
        for item in decided:
            if item.failure:
                failures.append(item.failure)
                continue
            voiced = decide(item.log_energy, vad)
            totals.utterances += 1
            totals.unvoiced += not voiced.any()
            totals.frames += len(voiced)
            totals.voiced += int(voiced.sum())
            if voiced.any() or not omit_unvoiced:
                writer.write(item.id, voiced.astype(np.float32))
        if not totals.utterances:
            raise DataError(f"{path}: no utterance could be decided on: {some(failures)}")
    return _report(path, totals, failures, by_features, omit_unvoiced)


def _report(path: Path, totals: Totals, failures: list[str], by_features: bool, omitted: bool) -> str:
    by = f"column 0 of {FEATS}" if by_features else "the log energy of the audio"
    share = 100 * totals.voiced / totals.frames
    done = f"{path}/vad.scp: {totals.utterances} utterances, {share:.1f} % of {totals.frames} frames voiced, by {by}"
    if totals.unvoiced:
        done += f"; {totals.unvoiced} without a voiced frame" + (" left out" if omitted else "")
    if failures:
        note(done)
        raise DataError(f"{path}: {len(failures)} utterances are not in vad.scp: {some(failures)}")
    return done


def _of_features(path: Path) -> Iterator[Decided]:
    for key, matrix in track(read_matrices(f"scp:{path / FEATS}"), "utterances"):
        yield Decided(key, matrix[:, 0].astype(np.float32))


def _of_audio(path: Path, frames: FrameConfig, nj: int) -> Iterator[Decided]:
    utterances = DataDir.load(path).utterances
    work = ordered_map(partial(_energies_of, frames=frames), utterances, nj)
    yield from track(work, "utterances", total=len(utterances))


def _energies_of(utterance: Utterance, frames: FrameConfig) -> Decided:
    try:
        samples, rate = read_audio(utterance)
        log_energy = log_energies(samples, rate, frames)
        if not len(log_energy):
            raise AudioError(f"utterance '{utterance.id}': is shorter than a frame of {frames.length_ms:g} ms")
    except CscError as error:
        return Decided(utterance.id, np.zeros(0, np.float32), str(error))
    return Decided(utterance.id, log_energy)


def read_decisions(rspecifier: str, keys: Collection[str]) -> dict[str, np.ndarray]:
    """Which frames are voiced, (T,) bool, of each of the `keys`; other keys of the table are passed over.

    Args:
        rspecifier: a table of vectors, as Kaldi's vad.scp, or of lists of whole numbers; not zero is voiced.

    Raises:
        DataError: keys that the table has not got (how many, the first three), or a damaged table.
    """
    wanted, found = set(keys), {}
    for key, values in read_entries(rspecifier, read_numbers):
        if values.ndim != 1:
            raise DataError(f"{rspecifier}: '{key}' is a matrix, not a decision a frame; give a table as vad.scp")
        if key in wanted:
            found[key] = values != 0
    absent = [key for key in keys if key not in found]
    if absent:
        message = f"no decisions for {len(absent)} of {len(wanted)} utterances: {some(absent)}"
        raise DataError(f"{rspecifier}: {message}; run csc vad, or take them out of the data")
    return found


@dataclass(frozen=True)
class VadTable:
    """The decisions that a data directory's vad.scp names, each read when it is needed; travels between processes."""

    scp: str
    places: Mapping[str, str]  # by utterance

    @classmethod
    def of(cls, data: DataDir) -> VadTable:
        """Raises DataError where the data directory has no vad.scp, or some utterances are not in it."""
        scp = data.path / VAD
        places = data.extra.get(VAD)
        if places is None:
            raise DataError(f"{scp}: is not there; run csc vad {data.path}")
        absent = [utterance.id for utterance in data.utterances if utterance.id not in places]
        if absent:
            raise DataError(
                f"{scp}: lacks {len(absent)} of {len(data.utterances)} utterances: {some(absent)}; run csc vad"
            )
        return cls(str(scp), places)

    def subset(self, utterances: Iterable[Utterance]) -> VadTable:
        """Of some utterances only."""
        return VadTable(self.scp, {utterance.id: self.places[utterance.id] for utterance in utterances})

    def ranges(self, utterance: Utterance) -> np.ndarray:
        """First and end (K, 2), in seconds, of each voiced stretch of the utterance. Raises DataError, AudioError."""
        try:
            with OpenArchives(self.scp, read_numbers) as archives:
                voiced = archives.read(self.places[utterance.id]) != 0
            header = read_header(utterance)
            return speech_ranges(voiced, frames_of(utterance, header), header.sample_rate) / header.sample_rate
        except DataError as error:
            raise DataError(f"{self.scp}: '{utterance.id}': {error}") from error

    def digest(self) -> str:
        """Of the places, and of the sizes and times of the files there."""
        digest = sha256(repr(sorted(self.places.items())).encode())
        for path in sorted({split_offset(split_range(place)[0])[0] for place in self.places.values()}):
            try:
                status = os.stat(path)
                digest.update(repr((path, status.st_size, status.st_mtime_ns)).encode())
            except OSError:  # a pipe, or a fault that will be named when it is read
                digest.update(repr(path).encode())
        return digest.hexdigest()
