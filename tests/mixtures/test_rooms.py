"""Rooms: the pool is drawn from the settings alone, responses are on time, cached, and what their numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.errors import AudioError, ConfigError, DataError
from csc_cli.mixtures import rooms
from csc_cli.mixtures.manifest import Room
from csc_cli.mixtures.rooms import Spectra, aligned, lead, pool_room, simulated
from csc_cli.mixtures.settings import RoomConfig

ROOM = Room((4.0, 3.5, 2.5), 0.2, (2.0, 1.8, 1.2))
PLACE = (1.0, 1.0, 1.5)
RATE = 8000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CSC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rooms"


def test_a_pool_room_is_inside_its_settings_and_a_function_of_seed_and_number():
    config = RoomConfig(seed=3)
    pool_room.cache_clear()
    first = [pool_room(config, index) for index in range(40)]
    pool_room.cache_clear()
    assert [pool_room(config, index) for index in reversed(range(40))] == first[::-1]
    assert pool_room(RoomConfig(seed=4), 0) != first[0]
    assert len({room.size_m for room, _ in first}) == 40
    for room, places in first:
        assert 3 <= room.size_m[0] <= 10
        assert 0.15 <= room.rt60_s <= 0.6
        assert len(set(places)) == 6
        for place in places:
            room.check_inside("place", place)
            assert 0.5 <= np.linalg.norm(np.subtract(place, room.microphone_m)) <= 3


def test_a_distance_that_no_room_has_is_named():
    with pytest.raises(ConfigError, match="distance_m"):
        pool_room(RoomConfig(distance_m=(0.9, 0.9), length_m=(3, 3), width_m=(3, 3)), 0)


def test_a_response_is_on_time_and_dies_away_as_fast_as_it_should(cache):
    pytest.importorskip("pyroomacoustics")
    response = simulated(ROOM, PLACE, RATE)
    assert response.dtype == np.float32
    # The direct sound falls off with distance, and nothing is higher. Between two samples its peak is 0.64 as high.
    distance = np.linalg.norm(np.subtract(PLACE, ROOM.microphone_m))
    assert abs(int(np.abs(response).argmax()) - lead(RATE)) <= 1
    assert np.abs(response).max() == pytest.approx(1 / distance, rel=0.4)
    # Schroeder's decay from -5 to -25 dB, times three.
    left = np.cumsum(np.float64(response[::-1]) ** 2)[::-1]
    decay = 10 * np.log10(left / left[0])
    rt60 = 3 * (np.argmax(decay < -25) - np.argmax(decay < -5)) / RATE
    assert rt60 == pytest.approx(ROOM.rt60_s, rel=0.5)


def test_a_response_is_kept_and_a_damaged_one_made_again(cache, monkeypatch):
    pytest.importorskip("pyroomacoustics")
    first = simulated(ROOM, PLACE, RATE)
    (path,) = cache.iterdir()
    assert np.array_equal(np.load(path), first)
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(simulated(ROOM, PLACE, RATE), first)
    monkeypatch.setattr(rooms, "_simulate", None)  # no more simulation: what follows comes from the disk
    assert np.array_equal(simulated(ROOM, PLACE, RATE), first)
    with pytest.raises(TypeError):
        simulated(ROOM, (1.0, 1.0, 1.6), RATE)


def test_a_room_that_cannot_be_and_a_missing_package_are_named(monkeypatch):
    pytest.importorskip("pyroomacoustics")
    with pytest.raises(DataError, match=r"rt60_s=0.05 is shorter than a room"):
        simulated(Room((10.0, 10.0, 10.0), 0.05, (1.0, 1.0, 1.0)), PLACE, RATE)
    monkeypatch.setitem(__import__("sys").modules, "pyroomacoustics", None)
    with pytest.raises(ConfigError, match=r"csc-cli\[rooms\]"):
        simulated(ROOM, PLACE, RATE)


def test_a_recorded_response_is_aligned_to_its_first_high_peak():
    response = np.zeros(3000)
    response[700], response[701], response[900], response[10] = 0.7, 0.3, 1.0, 0.1
    found = aligned(response, RATE)
    assert found[lead(RATE)] == 0.7
    assert found.size == 3000 - 700 + lead(RATE)
    early = aligned(response[695:], RATE)  # fewer samples before than the lead
    assert np.array_equal(early[lead(RATE) - 5 :], response[695:])
    with pytest.raises(AudioError, match="'r' is silent"):
        rooms.check_response(np.zeros(5), "r")


def test_spectra_are_kept_within_their_bytes():
    spectra = Spectra(max_bytes=3000)
    response = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    for key in range(20):
        found = spectra.of((key,), response * key, 256)
        assert np.allclose(found, np.fft.rfft(response * key, 256), atol=1e-4)
        assert spectra.of((key,), response * 0, 256) is found  # not made again
    assert np.allclose(spectra.of((0,), response, 256), np.fft.rfft(response, 256), atol=1e-4)
