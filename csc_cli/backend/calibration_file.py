"""A calibration as a small JSON file: docs/formats.md has its keys."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csc_cli.backend.calibrate import Calibration
from csc_cli.errors import ConfigError, DataError, at, nearest
from csc_cli.files import write_json

FORMAT = "csc calibration 1"
KEYS = ("format", "prior", "systems", "quality", "offset", "speakers", "trained_on")


@dataclass(frozen=True)
class Stored:
    """A calibration with the speakers of its training trials, and what they were."""

    calibration: Calibration
    speakers: frozenset[str]
    trained_on: dict[str, Any]

    @property
    def named(self) -> bool:
        """Whether a table named the speakers behind enrollments."""
        return "enrollments" in self.trained_on

    @property
    def enrollments(self) -> frozenset[str]:
        """The ids of the training trials' enrollments, which are speakers themselves where no table named others."""
        return frozenset(self.trained_on.get("enrollments", self.speakers))


def save(path: str | Path, calibration: Calibration, speakers: Iterable[str], trained_on: dict[str, Any]) -> None:
    """Write a fitted calibration, whole or not at all."""

    def weights(by_name: dict[str, float]) -> list[dict[str, Any]]:
        return [{"name": name, "weight": weight} for name, weight in by_name.items()]

    write_json(path, {
        "format": FORMAT,
        "prior": calibration.prior,
        "systems": weights(calibration.weights_),
        "quality": weights(calibration.quality_weights_),
        "offset": calibration.offset_,
        "speakers": sorted(speakers),
        "trained_on": trained_on,
    })  # fmt: skip


def load_calibration(path: str | Path) -> Calibration:
    """The calibration of a file that `csc calibrate train` or `csc fuse train` wrote (errors as `load`)."""
    return load(path).calibration


def load(path: str | Path) -> Stored:
    """Read a calibration.

    Raises:
        DataError: with the path, and the line where it is no JSON: a file of another form, unknown, doubled or
            missing keys, or values of another kind.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=_once)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise DataError(at(path, error.lineno, f"is not JSON: {error.msg}; train the calibration again")) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: is not a calibration; give a file of `csc calibrate train`") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    try:
        return _stored(value)
    except (DataError, ConfigError) as error:
        raise DataError(f"{path}: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose keys stands there once."""
    keys = [key for key, _ in pairs]
    double = {key for key in keys if keys.count(key) > 1}
    if double:
        raise DataError(f"the key '{min(double)}' is given twice; keep one")
    return dict(pairs)


def _stored(value: Any) -> Stored:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise DataError(f"is not a calibration (no 'format' of '{FORMAT}'); give a file of `csc calibrate train`")
    for key in value:
        if key not in KEYS:
            raise DataError(f"unknown key '{key}'; {nearest(key, KEYS)}")
    for key in KEYS:
        if key not in value:
            raise DataError(f"the key '{key}' is missing; train the calibration again")
    systems, quality = _weights(value["systems"], "systems"), _weights(value["quality"], "quality")
    if not systems:
        raise DataError("'systems' is empty: a calibration has at least one")
    speakers = value["speakers"]
    if not isinstance(speakers, list) or not all(isinstance(name, str) for name in speakers):
        raise DataError("'speakers' must be a list of texts")
    if not isinstance(value["trained_on"], dict):
        raise DataError("'trained_on' must be an object")
    enrollments = value["trained_on"].get("enrollments", [])
    if not isinstance(enrollments, list) or not all(isinstance(name, str) for name in enrollments):
        raise DataError("'enrollments' of 'trained_on' must be a list of texts")
    offset, prior = _number(value["offset"], "offset"), _number(value["prior"], "prior")
    return Stored(Calibration.of(systems, quality, offset, prior), frozenset(speakers), value["trained_on"])


def _weights(entries: Any, name: str) -> dict[str, float]:
    if not isinstance(entries, list):
        raise DataError(f"'{name}' must be a list")
    found: dict[str, float] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"name", "weight"} or not isinstance(entry["name"], str):
            raise DataError(f'each of \'{name}\' must be {{"name": TEXT, "weight": NUMBER}}')
        if entry["name"] in found:
            raise DataError(f"'{entry['name']}' stands twice in '{name}'; keep one")
        found[entry["name"]] = _number(entry["weight"], f"{name}: weight")
    return found


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DataError(f"'{name}' must be a finite number")
    return float(value)
