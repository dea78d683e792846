"""What prepare makes of MUSAN and RIRS_NOISES, as the noises and rooms of mixtures."""

import numpy as np
import soundfile

from csc_cli.corpora.musan import prepare_musan
from csc_cli.corpora.rirs_noises import prepare_rirs_noises
from csc_cli.kaldi.datadir import DataDir
from csc_cli.mixtures.manifest import read_mixtures

RATE = 16000


def write(path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def test_noises_and_rooms_of_mixtures(make_data_dir, tmp_path, csc):
    rng = np.random.default_rng(0)
    for kind in ("noise", "music", "speech"):
        write(tmp_path / "musan" / kind / "here" / f"{kind}-0000.wav", rng.normal(0, 0.05, 3 * RATE))
    rirs = tmp_path / "RIRS_NOISES"
    decay = rng.normal(0, 0.1, (4000, 8)) * np.exp(-np.arange(4000) / 600)[:, None]
    decay[100] = 0.9
    real = rirs / "real_rirs_isotropic_noises"
    for room, place in (("Room001", 1), ("Room001", 2), ("Room001", 3), ("Room002", 1)):
        write(rirs / "simulated_rirs" / "smallroom" / room / f"{room}-{place:05d}.wav", decay[:, 0])
    places = [f"RVB2014_type1_rir_largeroom1_{place}.wav" for place in ("far_angla", "far_anglb", "near_angla")]
    for name in places:
        write(real / name, decay)
    (real / "rir_list").write_text("".join(f"--rir-id {n} --room-id RVB2014_largeroom1 {n}\n" for n in places))
    write(real / "RVB2014_type1_noise_largeroom1_1.wav", rng.normal(0, 0.05, (RATE, 8)))
    write(rirs / "pointsource_noises" / "noise-free-sound-0000.wav", rng.normal(0, 0.05, 2 * RATE))
    prepare_musan(tmp_path / "musan", tmp_path / "data" / "musan")
    prepare_rirs_noises(rirs, tmp_path / "data" / "rirs")
    source = make_data_dir(seconds=2.0)
    pairs = [("musan/noise", "rirs/simulated_rirs"), ("rirs/isotropic_noises", "rirs/real_rirs")]
    for number, (noises, rooms) in enumerate(pairs):
        out = tmp_path / f"mix{number}"
        folders = ["--noises", tmp_path / "data" / noises, "--rooms", tmp_path / "data" / rooms]
        always = ["--set", "noise.probability=1", "--set", "room.probability=1"]
        csc("simulate", "--write-audio", "--num", 1, *folders, *always, source, out)
        named = DataDir.load(tmp_path / "data" / rooms).by_id
        heard = DataDir.load(tmp_path / "data" / noises).by_id
        for mixture in read_mixtures(out / "mix.jsonl"):
            assert mixture.noise is not None and mixture.noise.clips[0].utterance in heard
            assert {source.rir for source in mixture.sources} <= set(named)
            samples, rate = soundfile.read(out / "wav" / f"{mixture.id}.wav")
            assert rate == 8000 and samples.ndim == 1 and np.abs(samples).max() > 0.01
