"""A source through its channels and its room, in one product in the frequency domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.fft

from csc_cli.mixtures import channel as channels
from csc_cli.mixtures.records import Channel, Mixture, Noise, Source
from csc_cli.mixtures.rooms import EARLY_S, SPECTRA, aligned, check_response, lead, simulated_once
from csc_cli.mixtures.store import AudioStore


class Response(NamedTuple):
    """An impulse response that begins `lead` samples before its direct sound, and a name for its spectra."""

    key: tuple[object, ...]
    samples: np.ndarray


def response_of(part: Source | Noise, mixture: Mixture, store: AudioStore) -> Response | None:
    """What the source is heard through, None without a room. Raises CscError as `rooms.simulated` and `Shelf.whole`."""
    rate = mixture.sample_rate
    if part.position_m and mixture.room is not None:
        key = (mixture.room, part.position_m, rate)
        return Response(key, simulated_once(*key))
    if not part.rir:
        return None
    samples = store.surroundings.room_shelf(rate).whole(part.rir)
    check_response(samples, part.rir)
    return Response((store.surroundings.rooms, part.rir, rate), aligned(samples, rate))


def reverberate(
    samples: np.ndarray, own: tuple[Channel, ...], response: Response, room: int, mixture: Mixture, *, early: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """`samples` (t,) through channels and room, and through the room's early part, each at most `room` samples."""
    rate, before = mixture.sample_rate, lead(mixture.sample_rate)
    size = channels.fft_size(samples.size + response.samples.size, rate)
    spectrum = scipy.fft.rfft(samples, size, workers=1)
    for channel in own:
        spectrum *= channels.response(channel, size, rate)
    end, first = before + samples.size + response.samples.size, None
    if early:
        cut = response.samples[: before + round(EARLY_S * rate)]
        near = spectrum * SPECTRA.of((*response.key, "early"), cut, size)
        first = scipy.fft.irfft(near, size, overwrite_x=True, workers=1)[before:end]
        first = first[:room]
    spectrum *= SPECTRA.of(response.key, response.samples, size)
    heard = scipy.fft.irfft(spectrum, size, overwrite_x=True, workers=1)
    return heard[before:end][:room], first


def both(*chain: Channel | None) -> tuple[Channel, ...]:
    """The channels that there are."""
    return tuple(channel for channel in chain if channel is not None)
