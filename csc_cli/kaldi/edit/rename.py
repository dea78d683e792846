"""A copy of a data directory whose utterances and speakers have other names (Kaldi's copy_data_dir.sh)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from csc_cli.errors import DataError
from csc_cli.kaldi.edit.tables import Tables, read_tables, refuse_own_folder
from csc_cli.kaldi.layout import keys_of
from csc_cli.progress import note

Rename = Callable[[str], str]
# Tables whose values are speakers.
OF_SPEAKERS = ("utt2spk", "utt2spks")


@dataclass(frozen=True)
class Affixes:
    """What is put before and behind each id."""

    utt_prefix: str = ""
    utt_suffix: str = ""
    spk_prefix: str = ""
    spk_suffix: str = ""

    def __post_init__(self) -> None:
        for text in (self.utt_prefix, self.utt_suffix, self.spk_prefix, self.spk_suffix):
            if text and text.split() != [text]:
                raise DataError(f"'{text}': ids have no white space; choose another prefix or suffix")

    def utterance(self, key: str) -> str:
        """The new id of an utterance."""
        return f"{self.utt_prefix}{key}{self.utt_suffix}"

    def speaker(self, key: str) -> str:
        """The new id of a speaker."""
        return f"{self.spk_prefix}{key}{self.spk_suffix}"


def copy_data_dir(source: str | Path, out: str | Path, affixes: Affixes) -> str:
    """Write the data directory `source` to `out` under new ids; returns a summary.

    Recordings keep their ids, unless there are no segments and the recordings are the utterances.

    Raises:
        DataError: faults in `source`.
    """
    refuse_own_folder(out, source)
    data = renamed(read_tables(source), affixes)
    speakers = list(data.utt2spk.values())
    if any(a > b for a, b in pairwise(speakers)):
        note(f"{out}: speakers and utterances sort differently now, which Kaldi's scripts refuse; give both a prefix")
    data.write(out)
    return f"{out}: {len(data.utt2spk)} utterances of {len(data.spk2utt)} speakers"


def renamed(data: Tables, affixes: Affixes) -> Tables:
    """The same tables under new ids; `utt2uniq` says which utterance each one was at first."""
    rename: dict[str, Rename] = {"utterance": affixes.utterance, "speaker": affixes.speaker}
    # Where there are no segments, a recording is named like its utterance.
    rename["recording"] = affixes.utterance if "segments" not in data.of else str
    of: dict[str, Mapping[str, str]] = {}
    for name, table in data.of.items():
        new = rename["recording" if name == "wav.scp" else keys_of(name)]
        of[name] = {new(key): value for key, value in table.items()}
        if name in OF_SPEAKERS:
            of[name] = {key: " ".join(map(affixes.speaker, value.split())) for key, value in of[name].items()}
    if "utt2uniq" not in of and (affixes.utt_prefix or affixes.utt_suffix):
        of["utt2uniq"] = {affixes.utterance(key): key for key in data.utt2spk}
    of["utt2spk"] = dict(sorted(of["utt2spk"].items()))
    return Tables(data.path, of, data.plain)
