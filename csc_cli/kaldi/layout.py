"""Which files make up a Kaldi data directory, what their keys are, and from where their names are meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from csc_cli.kaldi.specifiers import is_pipe, split_offset

CORE = ("wav.scp", "segments", "utt2spk", "spk2utt")
# Other tables that belong to a data directory: of utterances, of speakers, of recordings; and audio
# beside wav.scp, such as the sources of a mixture.
EXTRA = re.compile(r"text(_spk\d+)?|(utt2|spk2|reco2)\w+|(feats|vad|cmvn)\.scp|(spk|noise)\d+\.scp")
AUDIO = re.compile(r"(spk|noise)\d+\.scp")
# Of these, the ones that must have all utterances (speakers, recordings) if they are there at all; any
# other table may be of some only.
COMPLETE = (
    *("text", "feats.scp", "vad.scp", "utt2dur", "utt2num_frames", "utt2lang", "utt2uniq", "utt2warp"),
    *("spk2gender", "spk2warp", "cmvn.scp"),
    *("reco2dur", "reco2file_and_channel"),
)
# Files that are no tables of one line a key, but go with the directory.
PLAIN = ("frame_shift", "stm", "glm", "ctm")


def keys_of(name: str) -> Literal["speaker", "recording", "utterance"]:
    """What the keys of the table in the file `name` are."""
    if name == "cmvn.scp" or (name.startswith("spk2") and not AUDIO.fullmatch(name)):
        return "speaker"
    return "recording" if name.startswith("reco2") else "utterance"


def is_of_data_dir(name: str) -> bool:
    """Whether a file of this name belongs to a data directory."""
    return name in CORE or name in PLAIN or EXTRA.fullmatch(name) is not None


def base_folder(path: Path, names: Iterable[str]) -> Path | None:
    """The folder from which the relative names of a wav.scp in the data directory `path` are meant.

    The working folder (Kaldi's rule; None) if the first name that is found anywhere is found
    there, else the nearest of the data directory and its parents that has it.
    """
    for index, name in enumerate(names):
        if index >= 100:
            break
        if is_pipe(name) or Path(name).is_absolute():
            continue
        file = name if Path(name).exists() else split_offset(name)[0]
        if Path(file).exists():
            return None
        absolute = path.absolute()
        for folder in (absolute, *absolute.parents):
            if (folder / name).exists() or (folder / file).exists():
                return folder
    return None


def resolve(name: str, base: Path | None) -> str:
    """The path that opens a recording which a wav.scp calls `name`."""
    if base is None or is_pipe(name) or name.startswith("/"):
        return name
    return f"{base}/{name}"
