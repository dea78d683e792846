"""Rooms: a pool of simulated ones, their impulse responses on disk, and the alignment of any response.

An impulse response is used from 2.5 ms before its direct sound on, which then falls on the sample that the dry
source would have: onsets keep their meaning. The 2.5 ms hold what comes before the peak of a direct sound that
falls between two samples.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import scipy.fft

from csc_cli import seeds
from csc_cli.errors import AudioError, ConfigError, DataError
from csc_cli.files import atomic_path
from csc_cli.mixtures.records import Room
from csc_cli.mixtures.settings import Range, RoomConfig

SOUND_M_S = 343.0
SABINE = 24 * np.log(10) / SOUND_M_S  # s/m
MOST_ABSORPTION = 0.95
LEAD_S = 0.0025
EARLY_S = 0.05
WALL_M = 0.3  # least distance of a place from a wall
HEIGHTS_M = (1.0, 1.9)  # of mouths and microphones, where the room is high enough
TRIES = 10_000
DECAY_DB = 60.0
SPECTRA_BYTES = 1 << 28


def lead(rate: int) -> int:
    """Samples of a response before its direct sound."""
    return round(LEAD_S * rate)


@lru_cache(maxsize=4096)
def pool_room(config: RoomConfig, index: int) -> tuple[Room, tuple[tuple[float, ...], ...]]:
    """Room number `index` of the settings' pool and its places; a function of these alone.

    A reverberation time below what the room has with walls that absorb 95 % (Sabine) is raised to that.

    Raises:
        ConfigError: no place of the distances asked for was found in it.
    """
    rng = seeds.generator(config.seed, "room", index)
    size = [_metres(rng, limits) for limits in (config.length_m, config.width_m, config.height_m)]
    volume = size[0] * size[1] * size[2]
    walls = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    rt60_s = max(_metres(rng, config.rt60_s), round(SABINE * volume / (walls * MOST_ABSORPTION) + 0.001, 3))
    heights = (min(HEIGHTS_M[0], size[2] / 2 - 0.1), min(HEIGHTS_M[1], size[2] - WALL_M))
    microphone = (*(_metres(rng, (0.35 * side, 0.65 * side)) for side in size[:2]), _metres(rng, heights))
    places: list[tuple[float, ...]] = []
    for _ in range(TRIES):
        if len(places) == config.places:
            return Room(tuple(size), rt60_s, microphone), tuple(places)
        place = (*(_metres(rng, (WALL_M, side - WALL_M)) for side in size[:2]), _metres(rng, heights))
        if config.distance_m[0] <= _distance_m(place, microphone) <= config.distance_m[1]:
            places.append(place)
    raise ConfigError(
        f"room.distance_m={list(config.distance_m)}: no {config.places} such places in a room of {size} m; widen it"
    )


def _metres(rng: np.random.Generator, limits: Range) -> float:
    return round(float(limits[0] + (limits[1] - limits[0]) * rng.random()), 3)


def _distance_m(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return float(np.linalg.norm(np.subtract(one, other)))


def aligned(response: np.ndarray, rate: int) -> np.ndarray:
    """A recorded response from `lead` samples before its direct sound on, zeros put before where there are fewer.

    The direct sound is the first peak that is at least half as high as the highest.
    """
    height = np.abs(response)
    direct = int(np.argmax(height >= 0.5 * height.max()))
    while direct + 1 < height.size and height[direct + 1] > height[direct]:
        direct += 1
    return _from(response, direct - lead(rate))


def _from(response: np.ndarray, start: int) -> np.ndarray:
    return response[start:] if start >= 0 else np.concatenate([np.zeros(-start, response.dtype), response])


def simulated(room: Room, position_m: tuple[float, ...], rate: int) -> np.ndarray:
    """The aligned response (T,) float32 from a place to the room's microphone, read from the cache where it is there.

    The image method (pyroomacoustics), walls of one absorption, microphone and source alike in all directions; cut
    where what is left has less than -60 dB of the energy.

    Raises:
        ConfigError: pyroomacoustics is not installed.
        DataError: the reverberation time is too short for the room.
    """
    path = cache_folder() / f"{_checksum(room, position_m, rate)}.npy"
    try:
        found: np.ndarray = np.load(path, allow_pickle=False)
        if found.dtype == np.float32 and found.ndim == 1 and found.size:
            return found
    except (OSError, ValueError, EOFError):  # not there, or damaged: made again
        pass
    response = _simulate(room, position_m, rate)
    try:
        with atomic_path(path) as temporary:
            np.save(temporary, response)
    except OSError:  # no place for a cache: each process simulates for itself
        pass
    return response


def cache_folder() -> Path:
    """Where simulated responses are kept: CSC_CACHE/rooms, else csc/rooms of the user's cache folder."""
    own = os.environ.get("CSC_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "csc"
    return base / "rooms"


def _checksum(room: Room, position_m: tuple[float, ...], rate: int) -> str:
    parts = (room.size_m, room.rt60_s, room.microphone_m, position_m, rate, LEAD_S, DECAY_DB)
    return sha256(repr(parts).encode()).hexdigest()[:32]


def _simulate(room: Room, position_m: tuple[float, ...], rate: int) -> np.ndarray:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise ConfigError("simulated rooms need pyroomacoustics; pip install 'csc-cli[rooms]'") from error
    try:
        absorption, order = pyroomacoustics.inverse_sabine(room.rt60_s, room.size_m, SOUND_M_S)
    except ValueError as error:
        raise DataError(
            f"room: rt60_s={room.rt60_s} is shorter than a room of {list(room.size_m)} m can have; raise it"
        ) from error
    # Threads sum the images in an order of their own.
    pyroomacoustics.constants.set("num_threads", 1)
    pyroomacoustics.constants.set("c", SOUND_M_S)
    box = pyroomacoustics.ShoeBox(
        list(room.size_m), fs=rate, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    box.add_source(list(position_m))
    box.add_microphone(list(room.microphone_m))
    box.compute_rir()
    response = np.asarray(box.rir[0][0], dtype=np.float64)
    left = np.cumsum(response[::-1] ** 2)[::-1]
    response = response[: int(np.searchsorted(-left, -left[0] * 10 ** (-DECAY_DB / 10))) + 1]
    delay = _distance_m(position_m, room.microphone_m) / SOUND_M_S * rate
    direct = round(delay) + pyroomacoustics.constants.get("frac_delay_length") // 2
    return np.ascontiguousarray(_from(response, direct - lead(rate)), dtype=np.float32)


class Spectra:
    """The spectra of responses, the last used kept in memory."""

    def __init__(self, max_bytes: int = SPECTRA_BYTES) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()
        self._bytes = 0

    def of(self, key: tuple[object, ...], response: np.ndarray, size: int) -> np.ndarray:
        """(size / 2 + 1,) complex64 of the response that `key` names, for a real FFT of `size`."""
        key = (*key, size)
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        spectrum = scipy.fft.rfft(response, size, workers=1)
        self._kept[key] = spectrum
        self._bytes += spectrum.nbytes
        while self._bytes > self.max_bytes and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return spectrum


SPECTRA = Spectra()


@lru_cache(maxsize=1024)
def simulated_once(room: Room, position_m: tuple[float, ...], rate: int) -> np.ndarray:
    """As `simulated`, kept in memory besides; do not write into it."""
    response = simulated(room, position_m, rate)
    response.flags.writeable = False
    return response


def check_response(response: np.ndarray, name: str) -> None:
    """Raises AudioError for a response of zeros."""
    if not np.any(response):
        raise AudioError(f"impulse response '{name}' is silent: all samples are zero; leave it out")
