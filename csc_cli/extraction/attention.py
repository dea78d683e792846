"""Which segments of which recordings made a speaker's vector: the weights of the readout, and what is heard there.

Legend: R recordings, C streams, S segments, T samples, N frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from csc_cli.errors import ConfigError, CscError, DataError, nearest
from csc_cli.extraction.activity import FRAME_S, frame_energies, heard
from csc_cli.extraction.batches import WHOLE_S, Batch
from csc_cli.extraction.jobs import Task, make_out, open_model, run_short
from csc_cli.extraction.network import Output, attend
from csc_cli.extraction.parts import report_failures
from csc_cli.extraction.recordings import Failure, Recording
from csc_cli.extraction.talkers import Talkers, talkers_of
from csc_cli.extraction.wavs import file_name
from csc_cli.files import atomic_path
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.encoder import segment_spans
from csc_cli.nn.model import CscModel
from csc_cli.progress import note, track

ENVELOPE_S = 0.005
BATCH_SECONDS = 20.0
Draw = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Listened:
    """A recording, what the network made of it, and the stream that is the speaker's."""

    recording: Recording
    condition: str
    samples: np.ndarray  # (T,)
    output: Output
    talkers: Talkers
    stream: int


def attend_data_dir(
    model_dir: str | Path,
    data_dir: str | Path,
    out_dir: str | Path,
    *,
    draw: Draw,
    speakers: Sequence[str] = (),
    most: int = 10,
    recordings: int = 4,
    device: str = "auto",
) -> str:
    """Write SPEAKER.npz for speakers of a data directory, and draw SPEAKER.png; the entry of `csc plot attention`.

    A speaker's recordings are those that utt2spks names it in (those in which it comes first before the others),
    or, where there is no utt2spks, those of utt2spk.

    Args:
        draw: makes the picture, of the npz file and the name of the picture.
        speakers: which ones; the first `most` of the data directory where none is named.
        recordings: how many of each speaker's, at most.

    Returns:
        A line a speaker: the share of attention that each recording has.

    Raises:
        ConfigError: a network without attention over segments, no such device.
        DataError: of the model or the data directory; an unknown speaker; at the end, recordings that failed.
    """
    model = open_model(model_dir, device)
    network = model.load()
    if not isinstance(network, CscModel):
        raise ConfigError(f"{model_dir}: an embedder makes its vectors, without an attention over segments to show")
    data = DataDir.load(data_dir)
    chosen = _choose(data, speakers, most)
    out = make_out(out_dir)
    lines: list[str] = []
    failures: list[Failure] = []
    for speaker, ids in track(chosen.items(), "attention", len(chosen)):
        task = Task(model, data.subset(ids[:recordings]), BATCH_SECONDS)
        listened, failed = _listen(network, task, data, speaker)
        failures += failed
        if listened:
            arrays = speaker_attention(network, speaker, listened)
            name = file_name(speaker).removesuffix(".wav")
            with atomic_path(out / f"{name}.npz") as path, path.open("wb") as stream:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            draw(out / f"{name}.npz", out / f"{name}.png")
            lines.append(_line(arrays))
    report_failures(out, failures, sum(len(ids[:recordings]) for ids in chosen.values()))
    return "\n".join([*lines, f"-> {out}/SPEAKER.png, SPEAKER.npz"])


def speaker_attention(model: CscModel, speaker: str, listened: Sequence[Listened]) -> dict[str, np.ndarray]:
    """The arrays of SPEAKER.npz (docs/extraction.md lists them) from a speaker's recordings."""
    segments = [item.output.segments[item.stream] for item in listened]
    vector, weights = attend(model, np.concatenate(segments))
    rate, config = model.config.sample_rate, model.encoder.config
    spans = np.concatenate([segment_spans(config, len(part)) for part in segments]) / rate
    arrays = {
        "speaker": np.array(speaker),
        "vector": vector,
        "utterances": np.array([item.recording.id for item in listened]),
        "conditions": np.array([item.condition for item in listened]),
        "seconds": np.array([len(item.samples) / rate for item in listened]),
        "streams": np.array([item.stream for item in listened]),
        "counts": np.array([len(part) for part in segments]),
        "spans_s": spans,
        "speaker_weights": weights,
        "own_weights": np.concatenate([attend(model, part)[1] for part in segments], 1),
        "cosines": np.stack([item.output.vectors @ vector for item in listened]),
        "envelope_s": np.array(ENVELOPE_S),
        "frame_s": np.array(FRAME_S),
    }
    for place, item in enumerate(listened):
        arrays[f"envelopes_{place}"] = envelopes(np.concatenate([item.samples[None], item.output.separated]), rate)
        arrays[f"talkers_{place}"] = np.array(item.talkers.names, dtype=np.str_)
        arrays[f"talker_of_stream_{place}"] = item.talkers.match(item.output.separated)
        arrays[f"active_{place}"] = heard(frame_energies(item.talkers.sources, rate))
    return arrays


def envelopes(signals: np.ndarray, sample_rate: int) -> np.ndarray:
    """Least and greatest samples (..., N, 2) in pieces of ENVELOPE_S of signals (..., T)."""
    piece = max(1, round(ENVELOPE_S * sample_rate))
    padded = np.pad(signals, [(0, 0)] * (signals.ndim - 1) + [(0, -signals.shape[-1] % piece)], mode="edge")
    pieces = padded.reshape(*signals.shape[:-1], -1, piece)
    return np.stack([pieces.min(-1), pieces.max(-1)], -1).astype(np.float32)


def _choose(data: DataDir, speakers: Sequence[str], most: int) -> dict[str, list[str]]:
    """Speaker -> utterances, those in which it is the first talker before the others."""
    if "utt2spks" in data.extra:
        found: dict[str, list[tuple[int, str]]] = {}
        for id, names in sorted(data.extra["utt2spks"].items()):
            for place, name in enumerate(names.split()):
                found.setdefault(name, []).append((min(place, 1), id))
        known = {speaker: [id for _, id in sorted(found[speaker])] for speaker in sorted(found)}
    else:
        known = data.spk2utt
    unknown = [speaker for speaker in speakers if speaker not in known]
    if unknown:
        raise DataError(f"{data.path}: has no speaker '{unknown[0]}'; {nearest(unknown[0], known)}")
    if not speakers and len(known) > most:
        note(f"the first {most} of {len(known)} speakers; name others with --speaker, or raise --most")
    return {speaker: known[speaker] for speaker in list(speakers or known)[: None if speakers else most]}


def _listen(model: CscModel, task: Task, data: DataDir, speaker: str) -> tuple[list[Listened], list[Failure]]:
    """The recordings of a speaker, in the order of their conditions and ids, and those that failed."""
    batches, failures = task.batches(1)
    listened: list[Listened] = []
    for batch in batches:
        if batch.is_long:
            failures.append(_too_long(batch))
            continue
        sound, failed = run_short(model, batch)
        failures += failed
        for recording, samples, output in sound:
            try:
                talkers = talkers_of(data, recording, len(samples), model.config.sample_rate)
            except CscError as error:
                failures.append(Failure(recording.id, str(error)))
                continue
            condition = data.extra.get("utt2cond", {}).get(recording.id, "")
            stream = talkers.stream_of(speaker, output.separated)
            listened.append(Listened(recording, condition, samples, output, talkers, stream))
    return sorted(listened, key=lambda item: item.recording.id), failures


def _too_long(batch: Batch) -> Failure:
    id = batch.recordings[0].id
    return Failure(id, f"utterance '{id}': is longer than {WHOLE_S:g} s, too long for a picture; cut it with segments")


def _line(arrays: dict[str, np.ndarray]) -> str:
    shares = recording_shares(arrays["speaker_weights"], arrays["counts"])
    parts = [f"{id} {100 * share:.0f} %" for id, share in zip(arrays["utterances"].tolist(), shares, strict=True)]
    return f"{arrays['speaker']}: {', '.join(parts)}"


def recording_shares(weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R,) the part of the attention (heads, S) that the segments of each recording have, mean over heads."""
    return np.add.reduceat(weights.mean(0), np.cumsum([0, *counts[:-1]]))
