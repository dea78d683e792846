"""LibriMix's tables, as published in its repository, and the corpora that they mix."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.corpora.librimix import SETS, Version, table_name
from csc_cli.corpora.librispeech import download_librispeech

_TABLES = "https://raw.githubusercontent.com/JorisCos/LibriMix/b898ca375c03e4039cdb3dbe3dd485aad58ec7d1/metadata"
# Of the tables at that commit; the two of train-360 are not known.
SHA256 = {
    "libri2mix_dev-clean.csv": "43ad88e65ee8678be73a79920fba1dcf44fa87271ba95a57205707edc0b85f77",
    "libri2mix_test-clean.csv": "e3d4dc64a03fbbb00ba807a821df2994dbc0c3a9c6fe6a176cfa14949bd8624e",
    "libri2mix_train-clean-100.csv": "4de1fdee085ed3f0149c42159d7774be427c8a48eeb2e4d6a92fc632022647d5",
    "libri3mix_dev-clean.csv": "28e95cd9fdcc7d5ba91772ee000ad3cdaa7b960f6b2b5051f0ba1e967d56ece6",
    "libri3mix_test-clean.csv": "83c7e053c6741b2d6268a4b03ca8344c5a23c51ea5560450baeed574fd59cbb8",
    "libri3mix_train-clean-100.csv": "13d51d25b58d4d223a8797b3c5fc3f5c4a2b62112d5cf47d523def361431dffa",
}
# No digest of it is published.
_NOISE = "https://my-bucket-a8b4b49c25c811ee9a7e8bba05fa24c7.s3.amazonaws.com/wham_noise.zip"


def download_librimix(corpus: Path, version: Version, sets: Iterable[str], mirror: str | None = None) -> None:
    """Download the tables and LibriSpeech's subsets of these sets and, where it is mixed, WHAM!'s noise.

    Raises:
        ConfigError: no such set. Others as `archives.download`.
    """
    names = [table_name(version, name) for name in sets]
    folder = f"Libri{version.talkers}Mix"
    files = [Archive((Remote(f"{_TABLES}/{folder}/{name}", _digest(name)),), f"metadata/{folder}") for name in names]
    if version.kind != "mix_clean":
        files.append(Archive((Remote(_NOISE),)))
    download(files, corpus, mirror)
    download_librispeech(corpus, [SETS[name] for name in sets], mirror)


def _digest(name: str) -> str:
    return f"sha256:{SHA256[name]}" if name in SHA256 else ""
