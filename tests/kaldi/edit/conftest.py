"""Small data directories without audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

# Utterances by speaker, and frames of each; Kaldi's choices in test_subset.py are of these.
COUNTS = {"anna": 4, "ben": 1, "carl": 3, "dora": 5}
FRAMES = (30, 10, 20, 10, 50, 7, 30, 8, 20, 9, 10, 100, 9)
UTTERANCES = [(f"{speaker}-{i}", speaker) for speaker, count in COUNTS.items() for i in range(count)]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write tables, given as texts by file name, to a folder; spk2utt is made of utt2spk."""

    def write(name: str, tables: Mapping[str, str]) -> Path:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        own: dict[str, list[str]] = {}
        for line in tables["utt2spk"].splitlines():
            own.setdefault(line.split()[1], []).append(line.split()[0])
        spk2utt = "".join(f"{speaker} {' '.join(own[speaker])}\n" for speaker in sorted(own))
        for file, text in {"spk2utt": spk2utt, **tables}.items():
            (path / file).write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def four(write: Write) -> Path:
    """Four speakers, 13 utterances, wav.scp, utt2num_frames and utt2dur."""
    tables = {
        "utt2spk": "".join(f"{utterance} {speaker}\n" for utterance, speaker in UTTERANCES),
        "wav.scp": "".join(f"{utterance} /rec/{utterance}.wav\n" for utterance, _ in UTTERANCES),
        "utt2num_frames": "".join(f"{utterance} {n}\n" for (utterance, _), n in zip(UTTERANCES, FRAMES, strict=True)),
        "utt2dur": "".join(f"{utterance} {n / 100}\n" for (utterance, _), n in zip(UTTERANCES, FRAMES, strict=True)),
    }
    return write("four", tables)


@pytest.fixture
def segmented(write: Write) -> Path:
    """Three utterances in two recordings, with tables of every kind."""
    return write(
        "segmented",
        {
            "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
            "segments": "a-1 rec1 0.5 1.25\na-2 rec1 1.25 2.0\nb-1 rec2 0.0 1.0\n",
            "wav.scp": "rec1 /rec/one two.wav\nrec2 sph2pipe -f wav -p -c 2 /rec/2.sph |\n",
            "reco2file_and_channel": "rec1 rec1 A\nrec2 rec2 B\n",
            "reco2dur": "rec1 2.5\nrec2 1.5\n",
            "text": "a-1 HELLO WORLD\na-2\nb-1 JA, GRÜẞE\n",
            "feats.scp": "a-1 /f/a.ark:4\na-2 /f/a.ark:400\nb-1 /f/b.ark:4\n",
            "utt2mood": "a-2 glad\n",
            "spk2gender": "a f\nb m\n",
            "spk2town": "b Köln am Rhein\n",
            "frame_shift": "0.01\n",
            "stm": ";; comment\nrec1 A a 0.5 1.25 HELLO\nrec1 A a 1.25 2.0\nrec2 B b 0 1 JA\n",
        },
    )


@pytest.fixture
def files() -> Callable[[Path], dict[str, str]]:
    """The text of each file of a folder."""

    def read(path: Path) -> dict[str, str]:
        return {file.name: file.read_text(encoding="utf-8") for file in path.iterdir() if file.is_file()}

    return read
