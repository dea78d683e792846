"""Any tree SPEAKER/.../NAME.wav (or .flac, .ogg): the folder says who speaks.

Ids: the speaker's is the name of the first folder, the utterance's is the speaker's id and the rest of the
path without its ending, joined by `-`. Kaldi's ids hold no spaces, and files sorted by utterance must be
sorted by speaker too, so every character but letters, digits, `.` and `_` (and `-` after the speaker's id)
becomes `_`. Two recordings that would get one id are an error, never merged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from csc_cli.corpora.parts import of_speakers, split_speakers, write_parts
from csc_cli.errors import DataError, some
from csc_cli.kaldi.datadir import DataDir, Utterance

ENDINGS = (".wav", ".flac", ".ogg")


def prepare_folder(source: Path, data: Path, dev_speakers: float, test_speakers: float, seed: int = 0) -> str:
    """Write data/train, data/dev and data/test, whose speakers are disjoint and drawn by the seed.

    Args:
        source: its folders are speakers; hidden files and folders are passed over.
        dev_speakers, test_speakers: a number, or a fraction of all speakers where it is less than 1; with 0
            the part is left out.

    Returns:
        A line a part: speakers, utterances.

    Raises:
        DataError: no recordings, recordings that belong to no speaker, names that Kaldi's files cannot hold,
            or two names that give one id.
        ConfigError: too few speakers.
    """
    whole = DataDir(source, tuple(_utterances(source)))
    split = split_speakers(whole.spk2utt, dev_speakers, test_speakers, seed)
    return write_parts(data, {part: of_speakers(whole, own) for part, own in split.items() if own})


def clean_id(text: str, also: str = "") -> str:
    """`text` with `_` for every character but letters, digits, `.`, `_` and those of `also`.

    >>> clean_id("Anne Marie (2)"), clean_id("a-b", also="-")
    ('Anne_Marie__2_', 'a-b')
    """
    return "".join(letter if letter.isalnum() or letter in "._" + also else "_" for letter in text)


def _utterances(source: Path) -> list[Utterance]:
    utterances: dict[str, Utterance] = {}
    folder_of: dict[str, str] = {}
    for parts in _recordings(source):
        path = os.path.join(source, *parts)
        _check_name(path)
        speaker = clean_id(parts[0])
        if folder_of.setdefault(speaker, parts[0]) != parts[0]:
            message = f"folders '{folder_of[speaker]}' and '{parts[0]}' would both be speaker '{speaker}'"
            raise DataError(f"{source}: {message}; rename one")
        rest = [*parts[1:-1], os.path.splitext(parts[-1])[0]]
        key = "-".join((speaker, *(clean_id(part, also="-") for part in rest)))
        if key in utterances:
            message = f"'{utterances[key].recording}' and '{path}' would both be utterance '{key}'"
            raise DataError(f"{source}: {message}; rename or remove one")
        utterances[key] = Utterance(key, speaker, path)
    return [utterances[key] for key in sorted(utterances)]


def _recordings(source: Path) -> Iterator[tuple[str, ...]]:
    """The paths of the recordings, relative to `source`, as their parts."""
    loose = sorted(entry.name for entry in _entries(source) if entry.is_file() and _is_recording(entry.name))
    if loose:
        raise DataError(f"{source}: {some(loose)} lie in no speaker's folder; the layout is SPEAKER/.../NAME.wav")
    found = False
    for entry in _entries(source):
        if entry.is_dir() and not entry.name.startswith("."):
            for folder, folders, names in os.walk(entry.path, onerror=_refuse):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                below = os.path.relpath(folder, source).split(os.sep)
                for name in sorted(filter(_is_recording, names)):
                    found = True
                    yield (*below, name)
    if not found:
        kinds = ", ".join(ENDINGS)
        raise DataError(f"{source}: no recordings found (looked for SPEAKER/.../NAME with one of {kinds})")


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read as a folder: {error.strerror}; correct the path") from error


def _is_recording(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")


def _check_name(path: str) -> None:
    """A line of wav.scp is an id, a space, and the path."""
    if "\n" in path or "\r" in path or path != path.strip():
        raise DataError(f"{path!r}: wav.scp cannot hold line breaks or a space at either end of a path; rename it")
    try:
        path.encode()
    except UnicodeEncodeError:
        raise DataError(f"{os.fsencode(path)!r}: not a name in UTF-8; rename it") from None
