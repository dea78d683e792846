"""Protocols over a list of trials that there is already: their settings, and those of published ones by name.

What the publications say, what a public script of theirs does, and what is ours stands in docs/mixtures.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from csc_cli import config as configs
from csc_cli.errors import ConfigError, nearest
from csc_cli.mixtures.settings import NoiseConfig, Range, check_range, check_rate

Case = Literal["clean", "noisy", "concatenated", "overlapped", "mixed"]


@dataclass(frozen=True)
class ListConfig:
    """How the recordings of a list of trials are made harder.

    Each test utterance is made once in each condition; its interferer, ratio and overlap are the same in all.
    """

    sample_rate: int = 16000  # Hz, of all recordings written
    # clean: as it is. noisy: over noise. concatenated: an interferer before or after. overlapped: an interferer who
    # begins before the end, or ends after the beginning. mixed: an interferer all the while.
    conditions: tuple[Case, ...] = ("clean", "mixed")
    enrollment: Literal["single", "mixture"] = "single"  # mixture: enrollments are mixed, too, with others' voices
    trials: Literal["any", "speaker"] = "any"  # speaker: a trial for each talker of an enrollment mixture
    sir_db: Range = (-5.0, 5.0)  # active speech of the utterance minus interferer, and minus noise
    sir_step_db: float = 0.0  # ratios are whole multiples of this above the first; 0: any of the range
    overlap: Range = (0.1, 0.9)  # overlapped: the common part's share of the whole mixture
    level_db: float = -26.0  # active speech of the utterance, dB of full scale
    noise: NoiseConfig = field(default_factory=lambda: NoiseConfig(probability=1.0))  # of noisy; sir_db is its ratio

    def __post_init__(self) -> None:
        check_rate(self.sample_rate)
        check_range("sir_db", self.sir_db)
        check_range("overlap", self.overlap)
        if not self.conditions or len(set(self.conditions)) != len(self.conditions):
            raise ConfigError(f"conditions={list(self.conditions)}: name at least one, each once")
        if not 0 <= self.overlap[0] <= self.overlap[1] < 1:
            raise ConfigError(f"overlap={list(self.overlap)}: must lie in 0 to below 1")
        if self.sir_step_db < 0:
            raise ConfigError(f"sir_step_db={self.sir_step_db}: must not be negative")
        if self.trials == "speaker" and self.enrollment != "mixture":
            raise ConfigError("trials=speaker: is for enrollment=mixture; a single talker has one trial anyway")


PRESETS = {
    "s-vs-m": ListConfig(),
    "m-vs-m": ListConfig(conditions=("mixed",), enrollment="mixture"),
    "m-vs-m-speaker": ListConfig(conditions=("mixed",), enrollment="mixture", trials="speaker"),
    "ns-sv": ListConfig(
        conditions=("clean", "noisy", "concatenated", "overlapped", "mixed"), sir_db=(-3.0, 3.0), sir_step_db=0.5
    ),
}


def list_settings(preset: str | None, path: Path | None, overrides: Sequence[str] = ()) -> ListConfig:
    """The settings of a preset or of a file, with `overrides` on top.

    Raises:
        ConfigError: both or neither are given, or an unknown preset.
    """
    if (preset is None) == (path is None):
        raise ConfigError(f"a protocol over a list: name one preset ({', '.join(PRESETS)}), or give a config")
    if path is not None:
        return configs.load(ListConfig, path, overrides)
    if preset not in PRESETS:
        raise ConfigError(f"unknown preset '{preset}': {nearest(str(preset), PRESETS)}")
    return configs.loads(ListConfig, configs.dumps(PRESETS[str(preset)]), f"preset {preset}", overrides)
