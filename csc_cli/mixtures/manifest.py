"""The file of mixtures, `mix.jsonl`, a line a mixture (see docs/formats.md).

The same record is drawn in training, in simulation to disk and in trials. Rendering it is a pure
function of the record and the source audio.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from csc_cli.errors import DataError, at, nearest
from csc_cli.files import open_atomic
from csc_cli.mixtures.records import Channel, Clip, Mixture, Noise, Room, Source

__all__ = [
    "Channel", "Clip", "Mixture", "Noise", "Room", "Source", "from_line", "read_mixtures", "to_line", "write_mixtures",
]  # fmt: skip


ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_line(mixture: Mixture) -> str:
    """The mixture as one line of JSON, without its line end.

    Keys that later versions of csc added are left out where they say nothing.
    """
    return ENCODE(_plain(mixture))


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


OPTIONAL: dict[type, tuple[str, ...]] = {
    Source: ("gaps", "rir", "position_m", "gain"),
    Clip: ("start",),
    Noise: ("clips", "rir", "position_m", "gain"),
    Mixture: ("room", "target", "loudness_lufs", "codec", "resampler"),
    Channel: (),
    Room: (),
}


# Each key of a record and the value at which it may be left out; MISSING: never.
LAYOUT: dict[type, tuple[tuple[str, Any], ...]] = {
    kind: tuple((field.name, field.default if field.name in optional else MISSING) for field in fields(kind))
    for kind, optional in OPTIONAL.items()
}


def _plain(value: Any) -> Any:
    """As JSON has it: no tuples, no records, no infinity (an open upper band limit is written as null)."""
    kind = type(value)
    if kind is float:
        return value if value != math.inf else None
    if kind is str or kind is int or value is None:
        return value
    if kind is tuple:
        return [_plain(item) for item in value]
    layout = LAYOUT.get(kind)
    if layout is None:
        return None if value == math.inf else value
    plain = {}
    for name, default in layout:
        item = getattr(value, name)
        if default is MISSING or item != default:
            plain[name] = _plain(item)
    return plain


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
        if key not in value and key not in OPTIONAL[kind]:
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
        return None if value is None else _value(arguments[0], value, where)
    if get_origin(hint) is not tuple:
        return _build(hint, value, where)
    if not isinstance(value, list):
        raise DataError(f"{where}: must be a list")
    numbered = arguments[0] in OPTIONAL
    return tuple(
        _value(arguments[0], item, f"{where}[{index}]" if numbered else where) for index, item in enumerate(value)
    )


_WORDS = {str: "a text", int: "a whole number", float: "a number"}
