#!/usr/bin/env python3
"""What mixtures cost beside their audio: on the fly, to disk, by their number; and loading a large data directory.

    python benchmarks/simulation.py [--mixtures 200] [--parts fly disk memory load] [--work DIR]

Sources are made: speech-like FLAC of 16 kHz, 4 to 16 s, as in LibriSpeech. Each figure is processor time of one core.
What is compared runs in turns, over the same files, and each takes its quickest of three rounds.

- fly: draw and render 4 s of 2 talkers and recorded noise, nothing in memory before, over decoding the talkers'
  utterances and that stretch of the noise. Bars: 1.5 (crop, gain, add), 4 (with rooms, recorded ones). The draw needs
  each utterance whole, since it looks for its speech; rendering a plan reads the ranges alone.
- disk: csc simulate --write-audio (whole utterances, gain, add, noise) over decoding the sources and writing the same
  files; bar: 1.25. And over a plain script of soundfile and scipy that does per mixture what LibriMix's generation
  does: read, gain, resample_poly, pad, add, write (mix_both, s1, s2, noise; checksums and resuming are csc's alone).
- memory: the peak of csc simulate by the number of mixtures, plan and files.
- load: a data directory of 1.1 million utterances; bars: 10 s, 2 GB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from datadirs import make
from machine import machine
from scipy.signal import resample_poly

from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.text import read_map
from csc_cli.mixtures.draw import Draw, draw_data_dir
from csc_cli.mixtures.manifest import Mixture, read_mixtures
from csc_cli.mixtures.render import render
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, MixtureConfig, NoiseConfig, RoomConfig
from csc_cli.mixtures.simulate import simulate_data_dir
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import Surroundings
from csc_cli.progress import set_quiet

RATE = 16000
ROUNDS = 3
CROP_S = 4.0
FLAT = {"equaliser": EqualiserConfig(probability=0.0), "band_limit": BandLimitConfig(probability=0.0)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=int, default=200)
    parser.add_argument("--utterances", type=int, default=1_100_000, help="Of the large data directory.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--work", type=Path, help="Folder for the files; they are removed.")
    settings = parser.parse_args()
    set_quiet(True)
    print(f"machine: {machine()}; {settings.mixtures} mixtures")
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=settings.work))
    try:
        for part in settings.parts:
            PARTS[part](folder, settings)
    finally:
        shutil.rmtree(folder)


def speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Syllables of coloured noise and harmonics with pauses; as loud, and as hard to code, as read speech."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    pitch = rng.uniform(90, 250)
    voice = sum(np.sin(2 * np.pi * n * pitch * time_s + rng.uniform(0, 6)) / n for n in range(1, 20))
    hiss = np.convolve(rng.standard_normal(time_s.size), np.hanning(5), "same")
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time_s + rng.uniform(0, 6)) + 0.3, 0, None)
    inside = (time_s > 0.4) & (time_s < seconds - 0.4)
    return 0.04 * (voice + 0.3 * hiss) * syllables * inside + 3e-4 * hiss


def make_sources(folder: Path, count: int) -> DataDir:
    """A data directory of `count` FLAC recordings of 20 speakers; made once."""
    path = folder / "sources"
    if (path / "wav.scp").exists():
        return DataDir.load(path)
    rng = np.random.default_rng(0)
    utterances = []
    path.mkdir()
    for index in range(count):
        id = f"s{index % 20:02d}-{index:05d}"
        soundfile.write(path / f"{id}.flac", speech(rng, rng.uniform(4, 16)), RATE, subtype="PCM_16")
        utterances.append(Utterance(id, id[:3], str(path / f"{id}.flac")))
    data = DataDir(path, tuple(sorted(utterances, key=lambda utterance: utterance.id)))
    data.save(path)
    _make_surroundings(folder, rng)
    return data


def _make_surroundings(folder: Path, rng: np.random.Generator) -> None:
    """10 noises of a minute each; 10 rooms of 3 impulse responses, 0.3 s of decaying noise."""
    decay = 10.0 ** (-3 * np.arange(round(0.3 * RATE)) / (0.3 * RATE))
    noises = {f"noise{n}": 0.1 * np.convolve(rng.standard_normal(60 * RATE), np.hanning(9), "same") for n in range(10)}
    rooms = {f"room{n}-{place}": 0.3 * decay * rng.standard_normal(decay.size) for n in range(10) for place in range(3)}
    for name, recordings in (("noises", noises), ("rooms", rooms)):
        (folder / name).mkdir()
        utterances = []
        for id, samples in sorted(recordings.items()):
            soundfile.write(folder / name / f"{id}.flac", samples / np.abs(samples).max() / 2, RATE)
            utterances.append(Utterance(id, id.partition("-")[0], str(folder / name / f"{id}.flac")))
        DataDir(folder / name, tuple(utterances)).save(folder / name)


def quickest(functions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of processor time of each; they run in turns."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(ROUNDS):
        for name, function in functions.items():
            began = time.process_time()
            function()
            best[name] = min(best[name], time.process_time() - began)
    return best


def settings_of(folder: Path) -> dict[str, MixtureConfig]:
    """What is rendered: 2 talkers and always noise."""
    noise = NoiseConfig(probability=1.0, kinds=("recorded",), data=str(folder / "noises"))
    plain = MixtureConfig(sample_rate=RATE, crop_s=CROP_S, noise=noise, **FLAT)
    return {
        "crop, gain, add": plain,
        "with equaliser and band limit": MixtureConfig(sample_rate=RATE, crop_s=CROP_S, noise=noise),
        "with rooms": replace(plain, room=RoomConfig(probability=1.0, data=str(folder / "rooms"))),
        "crop, gain, add; generated noise": replace(plain, noise=NoiseConfig(probability=1.0)),
    }


def fly(folder: Path, settings: argparse.Namespace) -> None:
    """On the fly."""
    data = make_sources(folder, 60)
    kinds = settings_of(folder)
    draws = {name: list(draw_data_dir(data, config, 0, settings.mixtures)) for name, config in kinds.items()}
    plan = [draw.plan(_store(draw)) for draw in draws["crop, gain, add"]]
    found = quickest(
        {"decoding": lambda: [_decode(mixture, data, folder) for mixture in plan]}
        | {name: lambda drawn=drawn: [_from_nothing(draw) for draw in drawn] for name, drawn in draws.items()}
        | {"a plan of crop, gain, add": lambda: [_from_plan(mixture, data, folder) for mixture in plan]}
    )
    for name in found.keys() - {"decoding"}:
        print(f"fly: {name}: {found[name] / found['decoding']:.2f} x decoding ({_each(found[name], settings)})")


def _store(draw: Draw) -> AudioStore:
    return AudioStore(draw.needed, RATE, surroundings=Surroundings.of(draw.config.noise, draw.config.room))


def _from_nothing(draw: Draw) -> None:
    store = _store(draw)
    render(draw.plan(store), store)


def _from_plan(mixture: Mixture, data: DataDir, folder: Path) -> None:
    utterances = [data.by_id[source.utterance] for source in mixture.sources]
    render(mixture, AudioStore(utterances, RATE, surroundings=Surroundings(str(folder / "noises"))))


def _decode(mixture: Mixture, data: DataDir, folder: Path) -> list[np.ndarray]:
    """The talkers' utterances, and of the noise, which is long, what the mixture has of it."""
    decoded = [soundfile.read(data.by_id[source.utterance].recording, dtype="float32")[0] for source in mixture.sources]
    for clip in mixture.noise.clips if mixture.noise else ():
        with soundfile.SoundFile(folder / "noises" / f"{clip.utterance}.flac") as stream:
            stream.seek(clip.start)
            decoded.append(stream.read(mixture.length, dtype="float32"))
    return decoded


def _each(seconds: float, settings: argparse.Namespace) -> str:
    return f"{1000 * seconds / settings.mixtures:.2f} ms a mixture"


def disk(folder: Path, settings: argparse.Namespace) -> None:
    """To disk."""
    data = make_sources(folder, 60)
    config = replace(settings_of(folder)["crop, gain, add"], crop_s=None)
    out = folder / "out"
    simulate_data_dir(data.path, out, config, count=settings.mixtures, audio=True)
    plan = list(read_mixtures(out / "mix.jsonl"))
    tables = {kind: read_map(out / f"{kind}.scp") for kind in ("wav", "spk1", "spk2", "noise1")}
    written = {
        kind: {id: soundfile.read(name, dtype="float32")[0] for id, name in table.items()}
        for kind, table in tables.items()
    }

    def decode_and_write() -> None:
        shutil.rmtree(folder / "again", ignore_errors=True)
        for mixture in plan:
            _decode(mixture, data, folder)
            for kind, samples in written.items():
                (folder / "again" / kind).mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / "again" / kind / f"{mixture.id}.wav", samples[mixture.id], RATE)

    def csc() -> None:
        shutil.rmtree(out, ignore_errors=True)
        simulate_data_dir(data.path, out, config, count=settings.mixtures, audio=True)

    def librimix() -> None:
        shutil.rmtree(folder / "script", ignore_errors=True)
        for mixture in plan:
            _as_librimix(folder / "script", mixture.id, _decode(mixture, data, folder))

    found = quickest({"decoding and writing": decode_and_write, "csc": csc, "script": librimix})
    ours = found["csc"]
    print(f"disk: {ours / found['decoding and writing']:.2f} x decoding and writing the same files")
    print(f"disk: {ours / found['script']:.2f} x a plain script of LibriMix's steps; {_each(ours, settings)}")


def _as_librimix(out: Path, id: str, parts: list[np.ndarray]) -> None:
    """What LibriMix's create_librimix_from_metadata.py does with a mixture's sources (mode max)."""
    parts = [resample_poly(part * gain, RATE, RATE) for part, gain in zip(parts, (0.8, 0.9, 1.0), strict=True)]
    length = max(len(part) for part in parts)
    parts = [np.pad(part, (0, length - len(part))) for part in parts]
    for kind, samples in zip(("s1", "s2", "noise", "mix_both"), [*parts, sum(parts)], strict=True):
        (out / kind).mkdir(parents=True, exist_ok=True)
        soundfile.write(out / kind / f"{id}.wav", samples, RATE)


def memory(folder: Path, settings: argparse.Namespace) -> None:
    """The peak by the number of mixtures."""
    data = make_sources(folder, 60)
    counts = (settings.mixtures // 4, settings.mixtures)
    for name, options in {"plan": [], "files": ["--write-audio"]}.items():
        peaks = []
        for count in counts:
            command = [sys.executable, "-m", "csc_cli.cli.main", "simulate", *options, "--quiet", "--num", str(count)]
            shutil.rmtree(folder / "memory", ignore_errors=True)
            peaks.append(peak_mb([*command, str(data.path), str(folder / "memory")])[0])
        shown = ", ".join(f"{peak:.0f} MB for {count}" for peak, count in zip(peaks, counts, strict=True))
        print(f"memory: {name}: {shown}; {1e6 * (peaks[1] - peaks[0]) / (counts[1] - counts[0]):.0f} bytes a mixture")


def load(folder: Path, settings: argparse.Namespace) -> None:
    """A large data directory."""
    make(folder / "large", settings.utterances, 7205)
    code = "import sys; from csc_cli.kaldi.datadir import DataDir; print(len(DataDir.load(sys.argv[1]).utterances))"
    peak, seconds = peak_mb([sys.executable, "-c", code, str(folder / "large")])
    print(f"load: {settings.utterances} utterances in {seconds:.1f} s, {peak / 1000:.2f} GB")


def peak_mb(command: list[str]) -> tuple[float, float]:
    """A command's peak of memory and its seconds of processor time."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}")
    return usage.ru_maxrss * (1e-3 if sys.platform != "darwin" else 1e-6), usage.ru_utime + usage.ru_stime


PARTS = {"fly": fly, "disk": disk, "memory": memory, "load": load}

if __name__ == "__main__":
    main()
