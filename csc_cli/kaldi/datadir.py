"""A Kaldi data directory as a value: utterances with their speakers and where their audio lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from csc_cli.errors import DataError, some
from csc_cli.kaldi.faults import raise_first
from csc_cli.kaldi.layout import AUDIO, base_folder, keys_of, resolve
from csc_cli.kaldi.structure import Structure, pipe_faults, read_structure, refuse_no_folder
from csc_cli.kaldi.text import without_gc, write_map


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of one speaker: a whole recording, or the part from `start_s` to `end_s`.

    `recording` is the file, or a command that ends in `|` and writes it; `end_s` None means to
    the end. `channel` counts from 0; a recording of one channel is used whatever it says, since
    many pipes pick the channel themselves. `recording_id` names the recording in wav.scp; None
    means that it is named like the utterance. `scp` and `line` say where it stands, for messages;
    line 0: nowhere.
    """

    id: str
    speaker: str
    recording: str
    start_s: float = 0.0
    end_s: float | None = None
    channel: int = 0
    recording_id: str | None = None
    scp: str = field(default="wav.scp", compare=False, repr=False)
    line: int = field(default=0, compare=False, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether it is its recording, and so needs no line in segments."""
        return self.start_s == 0.0 and self.end_s is None and self.recording_id in (None, self.id)


@dataclass(frozen=True)
class DataDir:
    """The utterances of a data directory in C order of their ids, and its other tables.

    `extra` has the tables beyond wav.scp, segments, utt2spk and spk2utt by file name:
    `extra["spk2gender"]["alice"]`. `path` is where it was read from.
    """

    path: Path
    utterances: tuple[Utterance, ...]
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    @without_gc()
    def load(cls, path: str | Path) -> DataDir:
        """Read the data directory `path`; no audio is touched.

        Relative names of recordings are meant from the working folder, as Kaldi does, or, where
        the first that can be found is not there, from the nearest of `path` and its parents.

        Raises:
            DataError: the first of the faults in or between its files, and how many more.
        """
        path = Path(path)
        refuse_no_folder(path)
        structure = read_structure(path)
        raise_first(structure.faults + pipe_faults(structure))
        extra = {name: table.as_dict() for name, table in structure.extra.items()}
        base = base_folder(path, structure.wav.values)
        for name in extra:
            if AUDIO.fullmatch(name):
                extra[name] = {key: resolve(value, base) for key, value in extra[name].items()}
        return cls(path, tuple(_utterances(structure, base)), extra)

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        """Utterance by its id."""
        return {utterance.id: utterance for utterance in self.utterances}

    @cached_property
    def spk2utt(self) -> dict[str, list[str]]:
        """Speaker -> ids of the speaker's utterances, both in C order."""
        table: dict[str, list[str]] = {}
        for utterance in self.utterances:
            table.setdefault(utterance.speaker, []).append(utterance.id)
        return dict(sorted(table.items()))

    def subset(self, ids: Iterable[str]) -> DataDir:
        """Only the utterances `ids` (each once), with what `extra` says of them and their speakers.

        Raises:
            DataError: an id that is not here.
        """
        wanted = set(ids)
        unknown = sorted(wanted.difference(self.by_id))
        if unknown:
            raise DataError(f"{self.path}: has no utterances {some(unknown)}; give ids of its utt2spk")
        utterances = tuple(utterance for utterance in self.utterances if utterance.id in wanted)
        keys = {
            "utterance": wanted,
            "speaker": {utterance.speaker for utterance in utterances},
            "recording": {utterance.recording_id or utterance.id for utterance in utterances},
        }
        extra = {
            name: {key: value for key, value in table.items() if key in keys[keys_of(name)]}
            for name, table in self.extra.items()
        }
        return DataDir(self.path, utterances, {name: table for name, table in extra.items() if table})

    def save(self, path: str | Path) -> None:
        """Write Kaldi's files to the folder `path`, each sorted, and whole or not at all.

        wav.scp is written last, so that an interrupted save does not pass for a data directory.

        Raises:
            DataError: utterances twice or none, or two that disagree about their recording.
        """
        path = Path(path)
        if not self.utterances:
            raise DataError(f"{path}: there are no utterances to write; look at what was selected")
        if len(self.by_id) != len(self.utterances):
            raise DataError(f"{path}: an utterance id is used twice; make the ids unique")
        wav, channels = _recordings(self.utterances, path)
        (path / "wav.scp").unlink(missing_ok=True)
        for name, table in self.extra.items():
            write_map(path / name, table)
        if channels and "reco2file_and_channel" not in self.extra:
            write_map(path / "reco2file_and_channel", channels)
        if all(utterance.is_whole for utterance in self.utterances):
            (path / "segments").unlink(missing_ok=True)
        else:
            write_map(path / "segments", {utterance.id: _segment_line(utterance) for utterance in self.utterances})
        write_map(path / "utt2spk", {utterance.id: utterance.speaker for utterance in self.utterances})
        write_map(path / "spk2utt", self.spk2utt)
        write_map(path / "wav.scp", wav)


def _utterances(structure: Structure, base: Path | None) -> Iterable[Utterance]:
    speakers, scp = structure.utt2spk.values, str(structure.wav.path)
    rows = zip(structure.wav.keys, structure.wav.values, structure.wav.lines, strict=True)
    if structure.segments is None:
        # Without faults the two tables have the same keys in the same order.
        for (key, name, line), speaker in zip(rows, speakers, strict=True):
            channel = structure.channel.get(key, 0)
            yield Utterance(key, speaker, resolve(name, base), 0.0, None, channel, None, scp, line)
        return
    recordings = {key: (resolve(name, base), line) for key, name, line in rows}
    for (key, segment), speaker in zip(structure.segment.items(), speakers, strict=True):
        channel, (name, line) = structure.channel_of(segment), recordings[segment.recording]
        yield Utterance(key, speaker, name, segment.start_s, segment.end_s, channel, segment.recording, scp, line)


def _recordings(utterances: Iterable[Utterance], path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """wav.scp, and reco2file_and_channel of what is not on the first channel."""
    wav: dict[str, str] = {}
    channels: dict[str, int] = {}
    for utterance in utterances:
        key = utterance.recording_id or utterance.id
        if wav.setdefault(key, utterance.recording) != utterance.recording:
            raise DataError(f"{path}: recording '{key}' has two files; name them differently")
        if channels.setdefault(key, utterance.channel) != utterance.channel:
            raise DataError(f"{path}: recording '{key}' is used on two channels; name one recording for each")
    return wav, {key: f"{key} {'AB'[n] if n < 2 else n + 1}" for key, n in channels.items() if n}


def _segment_line(utterance: Utterance) -> list[str]:
    if utterance.end_s is None:
        # Kaldi's validate_data_dir.sh refuses the -1 that its extract-segments would take.
        from csc_cli.kaldi.audio import duration_s

        end_s = utterance.start_s + duration_s(utterance)
    else:
        end_s = utterance.end_s
    return [utterance.recording_id or utterance.id, repr(float(utterance.start_s)), repr(float(end_s))]
