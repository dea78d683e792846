"""The true talkers of a mixture, and which of the network's streams is whose.

Legend: K talkers, C streams, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from csc_cli.errors import AudioError
from csc_cli.extraction.recordings import Recording
from csc_cli.extraction.sources import source_of, source_tables
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir


@dataclass(frozen=True)
class Talkers:
    """Who is heard, and each one's own samples (K, T); both empty where that is not known."""

    names: tuple[str, ...]
    sources: np.ndarray

    def match(self, streams: np.ndarray) -> np.ndarray:
        """The talker (C,) of each stream (C, T), -1 for none: one to one, with most squared correlation."""
        from scipy.optimize import linear_sum_assignment

        found = np.full(len(streams), -1)
        if len(self.names):
            found_streams, found_talkers = linear_sum_assignment(_correlation(streams, self.sources), maximize=True)
            found[found_streams] = found_talkers
        return found

    def stream_of(self, speaker: str, streams: np.ndarray) -> int:
        """The stream of the speaker; that of most energy where it is not known who is heard."""
        energies = np.square(streams, dtype=np.float64).sum(1)
        if speaker not in self.names:
            return int(np.argmax(energies))
        talker = self.names.index(speaker)
        matched = np.flatnonzero(self.match(streams) == talker)
        # Of more talkers than streams one has no stream: it is looked for where most of it is.
        return int(matched[0]) if len(matched) else int(np.argmax(_correlation(streams, self.sources)[:, talker]))


def talkers_of(data: DataDir, recording: Recording, samples: int, sample_rate: int) -> Talkers:
    """Of a mixture with utt2spks and spk1.scp, ...; `samples` at `sample_rate` is its length.

    Raises:
        AudioError: a source that cannot be read, or is of another length.
    """
    names = data.extra.get("utt2spks", {}).get(recording.id, "").split()
    files = [table[recording.id] for table in source_tables(data).values() if recording.id in table]
    if not files or len(files) != len(names):
        return Talkers((), np.zeros((0, samples), np.float32))
    sources = np.zeros((len(files), samples), np.float32)
    for place, file in enumerate(files):
        read, _ = read_audio(source_of(recording.utterance, file), sample_rate)
        if len(read) != samples:
            message = f"has {len(read)} samples at {sample_rate} Hz, its mixture {samples}"
            raise AudioError(f"{file}: {message}; make the mixtures again")
        sources[place] = read
    return Talkers(tuple(names), sources)


def _correlation(streams: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Squared cosines (C, K) of streams and sources; 0 for silence."""
    one, two = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (streams, sources))
    return np.square(one @ two.T)
