"""The vectors of the trials' two sides, found, centred, and joined to the trials by name.

Legend: N trials, E enrollments, K enrollment vectors, M most vectors of an enrollment, U test utterances, V test
vectors, C most streams of an utterance, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.chain import Chain
from csc_cli.backend.files import absent, find_vectors
from csc_cli.backend.settings import ScoreSettings
from csc_cli.backend.streams import rows_of
from csc_cli.errors import DataError, some
from csc_cli.kaldi.specifiers import as_rspecifier
from csc_cli.kaldi.tables import read_ints, read_keyed, stack_vectors

Floats = NDArray[np.float64]
Index = NDArray[np.integer]
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Side:
    """One side's units (enrollments or utterances), and the vectors each of them has."""

    names: list[str]  # of the units
    keys: list[str]  # of the vectors
    vectors: Floats
    rows: Index  # (units, most vectors of one), filled up with -1
    counts: Index  # of how many utterances each vector is the mean

    def means(self) -> Side:
        """Each unit with the one mean of its vectors."""
        there = self.rows >= 0
        counts = there.sum(axis=1)
        sums = np.zeros((len(self.names), self.vectors.shape[1]))
        for has, row in zip(there.T, self.rows.T, strict=True):
            sums[has] += self.vectors[row[has]]
        rows = np.where(counts > 0, np.arange(len(self.names)), -1)[:, None]
        return Side(self.names, self.names, sums / np.maximum(counts, 1)[:, None], rows, np.maximum(counts, 1))


def enroll_side(name: str, units: Sequence[str] | None, chain: Chain, settings: ScoreSettings) -> tuple[Side, str]:
    """The enrollments `units`, or all of them; returns and errors as `_side`."""
    table = read_keyed(settings.enroll_spk2utt) if settings.enroll_spk2utt is not None else None
    side, missing = _side(name, units, table, chain, settings, ("utterances", "enrollment"))
    if settings.enroll_by == "vectors" and table is not None:
        side = side.means()
    if settings.num_utts is not None:
        side = replace(side, counts=_counts(settings.num_utts, side.keys, settings))
    return side, missing


def test_side(name: str, units: Sequence[str] | None, chain: Chain, settings: ScoreSettings) -> tuple[Side, str]:
    """The test utterances `units`, or all of them; returns and errors as `_side`."""
    table = read_keyed(settings.streams) if settings.streams is not None else None
    return _side(name, units, table, chain, settings, ("streams", "test vector"))


def voxceleb_key(name: str) -> str:
    """A path of VoxCeleb's lists as Kaldi's recipe names the utterance.

    >>> voxceleb_key("id10270/x6uYqmx31kE/00001.wav")
    'id10270-x6uYqmx31kE-00001'
    """
    return name.removesuffix(".wav").replace("/", "-")


def _side(
    name: str,
    units: Sequence[str] | None,
    table: Mapping[str, Sequence[str]] | None,
    chain: Chain,
    settings: ScoreSettings,
    kinds: tuple[str, str],
) -> tuple[Side, str]:
    """The vectors of the units, which are the keys of `name`, or what `table` says of them.

    Returns:
        The side; and a clause that counts and names what is lacking, empty if nothing is. A unit that lacks
        something has no rows.

    Raises:
        DataError: a damaged table, vectors of different dimensions, or no vector at all.
    """
    if units is None and table is None:
        keys, vectors = stack_vectors(as_rspecifier(name))
        ones = np.ones(len(keys), np.int64)
        return Side(keys, keys, chain.transform(vectors, keys=keys), np.arange(len(keys))[:, None], ones), ""
    alias = voxceleb_key if settings.trials_format == "voxceleb" else None
    names = list(table or ()) if units is None else list(units)
    known = {unit: [unit] if table is None else _look_up(table, unit, alias) or [] for unit in names}
    lacking = [unit for unit, keys in known.items() if not keys]
    clauses = [f"no {kinds[0]} for {len(lacking)} of {len(names)} {kinds[1]}(s): {some(lacking)}"] if lacking else []
    rows: Index
    keys, rows = rows_of(list(known.values()))
    vectors, found = find_vectors(name, keys, alias)
    if not found.all():
        clauses.append(absent(name, keys, found, kinds[1]))
    if not found.any():
        raise DataError(f"{clauses[-1]}; extract them, or take them out of the trials")
    rows, vectors, keys = _without(rows, vectors, keys, found)
    ones = np.ones(len(keys), np.int64)
    return Side(names, keys, chain.transform(vectors, keys=keys), rows, ones), "; ".join(clauses)


def _without(
    rows: Index, vectors: Floats, keys: list[str], found: NDArray[np.bool_]
) -> tuple[Index, Floats, list[str]]:
    """The vectors that were found, and the rows of them; a unit that lacks one has none."""
    if found.all():
        return rows, vectors, keys
    there = rows >= 0
    whole = np.logical_or(found[rows], ~there).all(axis=1, keepdims=True)
    place = np.cumsum(found) - 1
    kept = [key for key, is_found in zip(keys, found, strict=True) if is_found]
    return np.where(there & whole, place[rows], -1), vectors[found], kept


def _look_up(table: Mapping[str, Value], name: str, alias: Callable[[str], str] | None) -> Value | None:
    value = table.get(name)
    return table.get(alias(name)) if value is None and alias is not None else value


def _counts(name: str, units: Sequence[str], settings: ScoreSettings) -> Index:
    rspecifier = name if ":" in name.split("/")[0] else f"ark:{name}"
    table = read_ints(rspecifier)
    alias = voxceleb_key if settings.trials_format == "voxceleb" else None
    values = [_look_up(table, unit, alias) for unit in units]
    lacking = [unit for unit, value in zip(units, values, strict=True) if value is None]
    if lacking:
        message = f"no number of utterances for {len(lacking)} of {len(units)} enrollment(s): {some(lacking)}"
        raise DataError(f"{rspecifier}: {message}; write the table again")
    low = [unit for unit, value in zip(units, values, strict=True) if value is not None and value < 1]
    if low:
        raise DataError(f"{rspecifier}: fewer than one utterance for {some(low)}; write the table again")
    return np.array(values, np.int64)
