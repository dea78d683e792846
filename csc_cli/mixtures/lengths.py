"""How much speech utterances hold, as a protocol that is fixed before any mixture is made must know."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from csc_cli.kaldi.datadir import Utterance
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures.store import AudioStore
from csc_cli.parallel import ordered_map
from csc_cli.progress import track


def speech_lengths(
    utterances: Iterable[Utterance], rate: int, nj: int = 1, vad: VadTable | None = None
) -> dict[str, int]:
    """Samples at `rate` from the first to the last speech of each utterance, by id; errors as `AudioStore.speech`."""
    wanted = sorted(utterances, key=lambda utterance: utterance.id)
    jobs = [(utterance, vad.subset((utterance,)) if vad else None) for utterance in wanted]
    measured = track(ordered_map(partial(_length, rate=rate), jobs, nj), "where there is speech", len(jobs))
    return {utterance.id: length for utterance, length in zip(wanted, measured, strict=True)}


def _length(job: tuple[Utterance, VadTable | None], rate: int) -> int:
    utterance, vad = job
    start, end = AudioStore((utterance,), rate, vad=vad).active_range(utterance.id)
    return end - start
