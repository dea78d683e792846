"""The description of a mixture, and its file: `mix.jsonl`, a line a mixture (see docs/formats.md).

The same record is drawn in training, in simulation to disk and in trials. Rendering it is a pure
function of the record and the source audio.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from csc_cli.errors import DataError, at, nearest
from csc_cli.files import open_atomic

NOISE_KINDS = ("white", "pink")
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
class Source:
    """A talker's part of a mixture.

    Attributes:
        utterance, speaker: ids of the data directory.
        start, length: the range of the utterance's samples, at the mixture's rate and after `speed`.
        onset: the sample of the mixture at which the range begins.
        level_db: dBFS of the active speech *after* the channel, as `activity.active_level_db` measures it.
        speed: 1.1 plays the utterance 1.1 times as fast (and higher).
    """

    utterance: str
    speaker: str
    start: int
    length: int
    onset: int
    level_db: float
    channel: Channel | None = None
    speed: float = 1.0

    def __post_init__(self) -> None:
        if self.start < 0 or self.length < 1 or self.onset < 0:
            raise DataError(
                f"source '{self.utterance}': start={self.start}, length={self.length}, onset={self.onset}: "
                "start and onset must be at least 0, length at least 1"
            )
        if not (0.25 <= self.speed <= 4 and math.isfinite(self.level_db)):
            raise DataError(
                f"source '{self.utterance}': speed={self.speed} must lie in [0.25, 4], "
                f"level_db={self.level_db} must be finite"
            )


@dataclass(frozen=True, slots=True)
class Noise:
    """Generated noise over the whole mixture; `level_db` is its root mean square in dBFS."""

    kind: str
    level_db: float
    seed: int

    def __post_init__(self) -> None:
        if self.kind not in NOISE_KINDS:
            raise DataError(f"noise kind '{self.kind}': {nearest(self.kind, NOISE_KINDS)}")
        if self.seed < 0 or not math.isfinite(self.level_db):
            raise DataError(f"noise: seed={self.seed} must be at least 0, level_db={self.level_db} finite")


@dataclass(frozen=True, slots=True)
class Mixture:
    """One mixture of no, one or several talkers (and noise): `length` samples at `sample_rate` Hz.

    `channel` is the whole recording's: it acts on all sources and on the noise, before their levels are set.
    """

    id: str
    sample_rate: int
    length: int
    sources: tuple[Source, ...]
    noise: Noise | None = None
    channel: Channel | None = None
    condition: str = ""

    def __post_init__(self) -> None:
        if self.id.split() != [self.id] or not self.id.isprintable():
            raise DataError(f"mixture {self.id!r}: an id has at least one character and no white space")
        if not 1000 <= self.sample_rate <= 192_000:
            raise DataError(f"mixture '{self.id}': sample_rate={self.sample_rate} must lie in [1000, 192000] Hz")
        if not 1 <= self.length <= MOST_S * self.sample_rate:
            raise DataError(f"mixture '{self.id}': length={self.length} must lie in 1 sample to {MOST_S} s")
        for source in self.sources:
            if source.onset + source.length > self.length:
                raise DataError(
                    f"mixture '{self.id}': source '{source.utterance}' ends at {source.onset + source.length}, "
                    f"after the mixture's end at {self.length}"
                )


def to_line(mixture: Mixture) -> str:
    """The mixture as one line of JSON, without its line end."""
    return json.dumps(_finite(asdict(mixture)), ensure_ascii=False, separators=(",", ":"))


def from_line(line: str) -> Mixture:
    """The mixture that `line` describes; unknown, missing and doubled keys are refused.

    Raises:
        DataError: not JSON, a wrong key, a wrong type, an impossible value.
    """
    try:
        value = json.loads(line, object_pairs_hook=_no_doubles, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of more than 4300 digits
        raise DataError(f"not a line of JSON: {str(error).splitlines()[0][:80]}") from error
    return _build(Mixture, value, "mixture")


def read_mixtures(path: str | Path) -> Iterator[Mixture]:
    """The mixtures of a `mix.jsonl`, one at a time.

    Raises:
        DataError: with `path:line`, at the first line that is wrong; also if an id comes twice.
    """
    seen: set[str] = set()
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    mixture = from_line(line)
                except DataError as error:
                    raise DataError(at(path, number, str(error))) from error
                if mixture.id in seen:
                    raise DataError(at(path, number, f"the id '{mixture.id}' comes twice; make ids unique"))
                seen.add(mixture.id)
                yield mixture
    except OSError as error:
        raise DataError(f"{path}: cannot read the mixtures: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text") from error


def write_mixtures(path: str | Path, mixtures: Iterable[Mixture]) -> int:
    """Write a `mix.jsonl`, whole or not at all; returns the number of lines."""
    count = 0
    with open_atomic(path) as stream:
        for mixture in mixtures:
            stream.write(to_line(mixture) + "\n")
            count += 1
    return count


def _finite(value: Any) -> Any:
    """JSON has no infinity: an open upper band limit is written as null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if value == math.inf else value


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DataError(f"a key is given twice among {', '.join(sorted(key for key, _ in pairs))}; keep one")
    return value


def _refuse_constant(name: str) -> Any:
    raise DataError(f"{name} is not a number")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _build(kind: type, value: Any, where: str) -> Any:
    hints = _hints(kind)
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be an object with the keys {', '.join(hints)}")
    for key in value:
        if key not in hints:
            raise DataError(f"{where}: unknown key '{key}'; {nearest(key, hints)}")
    for key in hints:
        if key not in value:
            raise DataError(f"{where}: missing key '{key}'")
    return kind(**{key: _value(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if where.endswith(".high_hz") and value is None:
        return math.inf
    if hint in (str, int, float):
        if type(value) is hint or (hint is float and type(value) is int):
            return hint(value)
        raise DataError(f"{where}: {json.dumps(value)[:40]} must be {_WORDS[hint]}")
    arguments = get_args(hint)
    if type(None) in arguments:
        return None if value is None else _build(arguments[0], value, where)
    if not isinstance(value, list):
        raise DataError(f"{where}: must be a list")
    if arguments[0] is Source:
        return tuple(_build(Source, item, f"{where}[{index}]") for index, item in enumerate(value))
    return tuple(_value(arguments[0], item, where) for item in value)


_WORDS = {str: "a text", int: "a whole number", float: "a number"}
