"""LibriMix's plans against a plain re-statement of its generation: read, scale, resample, fit, add."""

import csv
import hashlib

import numpy as np
import pytest
import scipy.signal
import soundfile

from csc_cli.corpora import librimix, librimix_download, librispeech
from csc_cli.corpora.librimix import Version, prepare_librimix
from csc_cli.errors import ConfigError, DataError
from csc_cli.kaldi.checks import check_data_dir
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.manifest import read_mixtures
from csc_cli.mixtures.render import AudioStore, render

# Odd and even lengths, the first shorter or longer, two of them equal.
LENGTHS = {
    "4077/13754/4077-13754-0001": 4801,
    "5142/33396/5142-33396-0065": 6400,
    "6930/76324/6930-76324-0027": 5000,
    "5683/32879/5683-32879-0011": 5000,
    "1089/134686/1089-134686-0002": 7333,
}
NAMES = [f"test-clean/{name}.flac" for name in LENGTHS]
ROWS = [((0, 1, 2), (0.7875413348848695, 1.4352834120507272, 0.3442805985487599), 0, 1.7990499862874463)]
ROWS += [((2, 3, 0), (0.6015250670106238, 0.13868072756559302, 1.0), 1, 1.4409061659915268)]
ROWS += [((4, 0, 1), (0.5, 0.9, 1.1), 2, 0.25)]
NOISES = ["tt/445c0204_1.7413_442c020t_-1.7413.wav", "tt/22hc010b_1.8764.wav", "tt/421a0109.wav"]


def stem(name: str) -> str:
    return name.split("/")[-1][:-5]


def mixture_id(row, talkers: int) -> str:
    return "_".join(stem(NAMES[index]) for index in row[0][:talkers])


@pytest.fixture
def storage(tmp_path):
    """What LibriMix's own script fills: LibriSpeech in FLAC, WHAM!'s noise in two channels, and the tables."""
    root = tmp_path / "storage"
    rng = np.random.default_rng(0)
    for name, length in zip(NAMES, LENGTHS.values(), strict=True):
        path = root / "LibriSpeech" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.clip(rng.normal(0, 3000, length), -32768, 32767).astype(np.int16), 16000)
    readers = sorted({name.split("/")[1] for name in NAMES})
    (root / "LibriSpeech" / "SPEAKERS.TXT").write_text("".join(f"{r} | F | test-clean | 8 | N\n" for r in readers))
    (root / "wham_noise" / "tt").mkdir(parents=True)
    for name in NOISES:
        samples = rng.normal(0, 0.02, (9000, 2))
        soundfile.write(root / "wham_noise" / name, samples, 16000, subtype="PCM_16")
    for talkers in (2, 3):
        write_table(root / "metadata" / f"Libri{talkers}Mix" / f"libri{talkers}mix_test-clean.csv", talkers)
    return root


def write_table(path, talkers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        columns = [f"source_{n}_{what}" for n in range(1, talkers + 1) for what in ("path", "gain")]
        table.writerow(["mixture_ID", *columns, "noise_path", "noise_gain"])
        for row in ROWS:
            pairs = [field for index, gain in zip(row[0][:talkers], row[1]) for field in (NAMES[index], gain)]
            table.writerow([mixture_id(row, talkers), *pairs, NOISES[row[2]], row[3]])


def generated(root, row, version: Version) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """The mixture, its sources and its noise, by the steps that LibriMix documents."""
    heard = [soundfile.read(root / "LibriSpeech" / NAMES[i], dtype="float32")[0] for i in row[0][: version.talkers]]
    longest = max(map(len, heard))
    heard.append(soundfile.read(root / "wham_noise" / NOISES[row[2]], dtype="float32", stop=longest)[0][:, 0])
    gains = [*row[1][: version.talkers], row[3]]
    parts = [samples * gain for samples, gain in zip(heard, gains, strict=True)]
    parts = [scipy.signal.resample_poly(samples, version.sample_rate, 16000) for samples in parts]
    if version.mode == "min":
        shortest = min(map(len, parts))
        parts = [samples[:shortest] for samples in parts]
    else:
        longest = max(map(len, parts))
        parts = [np.pad(samples, (0, longest - len(samples))) for samples in parts]
    chosen = {"mix_clean": parts[:-1], "mix_both": parts, "mix_single": [parts[0], parts[-1]]}[version.kind]
    total = np.zeros_like(parts[0])
    for samples in chosen:
        total += samples
    return total, chosen[:-1] if version.kind != "mix_clean" else chosen, parts[-1]
