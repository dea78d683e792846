"""Enrollment from recordings of several talkers: the one stream of each that is the talker whom all have in common.

Legend: R recordings of a speaker, C streams of a recording, D dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from csc_cli.backend.chain import chain_of
from csc_cli.backend.files import absent, find_vectors
from csc_cli.backend.settings import ChainSettings
from csc_cli.backend.streams import rows_of
from csc_cli.backend.transforms import unit_length
from csc_cli.errors import ConfigError, DataError, some
from csc_cli.files import open_atomic
from csc_cli.kaldi.tables import read_keyed, write_map
from csc_cli.progress import note

Floats = NDArray[np.float64]
EXHAUSTIVE = 4096  # choices that are tried one by one


@dataclass(frozen=True)
class Choice:
    """The stream chosen of each of R recordings, and the mean cosine of its vector with the other recordings'."""

    streams: tuple[int, ...]
    similarity: tuple[float, ...]  # nan where there is no other recording


def choose(recordings: Sequence[Floats]) -> Choice:
    """Choose the streams whose vectors are most alike: the sum of their cosines over all pairs is largest.

    Of unit vectors x_r that sum is (|sum_r x_r|^2 - R) / 2, so the longest sum is looked for: among all choices where
    there are at most 4,096; else by taking each recording's best stream in turn until nothing changes, begun from each
    stream of each recording. Of one recording, the first stream is taken: nothing tells which talker is meant. Ours.

    Args:
        recordings: (C, D) each, rows of unit length.
    """
    sizes = [len(streams) for streams in recordings]
    if len(recordings) == 1:
        return Choice((0,), (float("nan"),))
    candidates: list[tuple[int, ...]]
    if np.prod(sizes, dtype=float) <= EXHAUSTIVE:
        candidates = list(product(*map(range, sizes)))
    else:
        candidates = [_climb(recordings, r, c) for r, size in enumerate(sizes) for c in range(size)]
    sums = sum((x[[chosen[r] for chosen in candidates]] for r, x in enumerate(recordings)), np.zeros(1))
    best = candidates[int(np.argmax(np.square(sums).sum(axis=1)))]
    vectors = np.stack([x[c] for x, c in zip(recordings, best, strict=True)])
    similarity = (vectors @ vectors.sum(axis=0) - 1) / (len(vectors) - 1)
    return Choice(best, tuple(similarity.tolist()))


def _climb(recordings: Sequence[Floats], first: int, stream: int) -> tuple[int, ...]:
    start = recordings[first][stream]
    chosen = [int(np.argmax(x @ start)) for x in recordings]
    chosen[first] = stream
    total = sum((x[c] for x, c in zip(recordings, chosen, strict=True)), np.zeros_like(start))
    changed = True
    while changed:
        changed = False
        for r, x in enumerate(recordings):
            others = total - x[chosen[r]]
            scores = x @ others
            better = int(np.argmax(scores))
            # By more than rounding, or it might go round for ever.
            if scores[better] > scores[chosen[r]] + 1e-12:
                chosen[r], total, changed = better, others + x[better], True
    return tuple(chosen)


def choose_above(recordings: Sequence[Floats], threshold: float) -> tuple[dict[int, float], dict[int, float], Choice]:
    """As `choose`, of the recordings that agree: the one least like the others goes out and the rest is chosen anew,
    as long as it is below `threshold`.

    Returns:
        The recordings that stay (fewer than two: none agree), and those that went out, each with its mean cosine with
        the others of its time; and the choice for those that stay.
    """
    kept = list(range(len(recordings)))
    gone: dict[int, float] = {}
    choice = choose(recordings)
    while len(kept) > 1 and min(choice.similarity) < threshold:
        least = int(np.argmin(choice.similarity))
        gone[kept.pop(least)] = choice.similarity[least]
        if len(kept) == 1:
            # Of two that do not agree neither is the one that is unlike.
            return {}, gone | {kept[0]: choice.similarity[1 - least]}, choose([recordings[kept[0]]])
        choice = choose([recordings[r] for r in kept])
    return dict(zip(kept, choice.similarity, strict=True)), gone, choice


def choose_streams(
    spk2utt: str | Path,
    utt2streams: str | Path,
    vectors: str,
    out: str | Path,
    *,
    threshold: float = 0.0,
    report: str | Path | None = None,
    settings: ChainSettings | None = None,
) -> str:
    """Write `SPEAKER STREAM STREAM ...`, the chosen stream of each recording: a spk2utt of vectors.

    Args:
        threshold: recordings whose stream has a smaller mean cosine with the others' are left out and reported.
        report: a table `SPEAKER RECORDING STREAM COSINE chosen|left-out` of all recordings (`-`: no stream), with the
            mean cosine with the others; with those that were still there, when a recording was left out.
        settings: what is done to the vectors before they are compared.

    Raises:
        DataError: recordings without streams, streams without vectors, a damaged table; at the end, where speakers
            have no two recordings that agree: the others are written.
        ConfigError: a threshold that no cosine can be above or below.
    """
    if not -1 <= threshold < 1:
        raise ConfigError(f"--threshold {threshold:g}: must be at least -1 and less than 1")
    speakers, table = read_keyed(spk2utt), read_keyed(utt2streams)
    wanted = list(dict.fromkeys(utterance for of in speakers.values() for utterance in of))
    lacking = [utterance for utterance in wanted if not table.get(utterance)]
    if lacking:
        message = f"no streams for {len(lacking)} of {len(wanted)} recording(s): {some(lacking)}"
        raise DataError(f"{utt2streams}: {message}; extract them with --streams all")
    keys, _ = rows_of([table[utterance] for utterance in wanted])
    found_vectors, found = find_vectors(vectors, keys)
    if not found.all():
        raise DataError(f"{absent(vectors, keys, found, 'stream')}; extract them with --streams all")
    x = unit_length(chain_of(settings or ChainSettings()).transform(found_vectors, keys=keys), keys)
    return _write(out, report, speakers, table, dict(zip(keys, x, strict=True)), threshold)


def _write(
    out: str | Path,
    report: str | Path | None,
    speakers: Mapping[str, Sequence[str]],
    table: Mapping[str, Sequence[str]],
    unit: Mapping[str, Floats],
    threshold: float,
) -> str:
    chosen: dict[str, list[str]] = {}
    rows: list[str] = []
    left_out: list[str] = []
    for speaker, utterances in speakers.items():
        kept, gone, choice = choose_above([np.stack([unit[s] for s in table[utt]]) for utt in utterances], threshold)
        for (r, cosine), stream in zip(kept.items(), choice.streams):
            name = table[utterances[r]][stream]
            chosen.setdefault(speaker, []).append(name)
            rows.append(f"{speaker} {utterances[r]} {name} {cosine:.4f} chosen\n")
        rows += [f"{speaker} {utterances[r]} - {cosine:.4f} left-out\n" for r, cosine in gone.items()]
        left_out += [f"{utterances[r]} ({speaker})" for r in gone]
    if report is not None:
        with open_atomic(report) as stream_:
            stream_.writelines(rows)
    if chosen:
        write_map(out, chosen)
    if left_out:
        note(f"{len(left_out)} recordings are not like the others of their speaker: {some(left_out)}")
    alone = [speaker for speaker in speakers if speaker not in chosen]
    if alone:
        raise DataError(
            f"{len(alone)} of {len(speakers)} speakers have no two recordings that agree: {some(alone)}; "
            "give more recordings, or lower --threshold (the others are written)"
        )
    used = sum(map(len, chosen.values()))
    return f"{used} streams of {len(chosen)} speakers, {len(left_out)} recordings left out -> {out}"
