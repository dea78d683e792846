"""The conditions of a verification protocol: how a test utterance is made harder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from csc_cli import seeds
from csc_cli.mixtures.draw import Draw
from csc_cli.mixtures.manifest import Mixture
from csc_cli.mixtures.settings import MixtureConfig, TrialsConfig
from csc_cli.mixtures.store import AudioStore

CLEAN = "clean"


@dataclass(frozen=True)
class Condition:
    """One condition of the tests.

    Attributes:
        talkers: the tested one included.
        sir_db: tested talker minus each other.
        overlap: of the shorter of the tested and each other stretch; None: as high as the lengths allow.
        snr_db: of noise on top; None: as `TrialsConfig.noise` says.
        cut_s: the tested speech is cut to this; None: whole.
        room: whether it is in a room; False: as `TrialsConfig.room` says.
    """

    name: str
    talkers: int = 1
    sir_db: float = 0.0
    overlap: float | None = None
    snr_db: float | None = None
    cut_s: float | None = None
    room: bool = False

    def mixture(self, config: TrialsConfig) -> MixtureConfig:
        """The settings of a recording in this condition."""
        return config.mixture(self.sir_db, self.snr_db, self.cut_s, self.room)


def conditions(config: TrialsConfig) -> list[Condition]:
    """All conditions of the protocol; clean comes first."""
    alone = [Condition(CLEAN)]
    alone += [Condition(f"{CLEAN}_{seconds:g}s", cut_s=seconds) for seconds in config.cut_s]
    alone += [Condition(f"noise_{_db(snr_db)}", snr_db=snr_db) for snr_db in config.noise_snr_db]
    if config.reverberation:
        alone.append(Condition("room", room=True))
    mixed = [
        Condition(condition_name(sir_db, talkers, overlap), talkers, sir_db, overlap)
        for talkers in config.talkers
        for sir_db in config.sir_db
        for overlap in config.overlap or (None,)
    ]
    snr_db = config.together_snr_db
    if snr_db is not None:
        end = f"_noise_{_db(snr_db)}" + "_room" * config.reverberation
        mixed += [replace(one, name=one.name + end, snr_db=snr_db, room=config.reverberation) for one in mixed]
    return alone + mixed


def condition_name(sir_db: float, talkers: int = 2, overlap: float | None = None) -> str:
    """The name in utt2cond of a condition with several talkers.

    >>> condition_name(5), condition_name(0), condition_name(-2.5, 3), condition_name(0, 2, 0.25)
    ('2talkers_+5dB', '2talkers_0dB', '3talkers_-2.5dB', '2talkers_0dB_overlap0.25')
    """
    name = f"{talkers}talkers_{_db(sir_db)}"
    return name if overlap is None else f"{name}_overlap{overlap:g}"


def _db(ratio_db: float) -> str:
    return f"{ratio_db:+g}dB" if ratio_db else "0dB"


@dataclass(frozen=True)
class Overlapped(Draw):
    """A test recording whose interferers each overlap the tested talker by `overlap` of the shorter stretch.

    At 1 the shorter stretch lies anywhere inside the longer one, below 1 each interferer begins before the tested
    talker or ends after it, by a draw of its own.
    """

    overlap: float = 1.0

    def plan(self, store: AudioStore) -> Mixture:
        """The mixture; errors as `plan_mixture`."""
        mixture = super().plan(store)
        if self.overlap == 1.0:
            return mixture
        rng = seeds.generator(self.seed, "overlap", self.id)
        return place_around_first(mixture, self.overlap, rng)


def place_around_first(mixture: Mixture, overlap: float, rng: np.random.Generator) -> Mixture:
    """The mixture with each other source at a new onset, sticking out before or after the first one (ours).

    The common part is `overlap` of the shorter of the two, to a sample.
    """
    first, *others = mixture.sources
    onsets = [0]
    for other in others:
        common = round(overlap * min(first.extent, other.extent))
        onsets.append(first.extent - common if rng.random() < 0.5 else common - other.extent)
    begin = min(onsets)
    sources = tuple(replace(source, onset=onset - begin) for source, onset in zip(mixture.sources, onsets, strict=True))
    length = max(source.onset + source.extent for source in sources)
    return replace(mixture, sources=sources, length=length)
