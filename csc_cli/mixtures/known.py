"""Where the speech of a data directory's utterances is, measured once and kept beside a plan.

A plan needs no audio then: a million mixtures are drawn from what this table holds, 1 bit for 10 ms.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from csc_cli.errors import CscError
from csc_cli.files import atomic_path
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.parallel import batched, ordered_map
from csc_cli.progress import track

SPEECH = "speech.npz"
UNREADABLE = -1
AT_A_TIME = 16


class Speech(NamedTuple):
    """An utterance's length in samples, and which of its 10 ms frames are active."""

    samples: int
    active: np.ndarray


@dataclass(frozen=True)
class KnownSpeech:
    """The speech of many utterances, by id.

    Attributes:
        index: place of each utterance.
        samples: (N,) lengths; `UNREADABLE`: its recording could not be read.
        frames: (N,) numbers of frames; bits: where the bits of each begin, in bytes.
    """

    index: dict[str, int]
    samples: np.ndarray
    frames: np.ndarray
    begins: np.ndarray
    bits: np.ndarray

    def get(self, id: str) -> Speech | None:
        """What is known of an utterance; None where that is nothing."""
        place = self.index.get(id)
        if place is None or self.samples[place] == UNREADABLE:
            return None
        frames = int(self.frames[place])
        packed = self.bits[self.begins[place] : self.begins[place] + (frames + 7) // 8]
        return Speech(int(self.samples[place]), np.unpackbits(packed, count=frames).view(bool))


def measure(path: Path, key: str, data: DataDir, sample_rate: int, vad: VadTable | None = None, nj: int = 1) -> None:
    """Write the table of all utterances to `path`, unless it is there and of the same `key`.

    Args:
        key: a digest of all that it depends on.
    """
    if read_key(path) == key:
        return
    batches = batched(data.utterances, AT_A_TIME)
    work = ordered_map(partial(_speech_of, sample_rate=sample_rate, vad=vad), batches, nj)
    found = list(track((one for batch in work for one in batch), "where there is speech", len(data.utterances)))
    packed = [np.packbits(speech.active) for speech in found]
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            key=np.array(key),
            ids=np.array("\n".join(utterance.id for utterance in data.utterances)),
            samples=np.array([speech.samples for speech in found], dtype=np.int64),
            frames=np.array([speech.active.size for speech in found], dtype=np.int64),
            bits=np.concatenate(packed) if packed else np.zeros(0, np.uint8),
        )


def read_key(path: Path) -> str | None:
    """The key of a table; None where there is no whole one."""
    try:
        with np.load(path, allow_pickle=False) as table:
            return str(table["key"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


@lru_cache(maxsize=2)
def read_known(path: Path, key: str) -> KnownSpeech:
    """The table at `path`, read once in a process; `key` tells it from another one there before."""
    with np.load(path, allow_pickle=False) as table:
        ids = str(table["ids"]).split("\n")
        frames = table["frames"]
        begins = np.concatenate(([0], np.cumsum((frames + 7) // 8)))
        return KnownSpeech({id: place for place, id in enumerate(ids)}, table["samples"], frames, begins, table["bits"])


def _speech_of(utterances: tuple[Utterance, ...], sample_rate: int, vad: VadTable | None) -> list[Speech]:
    from csc_cli.mixtures.store import AudioStore

    found = []
    for utterance in utterances:
        store = AudioStore((utterance,), sample_rate, vad=vad)
        try:
            found.append(Speech(store.length(utterance.id), store.decided(utterance.id)))
        except CscError:  # named when a mixture asks for it
            found.append(Speech(UNREADABLE, np.zeros(0, bool)))
    return found
