"""A mixture as a value: who speaks, which samples, when, how loud, in which room, over which noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from csc_cli.errors import DataError, nearest

NOISE_KINDS = ("white", "pink", "recorded", "babble")
CODECS = ("mulaw", "alaw", "gsm")
TARGETS = ("reverberant", "early")
RESAMPLERS = ("polyphase",)
MOST_S = 4 * 3600


@dataclass(frozen=True, slots=True)
class Channel:
    """A smooth zero-phase response: equaliser times band limit.

    Attributes:
        equaliser_db: gains in dB at log-spaced centres from 100 Hz to half the sampling rate (see
            `render.band_centres`), joined by half cosines over log frequency; () is flat.
        low_hz, high_hz: -3 dB points of 4th-order Butterworth magnitudes; `low_hz` 0 and `high_hz` at or
            above half the sampling rate leave that side open.
    """

    equaliser_db: tuple[float, ...] = ()
    low_hz: float = 0.0
    high_hz: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < self.high_hz:
            raise DataError(f"low_hz={self.low_hz}, high_hz={self.high_hz}: must satisfy 0 <= low_hz < high_hz")
        if len(self.equaliser_db) == 1 or not all(map(math.isfinite, self.equaliser_db)):
            raise DataError(f"equaliser_db={list(self.equaliser_db)}: must hold no or at least two finite numbers")


@dataclass(frozen=True, slots=True)
class Room:
    """A shoebox room that is simulated, seen from one microphone; where sources stand in it they say themselves.

    Attributes:
        size_m: length, width and height.
        rt60_s: reverberation time by Sabine's formula, which gives all walls their absorption.
        microphone_m: where it hangs, from the same corner as the sources.
    """

    size_m: tuple[float, ...]
    rt60_s: float
    microphone_m: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.size_m) != 3 or not all(0.5 <= side <= 100 for side in self.size_m):
            raise DataError(f"room: size_m={list(self.size_m)}: must be three numbers in [0.5, 100] m")
        if not 0.02 <= self.rt60_s <= 10:
            raise DataError(f"room: rt60_s={self.rt60_s}: must lie in [0.02, 10] s")
        self.check_inside("microphone_m", self.microphone_m)

    def check_inside(self, name: str, place_m: tuple[float, ...]) -> None:
        """Raises DataError for a place that is no point inside the room."""
        if len(place_m) != 3 or not all(0 < at < side for at, side in zip(place_m, self.size_m, strict=True)):
            raise DataError(f"room: {name}={list(place_m)}: must be a point inside {list(self.size_m)} m")


@dataclass(frozen=True, slots=True)
class Source:
    """A talker's part of a mixture.

    Attributes:
        utterance, speaker: ids of the data directory.
        start, length: the range of the utterance's samples, at the mixture's rate and after `speed`.
        onset: the sample of the mixture at which the range begins; of a reverberant source, the direct sound's.
        level_db: dBFS of the active speech *after* channel, gaps and room, as `activity.active_level_db` measures
            it; None where `gain` says how loud it is.
        speed: 1.1 plays the utterance 1.1 times as fast (and higher).
        gaps: (at, samples) of each silence that the talker keeps: put in before sample `at` of the range.
        rir: id of the impulse response, in the data directory of rooms, that it is heard through; "": none.
        position_m: where it stands in the mixture's room; (): not in it.
        gain: factor of the samples, in place of `level_db`.
    """

    utterance: str
    speaker: str
    start: int
    length: int
    onset: int
    level_db: float | None
    channel: Channel | None = None
    speed: float = 1.0
    gaps: tuple[tuple[int, ...], ...] = ()
    rir: str = ""
    position_m: tuple[float, ...] = ()
    gain: float | None = None

    @property
    def extent(self) -> int:
        """Samples of the mixture from its first to its last, gaps included."""
        return self.length + sum(samples for _, samples in self.gaps)

    def __post_init__(self) -> None:
        if self.start < 0 or self.length < 1 or self.onset < 0:
            raise DataError(
                f"source '{self.utterance}': start={self.start}, length={self.length}, onset={self.onset}: "
                "start and onset must be at least 0, length at least 1"
            )
        if not (0.25 <= self.speed <= 4 and (self.level_db is None or math.isfinite(self.level_db))):
            raise DataError(
                f"source '{self.utterance}': speed={self.speed} must lie in [0.25, 4], "
                f"level_db={self.level_db} must be finite"
            )
        _check_loudness(f"source '{self.utterance}'", self.level_db, self.gain)
        if self.gaps:
            _check_gaps(self)
        if self.rir and self.position_m:
            raise DataError(f"source '{self.utterance}': has both rir and position_m; keep one")


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording as noise: read from sample `start` on (at the mixture's rate), from its beginning again at its end.

    `utterance` is of the data directory of noises; in babble, of the talkers' own.
    """

    utterance: str
    start: int = 0

    def __post_init__(self) -> None:
        if self.start < 0:
            raise DataError(f"noise '{self.utterance}': start={self.start}: must be at least 0")


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise over the whole mixture.

    Attributes:
        kind: white, pink: Gaussian, made from `seed`; recorded: the sum of `clips`; babble: the sum of `clips`, each
            brought to the same level of active speech before.
        level_db: root mean square in dBFS, after the room; None where `gain` says how loud it is.
        rir, position_m: as of a source; the noise then comes from one place.
        gain: factor of the samples, in place of `level_db`.
    """

    kind: str
    level_db: float | None
    seed: int
    clips: tuple[Clip, ...] = ()
    rir: str = ""
    position_m: tuple[float, ...] = ()
    gain: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in NOISE_KINDS:
            raise DataError(f"noise kind '{self.kind}': {nearest(self.kind, NOISE_KINDS)}")
        if self.seed < 0 or (self.level_db is not None and not math.isfinite(self.level_db)):
            raise DataError(f"noise: seed={self.seed} must be at least 0, level_db={self.level_db} finite")
        _check_loudness("noise", self.level_db, self.gain)
        if bool(self.clips) != (self.kind in ("recorded", "babble")):
            raise DataError(
                f"noise: {len(self.clips)} clips: recorded noise and babble have some, {self.kind} has none"
            )
        if self.rir and self.position_m:
            raise DataError("noise: has both rir and position_m; keep one")


@dataclass(frozen=True, slots=True)
class Mixture:
    """One mixture of no, one or several talkers (and noise): `length` samples at `sample_rate` Hz.

    Attributes:
        channel: the whole recording's: it acts on all sources and on the noise, before their levels are set.
        room: the simulated room in which sources (and noise) with a `position_m` are.
        target: what separation should give of a reverberant source: all of it, or its direct sound and early
            reflections (see `render`).
        loudness_lufs: what all is scaled to in the end, by ITU-R BS.1770; None: left as the levels make it.
        codec: what the mixture went through in the end: mulaw, alaw (G.711) or gsm (GSM 06.10), all at 8 kHz.
        resampler: polyphase: sources and noise are scaled by their gains and then resampled as scipy's resample_poly
            does, which is what LibriMix's scripts do (see `polyphase`); "": resampled by csc's own filter, then scaled.
    """

    id: str
    sample_rate: int
    length: int
    sources: tuple[Source, ...]
    noise: Noise | None = None
    channel: Channel | None = None
    condition: str = ""
    room: Room | None = None
    target: str = "reverberant"
    loudness_lufs: float | None = None
    codec: str = ""
    resampler: str = ""

    def __post_init__(self) -> None:
        if self.id.split() != [self.id] or not self.id.isprintable():
            raise DataError(f"mixture {self.id!r}: an id has at least one character and no white space")
        if not 1000 <= self.sample_rate <= 192_000:
            raise DataError(f"mixture '{self.id}': sample_rate={self.sample_rate} must lie in [1000, 192000] Hz")
        if not 1 <= self.length <= MOST_S * self.sample_rate:
            raise DataError(f"mixture '{self.id}': length={self.length} must lie in 1 sample to {MOST_S} s")
        for source in self.sources:
            if source.onset + source.extent > self.length:
                raise DataError(
                    f"mixture '{self.id}': source '{source.utterance}' ends at {source.onset + source.extent}, "
                    f"after the mixture's end at {self.length}"
                )
        _check_conditions(self)

    @property
    def is_plain(self) -> bool:
        """Whether it is one talker's reverberant or dry speech and nothing else: the mixture is its only source."""
        return len(self.sources) == 1 and not self.has_noise

    @property
    def has_noise(self) -> bool:
        """Whether it is more than the sum of its sources: noise, or what a codec adds."""
        return self.noise is not None or bool(self.codec)


def _check_loudness(where: str, level_db: float | None, gain: float | None) -> None:
    if (level_db is None) == (gain is None):
        raise DataError(f"{where}: level_db={level_db}, gain={gain}: give one of the two")
    if gain is not None and not (math.isfinite(gain) and gain != 0):
        raise DataError(f"{where}: gain={gain}: must be finite and not 0")


def _check_gaps(source: Source) -> None:
    places = [gap[0] for gap in source.gaps if len(gap) == 2 and gap[1] > 0]
    if len(places) != len(source.gaps) or not all(0 < at < source.length for at in places):
        raise DataError(
            f"source '{source.utterance}': gaps={list(map(list, source.gaps))}: each must be [at, samples] with at "
            "inside the range and at least one sample"
        )
    if places != sorted(set(places)):
        raise DataError(f"source '{source.utterance}': gaps must be in ascending order, each at a place of its own")


def _check_conditions(mixture: Mixture) -> None:
    where = f"mixture '{mixture.id}'"
    if mixture.target not in TARGETS:
        raise DataError(f"{where}: target '{mixture.target}': {nearest(mixture.target, TARGETS)}")
    if mixture.codec and mixture.codec not in CODECS:
        raise DataError(f"{where}: codec '{mixture.codec}': {nearest(mixture.codec, CODECS)}")
    if mixture.loudness_lufs is not None and not -100 <= mixture.loudness_lufs <= 0:
        raise DataError(f"{where}: loudness_lufs={mixture.loudness_lufs}: must lie in [-100, 0]")
    if mixture.resampler:
        _check_resampler(mixture, where)
    for part in (*mixture.sources, mixture.noise):
        if part is not None and part.position_m:
            if mixture.room is None:
                raise DataError(f"{where}: position_m={list(part.position_m)}: there is no room; add it")
            mixture.room.check_inside("position_m", part.position_m)


def _check_resampler(mixture: Mixture, where: str) -> None:
    """What is resampled last is only scaled before: nothing else is defined at the recordings' own rates."""
    if mixture.resampler not in RESAMPLERS:
        raise DataError(f"{where}: resampler '{mixture.resampler}': {nearest(mixture.resampler, RESAMPLERS)}")
    noise = mixture.noise
    scaled = [source.gain is not None and source.speed == 1 and not source.gaps for source in mixture.sources]
    if noise is not None:
        scaled.append(noise.gain is not None and noise.kind == "recorded")
    parts = (*mixture.sources, *(() if noise is None else (noise,)))
    scaled += [not part.rir and not part.position_m for part in parts]
    changed = mixture.channel or mixture.codec or mixture.loudness_lufs is not None
    if changed or not all(scaled) or any(source.channel for source in mixture.sources):
        raise DataError(f"{where}: with resampler, sources and recorded noise have a gain and nothing else")
