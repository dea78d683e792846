"""Who is an impostor of whom: enrolled speakers that share sex and age band, as far as a protocol asks for it.

Without it a verification test is passed in part by telling men from women and children from adults.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping

from csc_cli.errors import DataError, some
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.settings import TrialsConfig

TABLES = {"sex": "spk2gender", "age": "spk2age"}


def groups(data: DataDir, speakers: Iterable[str], config: TrialsConfig) -> dict[str, str]:
    """The group of each of the speakers, such as "f, 12 to under 18 years"; everybody's is "" where nothing is matched.

    Raises:
        DataError: a table is missing, or says nothing or no age of one of the speakers.
    """
    names = sorted(speakers)
    traits = []
    for trait in config.matched:
        table = _table(data, names, trait)
        if trait == "age":
            table = {name: age_band(table[name], config.age_bands) for name in names}
        wrong = [name for name in names if not table[name]]
        if wrong:
            raise DataError(f"{data.path / TABLES[trait]}: the age of {some(wrong)} is no number of years; mend it")
        traits.append(table)
    return {name: ", ".join(trait[name] for trait in traits) for name in names}


def age_band(age: str, begins: tuple[float, ...]) -> str:
    """The band of ages in words; "" for a text that is no age.

    >>> [age_band(age, (12, 18)) for age in ("6", "12", "17.5", "18", "old")]
    ['under 12 years', '12 to under 18 years', '12 to under 18 years', '18 years and older', '']
    """
    try:
        years = float(age)
    except ValueError:
        return ""
    if not 0 <= years < math.inf:
        return ""
    place = bisect.bisect_right(begins, years)
    if not begins:
        return "any age"
    if place == 0:
        return f"under {begins[0]:g} years"
    if place == len(begins):
        return f"{begins[-1]:g} years and older"
    return f"{begins[place - 1]:g} to under {begins[place]:g} years"


def _table(data: DataDir, speakers: list[str], trait: str) -> Mapping[str, str]:
    path = data.path / TABLES[trait]
    table = data.extra.get(TABLES[trait])
    remedy = f"add lines 'SPEAKER {trait.upper()}', or leave {trait} out of 'matched'"
    if table is None:
        raise DataError(f"{path}: not found, and nontargets are to be matched by {trait}; {remedy}")
    missing = [speaker for speaker in speakers if speaker not in table]
    if missing:
        raise DataError(f"{path}: does not have {some(missing)}; {remedy}")
    return table
