"""RIRS_NOISES: impulse responses of rooms, and noises, 16 kHz (Ko et al., ICASSP 2017; openslr.org/28).

    RIRS_NOISES/pointsource_noises/{noise_list,noise-free-sound-0000.wav}
    RIRS_NOISES/real_rirs_isotropic_noises/{rir_list,noise_list,RVB2014_type1_rir_largeroom1_far_angla.wav,...}
    RIRS_NOISES/simulated_rirs/{small,medium,large}room/{rir_list,Room001/Room001-00001.wav}

The real responses and the isotropic noises lie in one folder; their names (..._rir_..., ..._noise_...) tell which is
which. The lists tell the room.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.corpora.folder import clean_id
from csc_cli.corpora.walk import find, folders, names
from csc_cli.errors import DataError, at
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.text_files import read_text

ARCHIVE = Remote("https://www.openslr.org/resources/28/rirs_noises.zip", "md5:e6f48e257286e05de56413b4779d8ffb")
_POINT, _REAL, _SIMULATED = "pointsource_noises", "real_rirs_isotropic_noises", "simulated_rirs"


@dataclass
class _Made:
    """The recordings of one data directory, and its tables."""

    paths: dict[str, str] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, key: str, speaker: str, path: str, **says: str) -> None:
        if self.paths.setdefault(key, path) != path:
            raise DataError(f"'{self.paths[key]}' and '{path}' would both be '{key}'; unpack the corpus again")
        self.speakers[key] = speaker
        for table, value in says.items():
            if value:
                self.tables.setdefault(table, {})[key] = value

    def save(self, folder: Path) -> None:
        utterances = tuple(Utterance(key, self.speakers[key], self.paths[key]) for key in sorted(self.paths))
        DataDir(folder, utterances, self.tables).save(folder)


def download_rirs_noises(corpus: Path, mirror: str | None = None) -> None:
    """Download (1.3 GB) and unpack it. Raises as `archives.download`."""
    download([Archive((ARCHIVE,))], corpus, mirror)


def prepare_rirs_noises(source: Path, data: Path) -> str:
    """Write data/simulated_rirs and data/real_rirs, whose speakers are rooms, and data/pointsource_noises and
    data/isotropic_noises.

    Tables: utt2kind (simulated, real, point-source, isotropic), utt2room (of isotropic noise the room it belongs
    to), and of point-source noise utt2ground (foreground or background).

    Args:
        source: the folder RIRS_NOISES, or the one in which it was unpacked.

    Returns:
        A line a data directory.

    Raises:
        DataError: a folder is not there or has no recordings, or a line of a list has another form.
    """
    remedy = "give the folder that the archive of https://www.openslr.org/28 unpacks to"
    root = find((source, source / "RIRS_NOISES"), (_POINT, _REAL, _SIMULATED), remedy)
    made = {name: _Made() for name in ("simulated_rirs", "real_rirs", "pointsource_noises", "isotropic_noises")}
    _simulated(root / _SIMULATED, made["simulated_rirs"])
    _real(root / _REAL, made["real_rirs"], made["isotropic_noises"])
    _point(root / _POINT, made["pointsource_noises"])
    for name, part in made.items():
        if not part.paths:
            raise DataError(f"{root}: no recordings for {name} found; unpack the corpus again")
    lines = []
    for name, part in made.items():
        part.save(data / name)
        rooms = len(set(part.tables.get("utt2room", {}).values()))
        lines.append(f"{data / name}: {len(part.paths)} recordings{f' of {rooms} rooms' if rooms else ''}")
    return "\n".join(lines)


def _simulated(folder: Path, made: _Made) -> None:
    """Room001 stands in each of the three folders of sizes, so the size is part of the room's name."""
    for size in folders(folder):
        for room in folders(folder / size):
            for stem, path in _wavs(folder / size / room):
                key = clean_id(f"{size}-{stem}", also="-")
                name = clean_id(f"{size}-{room}", also="-")
                if not key.startswith(f"{name}-"):
                    raise DataError(f"{path}: is not named {room}-NUMBER.wav; unpack the corpus again")
                made.add(key, name, path, utt2kind="simulated", utt2room=name)


def _real(folder: Path, rirs: _Made, noises: _Made) -> None:
    """Ids begin with the room, so that ids in order have rooms in order, as Kaldi wants of utterances and speakers."""
    rooms = {name: says.get("room-id", "") for name, says in _list(folder / "rir_list")}
    linked = {name: says.get("room-linkage", "") for name, says in _list(folder / "noise_list")}
    for stem, path in _wavs(folder):
        name = f"{stem}.wav"
        if name in linked or (name not in rooms and "_noise_" in f"{stem}_"):
            noises.add(stem, stem, path, utt2kind="isotropic", utt2room=clean_id(linked.get(name, "")))
        else:
            room = clean_id(rooms.get(name) or stem)
            rirs.add(f"{room}-{clean_id(stem, also='-')}", room, path, utt2kind="real", utt2room=room)


def _point(folder: Path, made: _Made) -> None:
    grounds = {name: says.get("bg-fg-type", "background") for name, says in _list(folder / "noise_list")}
    for stem, path in _wavs(folder):
        made.add(stem, stem, path, utt2kind="point-source", utt2ground=grounds.get(f"{stem}.wav", ""))


def _wavs(folder: Path) -> Iterator[tuple[str, str]]:
    for name in names(folder):
        if name.endswith(".wav"):
            yield name[:-4], os.path.join(folder, name)


def _list(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """(name of the file, what is said of it) of each line of Kaldi's rir_list or noise_list: --OPTION VALUE ... FILE.

    An option that comes several times (the rooms of a noise) keeps its first value.

    Raises:
        DataError: with `path:line`, for a line of another form.
    """
    if not path.is_file():
        return
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            words = shlex.split(line)
        except ValueError:  # a quotation that does not end
            words = []
        options = words[:-1]
        if (
            not words
            or words[-1].startswith("--")
            or len(options) % 2
            or not all(word.startswith("--") for word in options[::2])
        ):
            raise DataError(at(path, number, "must be '--OPTION VALUE ... FILE'; unpack the corpus again"))
        says: dict[str, str] = {}
        for option, value in zip(options[::2], options[1::2], strict=True):
            says.setdefault(option[2:], value)
        yield words[-1].rpartition("/")[2], says
