"""speechocean762: read English by Mandarin speakers, 16 kHz (Zhang et al., Interspeech 2021; openslr.org/101).

The corpus has Kaldi data directories of its own, `train` and `test` with disjoint speakers, whose wav.scp is
relative to the corpus's folder (WAVE/SPEAKER0001/000010011.WAV; a part of the corpus may have other folders
and formats). Utterance ids are numbers there; here they begin with the speaker's id: 0001-000010011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from csc_cli.corpora.archives import Archive, download
from csc_cli.corpora.download import Remote
from csc_cli.corpora.parts import draw_evenly, of_speakers, write_parts
from csc_cli.corpora.walk import find
from csc_cli.errors import DataError, some
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_map

URL = "https://www.openslr.org/resources/101/speechocean762.tar.gz"  # no digest of it is published
_REQUIRED = ("wav.scp", "utt2spk")
_KEPT = ("text", "spk2gender", "spk2age")


def download_speechocean762(corpus: Path, sha256: str | None = None, mirror: str | None = None) -> None:
    """Download (half a gigabyte) and unpack it. Raises as `archives.download`.

    Args:
        sha256: what the archive must be; None: what it is is said.
    """
    download([Archive((Remote(URL, f"sha256:{sha256.lower()}" if sha256 else ""),))], corpus, mirror)


def prepare_speechocean762(source: Path, data: Path, dev_speakers: float = 0, seed: int = 0) -> str:
    """Write data/train and data/test as the corpus parts them, and data/dev of train's speakers if asked for.

    Args:
        source: the corpus's folder, or the one in which it was unpacked.
        dev_speakers: how many of the train speakers (or what fraction) become dev, drawn by the seed and spread
            evenly over sexes and ages where the corpus tells them.

    Returns:
        A line a part: speakers, utterances.

    Raises:
        DataError: files are missing (all are named, with where they were looked for) or damaged, or the two
            parts share a speaker.
    """
    folder = _find(source)
    parts = {part: _read(folder, part) for part in ("train", "test")}
    both = sorted(set(parts["train"].spk2utt) & set(parts["test"].spk2utt))
    if both:
        raise DataError(f"{folder}: speakers {some(both)} are in train and in test; unpack the corpus again")
    whole = parts["train"]
    dev = draw_evenly(_traits(whole), dev_speakers, "dev", seed) if dev_speakers else []
    if dev:
        train = set(whole.spk2utt).difference(dev)
        parts |= {"train": of_speakers(whole, train), "dev": of_speakers(whole, dev)}
    return write_parts(data, parts)


def _traits(data: DataDir) -> dict[str, tuple[str, float]]:
    """Sex and age in years of each speaker; "" and -1 where a table does not tell.

    Raises:
        DataError: an age is no number.
    """
    sexes, ages = (data.extra.get(name, {}) for name in ("spk2gender", "spk2age"))
    traits = {}
    for speaker in data.spk2utt:
        try:
            age = float(ages.get(speaker, "-1"))
        except ValueError:
            age = math.nan
        if not math.isfinite(age):
            raise DataError(f"{data.path / 'spk2age'}: the age of '{speaker}' is no number: '{ages[speaker]}'; mend it")
        traits[speaker] = (sexes.get(speaker, ""), age)
    return traits


def _find(source: Path) -> Path:
    """The folder that has train and test."""
    wanted = [f"{part}/{name}" for part in ("train", "test") for name in _REQUIRED]
    remedy = "give the folder that the archive of https://www.openslr.org/101 unpacks to, with train/, test/ and WAVE/"
    return find((source, source / "speechocean762"), wanted, remedy)


def _read(folder: Path, part: str) -> DataDir:
    wav, speaker_of = (read_map(folder / part / name) for name in _REQUIRED)
    odd = sorted(set(wav) ^ set(speaker_of))
    if odd:
        raise DataError(f"{folder / part}: utterances {some(odd)} are in only one of wav.scp and utt2spk")
    absent = sorted(name for name in wav.values() if not (folder / name).is_file())
    if absent:
        raise DataError(
            f"{folder / part / 'wav.scp'}: {len(absent)} of {len(wav)} recordings are not there: {some(absent)} "
            f"(looked in {folder}); unpack the corpus again"
        )
    ids = {key: f"{speaker_of[key]}-{key}" for key in wav}
    utterances = [Utterance(ids[key], speaker_of[key], str(folder / name)) for key, name in wav.items()]
    utterances.sort(key=lambda utterance: utterance.id)
    return DataDir(folder / part, tuple(utterances), _tables(folder / part, ids))


def _tables(path: Path, ids: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tables = {}
    for name in _KEPT:
        if (path / name).is_file():
            table = read_map(path / name)
            tables[name] = table if name.startswith("spk2") else {ids.get(key, key): table[key] for key in table}
    return tables
