"""LibriSpeech: read English, 16 kHz (Panayotov et al., ICASSP 2015; openslr.org/12), and openslr.org/31 of it.

LibriSpeech/SPEAKERS.TXT                              reader | sex | subset | minutes | name
LibriSpeech/SUBSET/READER/CHAPTER/READER-CHAPTER-NNNN.flac
LibriSpeech/SUBSET/READER/CHAPTER/READER-CHAPTER.trans.txt
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.corpora.walk import folders, names, not_found
from csc_cli.errors import ConfigError, DataError, at, nearest, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import without_gc
from csc_cli.text_files import read_text

# MD5 as on the pages of openslr.org/12 and /31.
MD5 = {
    "dev-clean": "42e2234ba48799c1f50f24a7926300a1",
    "dev-other": "c8d0bcc9cca99d4f8b62fcc847357931",
    "test-clean": "32fa31d27d2e1cad72775fee3f4849a9",
    "test-other": "fb5a50374b501bb3bac4815ee91d3135",
    "train-clean-100": "2a93770f6d5c6c964bc36631d331a522",
    "train-clean-360": "c0e676e450a7ff2f54aeade5171606fa",
    "train-other-500": "d1a0fd59409feb2c614ce4d30c387708",
    "dev-clean-2": "6d7ab67ac6a1d2c993d050e16d61080d",
    "train-clean-5": "5df7d4e78065366204ca6845bb08f490",
}
_OF_MINI = ("dev-clean-2", "train-clean-5")
_RECORDING = re.compile(r"(\d+)-(\d+)-\d+\.flac")


def download_librispeech(corpus: Path, subsets: Sequence[str], mirror: str | None = None) -> None:
    """Download and unpack these subsets. Raises as `archives.download`; ConfigError: no such subset, or none named."""
    _check_subsets(subsets)
    if not subsets:
        raise ConfigError(f"name the subsets to download (--subset), of {', '.join(MD5)}")
    files = {
        name: Remote(
            f"https://www.openslr.org/resources/{31 if name in _OF_MINI else 12}/{name}.tar.gz", f"md5:{MD5[name]}"
        )
        for name in subsets
    }
    download([Archive((files[name],)) for name in subsets], corpus, mirror)


def prepare_librispeech(source: Path, data: Path, subsets: Sequence[str] = ()) -> str:
    """Write a data directory data/SUBSET for each subset, with text, spk2gender and utt2chapter.

    Args:
        source: the folder LibriSpeech, or the one in which it was unpacked.
        subsets: () for those that are there.

    Returns:
        A line a subset: speakers, utterances.

    Raises:
        DataError: a subset or SPEAKERS.TXT is not there, recordings and transcripts disagree, or a reader has no line.
        ConfigError: no such subset.
    """
    _check_subsets(subsets)
    root = _find(source, subsets)
    sexes = read_speakers(root / "SPEAKERS.TXT")
    wanted = tuple(subsets) or tuple(name for name in MD5 if (root / name).is_dir())
    made = {name: read_subset(root / name, sexes) for name in wanted}
    lines = []
    for name, subset in made.items():
        subset.save(data / name)
        lines.append(f"{data / name}: {len(subset.spk2utt)} speakers, {len(subset.utterances)} utterances")
    return "\n".join(lines)


def read_speakers(path: Path) -> dict[str, str]:
    """Reader -> m or f, of SPEAKERS.TXT.

    A reader's name may hold a bar (`60 | M | train-clean-100 | 20.18 | |CBW|Simon`); only what stands before is read.

    Raises:
        DataError: with `path:line`, for a line of another form.
    """
    sexes = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip() and not line.startswith(";"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 5 or not fields[0].isdigit() or fields[1] not in ("M", "F"):
                raise DataError(at(path, number, "must be 'READER | M or F | SUBSET | MINUTES | NAME'; mend it"))
            sexes[fields[0]] = fields[1].lower()
    return sexes


@without_gc()
def read_subset(folder: Path, sexes: dict[str, str]) -> DataDir:
    """One subset. Raises DataError: as `prepare_librispeech`."""
    utterances: list[Utterance] = []
    text: dict[str, str] = {}
    chapters: dict[str, str] = {}
    for reader in folders(folder):
        for chapter in folders(folder / reader):
            place = folder / reader / chapter
            spoken = _transcripts(place / f"{reader}-{chapter}.trans.txt")
            files = [name for name in names(place) if name.endswith(".flac")]
            _check_chapter(place, reader, chapter, files, spoken)
            text |= spoken
            for name in files:
                key = name[:-5]
                utterances.append(Utterance(key, reader, os.path.join(place, name)))
                chapters[key] = chapter
    if not utterances:
        raise DataError(f"{folder}: no recordings found (looked for READER/CHAPTER/*.flac); unpack the subset again")
    utterances.sort(key=lambda utterance: utterance.id)
    readers = {utterance.speaker for utterance in utterances}
    if unknown := sorted(readers.difference(sexes)):
        raise DataError(
            f"{folder.parent / 'SPEAKERS.TXT'}: has no line for the readers {some(unknown)} of {folder.name}"
        )
    tables = {"text": text, "utt2chapter": chapters, "spk2gender": {reader: sexes[reader] for reader in readers}}
    return DataDir(folder, tuple(utterances), tables)


def _transcripts(path: Path) -> dict[str, str]:
    lines = (line.partition(" ") for line in read_text(path).split("\n"))
    return {key: words for key, _, words in lines if key}


def _check_chapter(place: Path, reader: str, chapter: str, files: list[str], spoken: dict[str, str]) -> None:
    for name in files:
        found = _RECORDING.fullmatch(name)
        if found is None or found.groups() != (reader, chapter):
            raise DataError(f"{place / name}: is not named {reader}-{chapter}-NNNN.flac; unpack the subset again")
    odd = sorted({name[:-5] for name in files} ^ set(spoken))
    if odd:
        message = f"{some(odd)} have only a recording or only a line in {reader}-{chapter}.trans.txt"
        raise DataError(f"{place}: {message}; unpack the subset again")


def _check_subsets(subsets: Sequence[str]) -> None:
    for name in subsets:
        if name not in MD5:
            raise ConfigError(f"LibriSpeech has no subset '{name}'; {nearest(name, MD5)}")


def _find(source: Path, subsets: Sequence[str]) -> Path:
    """The folder that has SPEAKERS.TXT and all the subsets (or any, where none is named)."""
    places = (source, source / "LibriSpeech")
    any_there: tuple[str, ...] = ("a subset such as train-clean-100",)
    for folder in places:
        there = [name for name in MD5 if (folder / name).is_dir()]
        if there and (folder / "SPEAKERS.TXT").is_file() and set(subsets) <= set(there):
            return folder
        if there:
            any_there = ()
    wanted = ("SPEAKERS.TXT", *(subsets or any_there))
    raise not_found(places, wanted, "give the folder that the archives of https://www.openslr.org/12 unpack to")
