"""The settings of mixtures: `conf/mixtures/NAME.yaml`. The only home of their defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from csc_cli.errors import ConfigError

Range = tuple[float, float]


@dataclass(frozen=True)
class NoiseConfig:
    """Noise over the whole mixture: generated, from a data directory of noises, or a babble of other speakers."""

    probability: float = 0.5  # of a mixture having noise
    snr_db: Range = (10.0, 30.0)  # level of the first talker's active speech minus the noise's
    kinds: tuple[Literal["white", "pink", "recorded", "babble"], ...] = ("white", "pink")  # each as likely
    data: str | None = None  # data directory of noises, for recorded
    babble: tuple[int, int] = (3, 8)  # voices of a babble, of speakers who are not in the mixture

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_range("snr_db", self.snr_db)
        if not self.kinds:
            raise ConfigError("kinds: name at least one of white, pink, recorded, babble")
        if len(set(self.kinds)) != len(self.kinds):
            raise ConfigError(f"kinds={list(self.kinds)}: names a kind twice")
        if ("recorded" in self.kinds) != (self.data is not None):
            raise ConfigError(
                f"kinds={list(self.kinds)}, data={self.data}: recorded noise needs the data directory of noises, and "
                "that is for recorded noise; give both or none"
            )
        if not 1 <= self.babble[0] <= self.babble[1] <= 100:
            raise ConfigError(f"babble={list(self.babble)}: must be two ascending numbers in [1, 100]")


@dataclass(frozen=True)
class RoomConfig:
    """Reverberation: all talkers (and noise that is recorded or babble) in one room, each at a place of its own."""

    probability: float = 0.0  # of a mixture being in a room
    data: str | None = None  # data directory of impulse responses, utt2spk naming the room of each; null: simulated
    target: Literal["reverberant", "early"] = "reverberant"  # of separation; early: 50 ms from the direct sound on
    # Simulated: so many rooms with so many places each are drawn from the seed, and then drawn from.
    rooms: int = 200
    places: int = 6
    seed: int = 0
    length_m: Range = (3.0, 10.0)
    width_m: Range = (3.0, 8.0)
    height_m: Range = (2.4, 4.0)
    rt60_s: Range = (0.15, 0.6)
    distance_m: Range = (0.5, 3.0)  # of a place from the microphone

    def __post_init__(self) -> None:
        check_probability(self.probability)
        for name in ("length_m", "width_m", "height_m", "rt60_s", "distance_m"):
            check_range(name, getattr(self, name))
        if self.rooms < 1 or not 1 <= self.places <= 64 or self.seed < 0:
            raise ConfigError(
                f"rooms={self.rooms}, places={self.places}, seed={self.seed}: rooms at least 1, places in [1, 64], "
                "seed at least 0"
            )
        shortest = min(self.length_m[0], self.width_m[0], self.height_m[0])
        if not (shortest >= 2 and max(self.length_m[1], self.width_m[1], self.height_m[1]) <= 100):
            raise ConfigError(f"length_m, width_m, height_m={shortest:g} ...: must lie in [2, 100] m")
        if not 0.05 <= self.rt60_s[0] <= self.rt60_s[1] <= 3:
            raise ConfigError(f"rt60_s={list(self.rt60_s)}: must lie in [0.05, 3] s")
        if not 0.1 <= self.distance_m[0] <= shortest / 2 - 0.2:
            raise ConfigError(
                f"distance_m={list(self.distance_m)}: the least must lie in [0.1, {shortest / 2 - 0.2:g}], within the "
                "smallest room"
            )


@dataclass(frozen=True)
class GapConfig:
    """Talkers who fall silent and go on, at pauses of their speech where there are any."""

    probability: float = 0.0  # of a source having gaps
    number: tuple[int, int] = (1, 2)  # of them
    seconds: Range = (0.2, 1.0)  # of each; all together at most half of a mixture of fixed length

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_range("seconds", self.seconds)
        if not 1 <= self.number[0] <= self.number[1] <= 20:
            raise ConfigError(f"number={list(self.number)}: must be two ascending numbers in [1, 20]")
        if not 0.01 <= self.seconds[0] <= self.seconds[1] <= 60:
            raise ConfigError(f"seconds={list(self.seconds)}: must lie in [0.01, 60] s")


@dataclass(frozen=True)
class CodecConfig:
    """A telephone line for the whole recording: a band, then a codec at 8 kHz."""

    probability: float = 0.0  # of a mixture being sent through one
    kinds: tuple[Literal["mulaw", "alaw", "gsm"], ...] = ("mulaw", "alaw", "gsm")  # G.711 and GSM 06.10
    low_hz: Range = (200.0, 300.0)  # lower end, uniform; -3 dB, 24 dB an octave
    high_hz: Range = (3400.0, 3600.0)  # upper end, uniform

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_range("low_hz", self.low_hz)
        check_range("high_hz", self.high_hz)
        if not self.kinds or len(set(self.kinds)) != len(self.kinds):
            raise ConfigError(f"kinds={list(self.kinds)}: name at least one of mulaw, alaw, gsm, each once")
        if self.low_hz[0] < 0 or self.low_hz[1] >= self.high_hz[0]:
            raise ConfigError(f"low_hz={self.low_hz}: must lie in 0 to high_hz[0]={self.high_hz[0]}")


@dataclass(frozen=True)
class LoudnessConfig:
    """The loudness of the whole mixture (ITU-R BS.1770), in place of what `level_db` makes it; ratios stay."""

    probability: float = 0.0  # of a mixture being brought to a loudness
    lufs: Range = (-33.0, -25.0)

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_range("lufs", self.lufs)
        if not -70 <= self.lufs[0] <= self.lufs[1] <= 0:
            raise ConfigError(f"lufs={list(self.lufs)}: must lie in [-70, 0]")


@dataclass(frozen=True)
class EqualiserConfig:
    """A random smooth equaliser for each source: it hides which recording a speech came from."""

    probability: float = 1.0  # of a source being equalised
    max_db: float = 10.0  # each band's gain is uniform in +- this
    bands: int = 8  # log-spaced centres from 100 Hz to half the sampling rate

    def __post_init__(self) -> None:
        check_probability(self.probability)
        if not 0 <= self.max_db <= 60:
            raise ConfigError(f"max_db={self.max_db}: must lie in [0, 60]")
        if not 2 <= self.bands <= 64:
            raise ConfigError(f"bands={self.bands}: must lie in [2, 64]")


@dataclass(frozen=True)
class BandLimitConfig:
    """A random band for each source, as of microphones and telephones (-3 dB points, 24 dB an octave)."""

    probability: float = 1.0  # of a source being limited
    low_hz: Range = (50.0, 300.0)  # lower end, uniform
    high_hz: Range = (3000.0, 4000.0)  # upper end, uniform; half the sampling rate and above: open

    def __post_init__(self) -> None:
        check_probability(self.probability)
        check_range("low_hz", self.low_hz)
        check_range("high_hz", self.high_hz)
        if self.low_hz[0] < 0 or self.low_hz[1] >= self.high_hz[0]:
            raise ConfigError(f"low_hz={self.low_hz}: must lie in 0 to high_hz[0]={self.high_hz[0]}")


@dataclass(frozen=True)
class MixtureConfig:
    """What random mixtures are like."""

    sample_rate: int = 8000  # Hz; recordings of another rate are resampled
    crop_s: float | None = 2.5  # length of a mixture; null: utterances as long as they are
    # With crop_s null: cut all to the shortest utterance ("min"), keep all whole ("max"), or keep the first
    # whole and cut the others to its length ("first").
    mode: Literal["min", "max", "first"] = "max"
    sir_db: Range = (-5.0, 5.0)  # first talker minus each other, over active speech
    overlap: Range = (1.0, 1.0)  # of the shorter of two talkers' stretches
    level_db: Range = (-35.0, -25.0)  # active speech of the first talker, dB of full scale
    speeds: tuple[float, ...] = (1.0,)  # each source is played at one of these
    # What says where an utterance's speech is, for crops and overlap; null: csc's own detector.
    activity: Literal["vad.scp"] | None = None
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    equaliser: EqualiserConfig = field(default_factory=EqualiserConfig)
    band_limit: BandLimitConfig = field(default_factory=BandLimitConfig)
    room: RoomConfig = field(default_factory=RoomConfig)
    gaps: GapConfig = field(default_factory=GapConfig)
    codec: CodecConfig = field(default_factory=CodecConfig)
    loudness: LoudnessConfig = field(default_factory=LoudnessConfig)

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        if self.crop_s is not None and not 0.1 <= self.crop_s <= 600:
            raise ConfigError(f"crop_s={self.crop_s}: must lie in [0.1, 600] s, or be null")
        check_range("sir_db", self.sir_db)
        check_range("level_db", self.level_db)
        check_range("overlap", self.overlap)
        if self.overlap[0] < 0 or self.overlap[1] > 1:
            raise ConfigError(f"overlap={list(self.overlap)}: must lie in [0, 1]")
        if not self.speeds or not all(0.5 <= speed <= 2 for speed in self.speeds):
            raise ConfigError(f"speeds={list(self.speeds)}: name at least one, each in [0.5, 2]")


@dataclass(frozen=True)
class TrialsConfig:
    """What the recordings and trials of a verification protocol are like."""

    sample_rate: int = 8000  # Hz, of all recordings written
    enrollment: int = 3  # utterances of each speaker
    enrollment_s: float | None = None  # so many utterances in their place that their speech lasts this long
    tests: int = 10  # utterances of each speaker, at most, in each condition
    nontargets: int | None = None  # enrolled speakers, drawn at random, for each test recording; null: all
    matched: tuple[Literal["sex", "age"], ...] = ()  # what a nontarget shares with one of a recording's targets
    age_bands: tuple[float, ...] = (12.0, 18.0)  # years at which a new band of ages begins
    talkers: tuple[int, ...] = (2,)  # of the mixed recordings, the tested one included; conditions of their own
    sir_db: tuple[float, ...] = (5.0, 0.0, -5.0)  # tested speaker minus each interferer, over active speech
    # Of the shorter of the tested and each interfering stretch; conditions of their own. (): as the lengths allow.
    overlap: tuple[float, ...] = ()
    noise_snr_db: tuple[float, ...] = ()  # the tested speaker alone in noise; conditions of their own
    reverberation: bool = False  # the tested speaker alone in a room; a condition of its own
    # Each mixed condition once more, with noise at this ratio and, if there is reverberation, in a room.
    together_snr_db: float | None = None
    cut_s: tuple[float, ...] = ()  # the tested speaker alone, cut to so much; conditions of their own
    duration_bands_s: tuple[float, ...] = ()  # seconds at which a new band of utt2duration begins
    # Speakers (a number, or a share of those who could be enrolled where below 1) who are never enrolled, and who
    # then interfere alone; 0: everybody may interfere with everybody else.
    held_back: float = 0.0
    level_db: Range = (-35.0, -25.0)  # active speech of the tested speaker, dB of full scale
    activity: Literal["vad.scp"] | None = None  # what says where there is speech; null: csc's own detector
    noise: NoiseConfig = field(default_factory=lambda: NoiseConfig(probability=0.0))
    room: RoomConfig = field(default_factory=RoomConfig)
    equaliser: EqualiserConfig = field(default_factory=EqualiserConfig)
    band_limit: BandLimitConfig = field(default_factory=BandLimitConfig)

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        check_range("level_db", self.level_db)
        if self.enrollment < 1 or self.tests < 1:
            raise ConfigError(f"enrollment={self.enrollment}, tests={self.tests}: must be at least 1")
        if self.nontargets is not None and self.nontargets < 1:
            raise ConfigError(f"nontargets={self.nontargets}: must be at least 1, or null for all")
        for name in ("sir_db", "overlap", "noise_snr_db", "cut_s"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ConfigError(f"{name}={list(values)}: holds a value twice")
        if not all(0 <= overlap <= 1 for overlap in self.overlap):
            raise ConfigError(f"overlap={list(self.overlap)}: must lie in [0, 1]")
        if not all(0.1 <= seconds <= 600 for seconds in self.cut_s):
            raise ConfigError(f"cut_s={list(self.cut_s)}: must lie in [0.1, 600] s")
        if self.enrollment_s is not None and self.enrollment_s <= 0:
            raise ConfigError(f"enrollment_s={self.enrollment_s}: must be above 0, or null")
        if len(set(self.matched)) != len(self.matched):
            raise ConfigError(f"matched={list(self.matched)}: names a trait twice")
        for name, unit in (("age_bands", "years"), ("duration_bands_s", "seconds")):
            bands = getattr(self, name)
            if any(low >= high for low, high in pairwise((0.0, *bands))):
                raise ConfigError(f"{name}={list(bands)}: must be positive {unit} in ascending order")
        if not self.talkers or min(self.talkers) < 2 or len(set(self.talkers)) != len(self.talkers):
            raise ConfigError(f"talkers={list(self.talkers)}: name numbers of at least 2, each once")
        if self.held_back < 0 or (self.held_back >= 1 and self.held_back != int(self.held_back)):
            raise ConfigError(f"held_back={self.held_back}: must be a whole number of speakers, or a share below 1")

    def mixture(
        self, sir_db: float = 0.0, snr_db: float | None = None, cut_s: float | None = None, room: bool = False
    ) -> MixtureConfig:
        """The settings of one recording: the first talker whole (or cut), another cut to its length."""
        noise = self.noise
        if snr_db is not None:
            noise = replace(noise, probability=1.0, snr_db=(snr_db, snr_db))
        return MixtureConfig(
            sample_rate=self.sample_rate,
            crop_s=cut_s,
            mode="first",
            sir_db=(sir_db, sir_db),
            overlap=(1.0, 1.0),
            level_db=self.level_db,
            activity=self.activity,
            noise=noise,
            room=replace(self.room, probability=1.0) if room else self.room,
            equaliser=self.equaliser,
            band_limit=self.band_limit,
        )


def check_rate(rate: int) -> None:
    if not 4000 <= rate <= 48000:
        raise ConfigError(f"sample_rate={rate}: must lie in [4000, 48000] Hz")


def check_range(name: str, limits: Range) -> None:
    if limits[0] > limits[1]:
        raise ConfigError(f"{name}={list(limits)}: the first must not be above the second")


def check_probability(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise ConfigError(f"probability={probability}: must lie in [0, 1]")
