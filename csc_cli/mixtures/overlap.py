"""How much of a talker's speech the others talk over: measured on activity, not on where recordings begin and end."""

from __future__ import annotations

import numpy as np

from csc_cli.mixtures.activity import frame_length
from csc_cli.mixtures.manifest import Mixture, Source
from csc_cli.mixtures.store import AudioStore


def speech_overlap(mixture: Mixture, store: AudioStore) -> float:
    """The share of the first talker's active speech in which at least one other talker is active, too (ours).

    Where a talker is active is what `AudioStore.speech` says of the whole utterance, as it was recorded. 0 for one
    talker.

    Raises:
        CscError: as `AudioStore.speech`.
    """
    if len(mixture.sources) < 2:
        return 0.0
    first, *others = (_active(source, mixture.length, store) for source in mixture.sources)
    total = int(np.count_nonzero(first))
    return int(np.count_nonzero(first & np.any(others, axis=0))) / total if total else 0.0


def _active(source: Source, length: int, store: AudioStore) -> np.ndarray:
    """(length,) bool: the samples of the mixture in which the source is active."""
    active = np.zeros(length, dtype=bool)
    speech = np.repeat(store.speech(source.utterance, source.speed), frame_length(store.sample_rate))
    part = speech[source.start : source.start + source.length]
    begin, at = 0, source.onset
    for end, silence in (*source.gaps, (source.length, 0)):
        piece = part[begin:end]
        active[at : at + len(piece)] = piece
        begin, at = end, at + end - begin + silence
    return active
