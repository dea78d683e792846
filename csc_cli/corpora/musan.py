"""MUSAN: music, speech and noise, 16 kHz, free of rights (Snyder et al., arXiv 1510.08484; openslr.org/17).

musan/{noise/{free-sound,sound-bible},music/{fma,fma-western-art,hd-classical,jamendo,rfm},speech/{librivox,us-gov}}/
    noise-free-sound-0000.wav, ANNOTATIONS, LICENSE, README
"""

from __future__ import annotations

import os
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.corpora.walk import find, folders, names
from csc_cli.errors import DataError
from csc_cli.kaldi.datadir import DataDir, Utterance

KINDS = ("noise", "music", "speech")
ARCHIVE = Remote("https://www.openslr.org/resources/17/musan.tar.gz", "md5:0c472d4fc0c5141eca47ad1ffeb2a7df")


def download_musan(corpus: Path, mirror: str | None = None) -> None:
    """Download (11 GB) and unpack it. Raises as `archives.download`."""
    download([Archive((ARCHIVE,))], corpus, mirror)


def prepare_musan(source: Path, data: Path) -> str:
    """Write data/noise, data/music and data/speech; each recording is its own speaker, as in Kaldi's make_musan.

    Tables: utt2kind (noise, music or speech), utt2source (free-sound, fma, ...), and what ANNOTATIONS say, where a
    recording has a line in them: of music utt2genre, utt2vocals (Y or N), utt2artist; of speech utt2sex and
    utt2language.

    Args:
        source: the folder musan, or the one in which it was unpacked.

    Returns:
        A line a kind.

    Raises:
        DataError: a kind is not there or has no recordings, or two recordings have one name.
    """
    remedy = "give the folder that the archive of https://www.openslr.org/17 unpacks to"
    root = find((source, source / "musan"), KINDS, remedy)
    made = {kind: _read(root / kind, kind) for kind in KINDS}
    lines = []
    for kind, part in made.items():
        part.save(data / kind)
        lines.append(f"{data / kind}: {len(part.utterances)} recordings")
    return "\n".join(lines)


def _read(folder: Path, kind: str) -> DataDir:
    paths: dict[str, str] = {}
    tables: dict[str, dict[str, str]] = {"utt2kind": {}, "utt2source": {}}
    for origin in folders(folder):
        for name in names(folder / origin):
            stem, ending = os.path.splitext(name)
            if ending != ".wav":
                continue
            path = os.path.join(folder, origin, name)
            if paths.setdefault(stem, path) != path:
                raise DataError(f"'{paths[stem]}' and '{path}' would both be '{stem}'; unpack the corpus again")
            tables["utt2kind"][stem], tables["utt2source"][stem] = kind, origin
        for table, values in _annotations(folder / origin / "ANNOTATIONS", kind).items():
            tables.setdefault(table, {}).update({key: values[key] for key in values if key in paths})
    if not paths:
        raise DataError(f"{folder}: no recordings found (looked for ORIGIN/*.wav); unpack the corpus again")
    utterances = tuple(Utterance(key, key, paths[key]) for key in sorted(paths))
    return DataDir(folder, utterances, {name: table for name, table in tables.items() if table})


def _annotations(path: Path, kind: str) -> dict[str, dict[str, str]]:
    """Tables of a file ANNOTATIONS; lines with fewer fields than that say less."""
    tables = {"music": ("utt2genre", "utt2vocals", "utt2artist"), "speech": ("utt2sex", "utt2language")}.get(kind, ())
    found: dict[str, dict[str, str]] = {table: {} for table in tables}
    if not tables or not path.is_file():
        return found
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=len(tables))
        for table, value in zip(tables, fields[1:], strict=False):
            found[table][fields[0]] = value
    return found
