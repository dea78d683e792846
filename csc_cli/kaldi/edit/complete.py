"""The utterances of which every table says what it must; what `csc data fix` keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from csc_cli.errors import some
from csc_cli.kaldi.edit.tables import Tables
from csc_cli.kaldi.layout import COMPLETE, keys_of
from csc_cli.kaldi.text import without_gc


@dataclass(frozen=True)
class Dropped:
    """Utterances left out because `file` lacks them, or their speaker or recording."""

    file: str
    what: str
    keys: list[str]

    def __str__(self) -> str:
        plural = "s" if len(self.keys) != 1 else ""
        return f"{self.file}: lacks {len(self.keys)} {self.what}{plural}, left out: {some(self.keys)}"


@without_gc()
def complete(data: Tables) -> tuple[Tables, list[Dropped]]:
    """`data` without the utterances that some table lacks, and which those were, table by table.

    An utterance goes if itself is missing from segments (or wav.scp), text, feats.scp or another
    table of utterances that must be whole, or its recording from wav.scp or a table of recordings,
    or its speaker from a table of speakers. Entries of other tables about nothing that is left go too.
    """
    dropped = [Dropped(name, what, keys) for name, what, keys in _lacking(data) if keys]
    gone: set[str] = set()
    for drop in dropped:
        gone |= _utterances_of(data, drop)
    left = (utterance for utterance in data.utt2spk if utterance not in gone)
    return data.select(left if gone else data.utt2spk), dropped


def _lacking(data: Tables) -> Iterator[tuple[str, str, list[str]]]:
    """For each table that must be whole: its file, what its keys are, and which it lacks."""
    tables = {name: keys_of(name) for name in COMPLETE if name in data.of}
    recordings: Iterable[str] = data.utt2spk
    if "segments" in data.of:
        segments = data.of["segments"]
        yield "segments", "utterance", _absent(data.utt2spk, segments)
        recordings = sorted(data.recordings(key for key in data.utt2spk if key in segments))
    if "wav.scp" in data.of:
        tables["wav.scp"] = "recording" if "segments" in data.of else "utterance"
    wanted = {"utterance": data.utt2spk, "speaker": data.spk2utt, "recording": dict.fromkeys(recordings)}
    for name, what in tables.items():
        yield name, what, _absent(wanted[what], data.of[name])


def _absent(wanted: Mapping[str, object], table: Mapping[str, str]) -> list[str]:
    # The comparison of key sets is quick, and mostly the answer.
    return [] if wanted.keys() <= table.keys() else [key for key in wanted if key not in table]


def _utterances_of(data: Tables, drop: Dropped) -> set[str]:
    """The utterances that go with what a table lacks."""
    if drop.what == "utterance":
        return set(drop.keys)
    if drop.what == "speaker":
        return {utterance for speaker in drop.keys for utterance in data.spk2utt[speaker]}
    if "segments" not in data.of:
        return set(drop.keys)
    gone = set(drop.keys)
    return {key for key, value in data.of["segments"].items() if value.split(None, 1)[0] in gone}
