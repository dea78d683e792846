"""VoxCeleb 1 and 2: interviews from the web, 16 kHz (Nagrani et al., Interspeech 2017; Chung et al., Interspeech 2018).

    .../{dev,test}/{wav,aac}/id10270/5r0dWxy17C8/00001.{wav,m4a}

Speakers' numbers tell the version: VoxCeleb1's begin at 10001, VoxCeleb2's end before. Utterance ids are
id10270-5r0dWxy17C8-00001.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from csc_cli.corpora.voxceleb_lists import find_lists, prepare_lists
from csc_cli.corpora.walk import folders, names, not_found
from csc_cli.errors import DataError, at, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import without_gc
from csc_cli.progress import note, track
from csc_cli.text_files import read_text

PARTS = ("voxceleb1_dev", "voxceleb1_test", "voxceleb2_dev", "voxceleb2_test")
PLACES = ("", "voxceleb1", "voxceleb2", "VoxCeleb1", "VoxCeleb2", "vox1", "vox2")
META = ("vox1_meta.csv", "vox2_meta.csv")
ENDINGS = (".wav", ".flac", ".m4a")
_SPEAKER = re.compile(r"id(\d{5})")
_FIRST_OF_VOXCELEB1 = 10001
_TEST_OF_VOXCELEB1 = range(10270, 10310)  # the 40 whose names begin with E


class Tree(NamedTuple):
    """A folder of speakers' folders, and the part that its path names, if it does."""

    path: Path
    part: str


def prepare_voxceleb(source: Path, data: Path) -> str:
    """Write data/voxceleb{1,2}_{dev,test}, as far as they are there, and a data directory with trials for each list.

    Args:
        source: the folder of VoxCeleb1 or of VoxCeleb2, or one that has both in folders voxceleb1 and voxceleb2.

    Returns:
        A line a data directory.

    Raises:
        DataError: no recordings found, files of other names, a speaker of unknown part, trials of utterances that
            are not there.
    """
    places = tuple(place for name in PLACES if (place := source / name).is_dir())
    speakers = read_metadata(places)
    parts = read_trees(find_trees(source, places), speakers)
    lines = []
    for name in PARTS:
        if name in parts:
            part = DataDir(source, tuple(parts[name]), _sexes(parts[name], speakers))
            part.save(data / name)
            lines.append(f"{data / name}: {len(part.spk2utt)} speakers, {len(part.utterances)} utterances")
    heard = {name: parts.get(name, []) for name in PARTS[:2]}
    return "\n".join(lines + prepare_lists(find_lists(places), heard, data, speakers))


def find_trees(source: Path, places: tuple[Path, ...]) -> list[Tree]:
    """The folders of speakers in `places`: {,dev/,test/,dev/dev/,vox1_dev_wav/,...}{,wav/,aac/}."""
    found: dict[str, Tree] = {}
    for place in places:
        above = [(place, "")] + [(place / name, _part_of(name)) for name in folders(place) if _part_of(name)]
        above += [(path / name, _part_of(name) or part) for path, part in above[1:] for name in folders(path)]
        for path, part in above:
            for tree in (path, path / "wav", path / "aac"):
                if tree.is_dir() and any(map(_SPEAKER.fullmatch, folders(tree))):
                    found.setdefault(os.path.realpath(tree), Tree(tree, part))
    if not found:
        wanted = ("dev/wav", "test/wav", "dev/aac", "wav", "aac")
        raise not_found(places or (source,), wanted, "one of these has a folder a speaker, id10270/VIDEO/00001.wav")
    return sorted(found.values())


@without_gc()
def read_trees(trees: list[Tree], speakers: Mapping[str, tuple[str, str]]) -> dict[str, list[Utterance]]:
    """The utterances of each part, in C order; of one that is there as wav and m4a, the wav."""
    parts: dict[str, dict[str, Utterance]] = {}
    for tree in trees:
        for speaker in track(folders(tree.path), str(tree.path)):
            if speaker in ("wav", "aac", "dev", "test", "meta"):
                continue
            part = _part(tree, speaker, speakers)
            utterances = parts.setdefault(part, {})
            for key, path in _recordings(tree.path / speaker, speaker):
                known = utterances.get(key)
                if known is None or known.recording.endswith("|"):
                    utterances[key] = Utterance(key, speaker, recording(path))
    if not any(parts.values()):
        raise DataError(f"{trees[0].path}: no recordings found (looked for SPEAKER/VIDEO/*.wav, .flac or .m4a)")
    commands = any(utterance.recording.endswith("|") for part in parts.values() for utterance in part.values())
    if commands and shutil.which("ffmpeg") is None:
        note("recordings in .m4a are read by ffmpeg, which is not on this machine; install it where they are read")
    return {part: [own[key] for key in sorted(own)] for part, own in parts.items() if own}


def recording(path: str) -> str:
    """What wav.scp says of a file: its name, or, of .m4a, which libsndfile cannot read, the command that decodes it."""
    if not path.lower().endswith(".m4a"):
        return path
    return f"ffmpeg -nostdin -v error -i {shlex.quote(path)} -f wav -acodec pcm_s16le - |"


def read_metadata(places: tuple[Path, ...]) -> dict[str, tuple[str, str]]:
    """Speaker -> (m or f, dev or test), of the vox1_meta.csv and vox2_meta.csv in `places` and their folders meta.

    The first has tabs, the second commas with spaces around (and, in some copies, a byte order mark).

    Raises:
        DataError: with `path:line`, for a line of another form.
    """
    speakers: dict[str, tuple[str, str]] = {}
    for path in (folder / sub / name for folder in places for sub in ("", "meta") for name in META):
        if not path.is_file():
            continue
        lines = read_text(path, "utf-8-sig").splitlines()
        for number, line in enumerate(lines[1:], start=2):
            fields = [field.strip() for field in re.split(r"\t|,", line)]
            if len(fields) < 4 or fields[2] not in ("m", "f") or fields[-1] not in ("dev", "test"):
                raise DataError(
                    at(path, number, "must be 'SPEAKER, NAME, m or f, ..., dev or test'; download it again")
                )
            speakers[fields[0]] = (fields[2], fields[-1])
    return speakers


def _recordings(folder: Path, speaker: str) -> Iterator[tuple[str, str]]:
    """(utterance id, path) of a speaker's recordings; entries of folders are not asked of the disk one by one."""
    for video in folders(folder):
        path = os.path.join(folder, video)
        for name in names(path):
            stem, ending = os.path.splitext(name)
            if ending.lower() in ENDINGS:
                yield f"{speaker}-{video}-{stem}", os.path.join(path, name)


def _part_of(name: str) -> str:
    """dev or test, if a folder's name says so."""
    words = re.split(r"[_\W]", name.lower())
    return next((part for part in ("dev", "test") if part in words), "")


def _part(tree: Tree, speaker: str, speakers: Mapping[str, tuple[str, str]]) -> str:
    found = _SPEAKER.fullmatch(speaker)
    if found is None:
        raise DataError(f"{tree.path / speaker}: not a speaker's folder, such as id10270; correct the path")
    number = int(found[1])
    first = number >= _FIRST_OF_VOXCELEB1
    part = tree.part or speakers.get(speaker, ("", ""))[1]
    if not part and first:
        part = "test" if number in _TEST_OF_VOXCELEB1 else "dev"
    if not part:
        raise DataError(f"{tree.path / speaker}: of dev or of test? Put vox2_meta.csv beside {tree.path}")
    return f"voxceleb{1 if first else 2}_{part}"


def _sexes(utterances: list[Utterance], speakers: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    own = {utterance.speaker for utterance in utterances}
    unknown = sorted(own.difference(speakers))
    if unknown:
        note(f"no spk2gender: {some(unknown)} are in no vox1_meta.csv or vox2_meta.csv")
        return {}
    return {"spk2gender": {speaker: speakers[speaker][0] for speaker in own}}
