"""Where VoxCeleb is published: MD5 as in its own lists of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.errors import ConfigError, nearest

_AUDIO = "https://thor.robots.ox.ac.uk/~vgg/data/voxceleb/vox1a"
_META = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta"
_LISTS = {
    "veri_test.txt": "29fc7cc1c5d59f0816dc15d6e8be60f7",
    "veri_test2.txt": "b73110731c9223c1461fe49cb48dddfc",
    "list_test_hard.txt": "21c341b6b2168eea2634df0fb4b8fff1",
    "list_test_hard2.txt": "857790e09d579a68eb2e339a090343c8",
    "list_test_all.txt": "b9ecf7aa49d4b656aa927a8092844e4a",
    "list_test_all2.txt": "a53e059deb562ffcfc092bf5d90d9f3a",
}
_DEV1 = (
    ("aa", "e395d020928bc15670b570a21695ed96"),
    ("ab", "bbfaaccefab65d82b21903e81a8a8020"),
    ("ac", "017d579a2a96a077f40042ec33e51512"),
    ("ad", "7bb1e9f70fddc7a678fa998ea8b3ba19"),
)
_DEV2 = (
    ("aa", "da070494c573e5c0564b1d11c3b20577"),
    ("ab", "17fe6dab2b32b48abaf1676429cdd06f"),
    ("ac", "1de58e086c5edf63625af1cb6d831528"),
    ("ad", "5a043eb03e15c5a918ee6a52aad477f9"),
    ("ae", "cea401b624983e2d0b2a87fb5d59aa60"),
    ("af", "fc886d9ba90ab88e7880ee98effd6ae9"),
    ("ag", "d160ecc3f6ee3eed54d55349531cb42e"),
    ("ah", "6b84a81b9af72a9d9eecbb3b1f602e65"),
)


def _in_parts(stem: str, parts: Sequence[tuple[str, str]], into: str) -> Archive:
    return Archive(tuple(Remote(f"{_AUDIO}/{stem}_part{part}", f"md5:{digest}") for part, digest in parts), into)


def _file(url: str, digest: str, into: str) -> Archive:
    return Archive((Remote(url, f"md5:{digest}"),), into)


FILES: dict[str, tuple[Archive, ...]] = {
    "lists": (
        *(_file(f"{_META}/{name}", digest, "voxceleb1/meta") for name, digest in _LISTS.items()),
        _file("https://www.openslr.org/resources/49/vox1_meta.csv", "f5067cae5157ca27904c4b0a926e2661", "voxceleb1"),
        _file("https://www.openslr.org/resources/49/vox2_meta.csv", "6090d767f8334733dfe4c6578fa725c2", "voxceleb2"),
    ),
    "voxceleb1_dev": (_in_parts("vox1_dev_wav", _DEV1, "voxceleb1/dev"),),
    "voxceleb1_test": (_file(f"{_AUDIO}/vox1_test_wav.zip", "185fdc63c3c739954633d50379a3d102", "voxceleb1/test"),),
    "voxceleb2_dev": (_in_parts("vox2_dev_aac", _DEV2, "voxceleb2/dev"),),
    "voxceleb2_test": (_file(f"{_AUDIO}/vox2_test_aac.zip", "0d2b3ea430a821c33263b5ea37ede312", "voxceleb2/test"),),
}


def download_voxceleb(corpus: Path, parts: Sequence[str], mirror: str | None = None) -> None:
    """Download these parts and the lists into corpus/voxceleb1 and corpus/voxceleb2.

    Raises:
        ConfigError: no such part, or none named. Others as `archives.download`.
    """
    for name in parts:
        if name not in FILES:
            raise ConfigError(f"VoxCeleb has no part '{name}'; {nearest(name, FILES)}")
    if not parts:
        raise ConfigError(f"name the parts to download (--part), of {', '.join(FILES)}")
    wanted = dict.fromkeys(("lists", *parts))
    download([archive for name in wanted for archive in FILES[name]], corpus, mirror)
