"""What mixtures take besides their talkers: the data directories of noises and of impulse responses.

Small enough to travel to a worker with each mixture: only the names travel; each process reads a folder once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256

import numpy as np

from csc_cli.errors import DataError
from csc_cli.kaldi.audio import length_samples, read_audio, read_header
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.settings import NoiseConfig, RoomConfig

KEPT_BYTES = 1 << 28
WHOLE_S = 30.0  # recordings up to so long are decoded once and kept


@dataclass(frozen=True)
class Surroundings:
    """The folders of noises and of impulse responses; None where no mixture needs them."""

    noises: str | None = None
    rooms: str | None = None

    @classmethod
    def of(cls, noise: NoiseConfig, room: RoomConfig | None = None) -> Surroundings:
        """What the settings of mixtures name, where their probability is above 0."""
        return cls(
            noise.data if noise.probability else None, room.data if room is not None and room.probability else None
        )

    def check(self) -> None:
        """Raises DataError where a folder that is named is no data directory, or is empty."""
        for path, key in ((self.noises, "noise.data"), (self.rooms, "room.data")):
            if path is None:
                continue
            try:
                count = len(loaded(path).utterances)
            except DataError as error:
                raise DataError(f"{key}: {error}") from error
            if not count:
                raise DataError(f"{key}: {path} has no recordings")

    def stamp(self) -> dict[str, str]:
        """What the stamp of a folder of mixtures says of them; nothing where there are none. Errors as `check`."""
        self.check()
        digest = self.digest()
        return {"surroundings": digest} if digest else {}

    def digest(self) -> str:
        """Of what the folders name; "" where there are none."""
        parts = [loaded(path).utterances for path in (self.noises, self.rooms) if path is not None]
        return sha256(repr(parts).encode()).hexdigest() if parts else ""

    def noise_shelf(self, rate: int) -> Shelf:
        """Raises DataError where there is no folder of noises."""
        if self.noises is None:
            raise DataError("the noise is recorded, but no data directory of noises was given; give it (--noises)")
        return shelf(self.noises, rate)

    def room_shelf(self, rate: int) -> Shelf:
        """Raises DataError where there is no folder of impulse responses."""
        if self.rooms is None:
            raise DataError("an impulse response is named, but no data directory of rooms was given; give it (--rooms)")
        return shelf(self.rooms, rate)


@lru_cache(maxsize=8)
def loaded(path: str) -> DataDir:
    """The data directory, read once in a process. Raises DataError."""
    return DataDir.load(path)


@lru_cache(maxsize=8)
def shelf(path: str, rate: int) -> Shelf:
    """The recordings of a folder at a rate, shared by all mixtures of a process."""
    return Shelf(loaded(path), rate)


class Shelf:
    """Recordings at one rate; short ones are kept in memory, of long ones what is asked for is read."""

    def __init__(self, data: DataDir, rate: int, max_bytes: int = KEPT_BYTES) -> None:
        self.data, self.rate, self.max_bytes = data, rate, max_bytes
        self._kept: dict[str, np.ndarray] = {}
        self._bytes = 0
        self._lengths: dict[str, int] = {}
        self._rooms: dict[int, list[list[str]]] = {}

    def length(self, name: str) -> int:
        """Samples of the recording, from its header. Raises DataError, AudioError."""
        found = self._lengths.get(name)
        if found is None:
            found = self._lengths[name] = length_samples(self.utterance(name), self.rate)
        return found

    def whole(self, name: str) -> np.ndarray:
        """All samples (T,) float32, read-only. Raises DataError, AudioError."""
        found = self._kept.get(name)
        if found is None:
            found, _ = read_audio(self.utterance(name), self.rate)
            found.flags.writeable = False
            self._kept[name] = found
            self._bytes += found.nbytes
            while self._bytes > self.max_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes
        return found

    def stretch(self, name: str, start: int, length: int) -> np.ndarray:
        """(length,) float32 from sample `start` on, from the first again after the last; errors as `whole`.

        `start` is below the recording's length.
        """
        total = self.length(name)
        if start + length <= total and total > WHOLE_S * self.rate and self._seekable(name):
            utterance = self.utterance(name)
            first = round(utterance.start_s * self.rate) + start
            part = replace(utterance, start_s=first / self.rate, end_s=(first + length) / self.rate)
            return read_audio(part)[0]
        return looped(self.whole(name), start, length)

    def _seekable(self, name: str) -> bool:
        """Whether a part can be read by itself and is the same as in the whole."""
        utterance = self.utterance(name)
        lossless = utterance.recording.lower().endswith((".wav", ".flac"))
        return name not in self._kept and lossless and read_header(utterance).sample_rate == self.rate

    def rooms_of(self, least: int) -> list[list[str]]:
        """The impulse responses of each room (which utt2spk names) that has at least so many. Raises DataError."""
        found = self._rooms.get(least)
        if found is None:
            found = self._rooms[least] = [list(names) for names in self.data.spk2utt.values() if len(names) >= least]
        if not found:
            raise DataError(
                f"{self.data.path}: no room has {least} impulse responses, one for each talker (and noise); utt2spk "
                "must name the room of each response"
            )
        return found

    def utterance(self, name: str) -> Utterance:
        """The recording of this id. Raises DataError where there is none."""
        try:
            return self.data.by_id[name]
        except KeyError:
            raise DataError(
                f"no recording '{name}' in {self.data.path}; give the folder that the mixture names"
            ) from None


def looped(samples: np.ndarray, start: int, length: int) -> np.ndarray:
    """(length,) of `samples` from `start` on, from the first again after the last; a copy where it is looped."""
    if start + length <= samples.size:
        return samples[start : start + length]
    return np.resize(np.roll(samples, -start), length)
