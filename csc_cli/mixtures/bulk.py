"""Plans alone, many at a time: lines of mix.jsonl from what is known of the data directory's speech, without audio."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from csc_cli.errors import CscError
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.draw import draw_data_dir
from csc_cli.mixtures.known import KnownSpeech, read_known
from csc_cli.mixtures.manifest import to_line
from csc_cli.mixtures.settings import MixtureConfig
from csc_cli.mixtures.store import AudioStore, detector
from csc_cli.mixtures.surroundings import Surroundings, loaded
from csc_cli.parallel import ordered_map

AT_A_TIME = 1000


@dataclass(frozen=True)
class Plan:
    """The mixtures that a seed draws of a data directory; small enough to travel to a worker.

    Attributes:
        table, key: where it is kept where speech is (see `known.measure`); None: measured as it is needed.
    """

    data: str
    config: MixtureConfig
    seed: int
    talkers: int | tuple[int, int] = 2
    table: Path | None = None
    key: str = ""
    resample: bool = True


@dataclass(frozen=True)
class Stretch:
    """Lines `start` to before `stop` (from 0) of a plan."""

    plan: Plan
    start: int
    stop: int


class Fault(NamedTuple):
    """A mixture that cannot be drawn: its id, the number of its line from 1, and why."""

    id: str
    line: int
    error: CscError


def plan_lines(plan: Plan, start: int, stop: int, nj: int = 1) -> Iterator[str | Fault]:
    """The lines `start` to before `stop` of mix.jsonl, the same for any `nj`."""
    stretches = (Stretch(plan, first, min(first + AT_A_TIME, stop)) for first in range(start, stop, AT_A_TIME))
    for lines in ordered_map(_lines, stretches, nj):
        yield from lines


def _lines(stretch: Stretch) -> list[str | Fault]:
    plan = stretch.plan
    data, store = _store(plan)
    draws = draw_data_dir(data, plan.config, plan.seed, stretch.stop, plan.talkers, stretch.start)
    lines: list[str | Fault] = []
    for number, draw in enumerate(islice(draws, stretch.stop - stretch.start), start=stretch.start + 1):
        try:
            lines.append(to_line(draw.plan(store)))
        except CscError as error:
            lines.append(Fault(draw.id, number, error))
    return lines


@lru_cache(maxsize=1)
def _store(plan: Plan) -> tuple[DataDir, AudioStore]:
    data = loaded(plan.data)
    known: KnownSpeech | None = read_known(plan.table, plan.key) if plan.table is not None else None
    return data, AudioStore(
        data,
        plan.config.sample_rate,
        vad=detector(data, plan.config.activity),
        resample=plan.resample,
        surroundings=Surroundings.of(plan.config.noise, plan.config.room),
        known=known,
    )
