"""Wavs of streams: the recording's length and rate, the same bytes however they come about."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from csc_cli import dsp
from csc_cli.errors import DataError
from csc_cli.extraction import separate
from csc_cli.extraction.network import run
from csc_cli.extraction.recordings import Recording
from csc_cli.extraction.separate import at_own_rate, separate_data_dir
from csc_cli.extraction.wavs import StreamWriter, file_name
from csc_cli.kaldi.datadir import Utterance
from csc_cli.nn.model import load_model


@pytest.fixture
def model_dir(make_model_dir):
    return make_model_dir()


def tree(out: Path) -> dict[str, bytes]:
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and not any(x.startswith(".") for x in p.parts[-3:]))
    return {str(p.relative_to(out)): p.read_bytes().replace(str(out).encode(), b"OUT") for p in files}


def test_the_wavs_are_the_networks_streams(model_dir, make_data_dir, tmp_path):
    data, out = make_data_dir(seconds=0.7), tmp_path / "x"
    assert separate_data_dir(model_dir, data, out) == f"4 recordings, 2 streams each -> {out}/spk1.scp"
    model = load_model(model_dir)
    for stream in range(2):
        table = dict(line.split() for line in (out / f"spk{stream + 1}.scp").read_text().splitlines())
        assert list(table) == [f"spk{s}-utt{u}" for s in range(2) for u in range(2)]
        for key, name in table.items():
            samples, _ = soundfile.read(data / "wav" / f"{key}.wav", dtype="float32")
            separated, rate = soundfile.read(name, dtype="float32")
            assert (rate, soundfile.info(name).subtype) == (8000, "PCM_16")
            np.testing.assert_allclose(separated, run(model, [samples], len(samples))[0].separated[stream], atol=2e-5)


@pytest.mark.parametrize("sample_rate, samples", [(16000, 8001), (44100, 20003), (11025, 7001), (6000, 3001)])
def test_length_and_rate_are_the_recordings(model_dir, make_data_dir, tmp_path, sample_rate, samples):
    data = make_data_dir(speakers=1, utterances=1, seconds=samples / sample_rate, sample_rate=sample_rate)
    separate_data_dir(model_dir, data, tmp_path / "x")
    for stream in (1, 2):
        separated, rate = soundfile.read(tmp_path / "x" / f"spk{stream}" / "spk0-utt0.wav")
        assert (len(separated), rate) == (samples, sample_rate)
        assert np.abs(separated).max() > 0.01


@pytest.mark.parametrize("sample_rate", [16000, 44100, 11025])
def test_to_the_models_rate_and_back(sample_rate):
    """What both rates can hold comes back as it was."""
    time_s = np.arange(sample_rate) / sample_rate
    tones = np.stack([np.sin(2 * np.pi * hz * time_s) for hz in (150.0, 997.0, 3300.0)]).astype(np.float32)
    recording = Recording(Utterance("u", "s", "u.wav"), sample_rate, sample_rate)
    back = at_own_rate(dsp.resample(tones, sample_rate, 8000), recording, sample_rate, 8000)
    middle = slice(sample_rate // 10, -sample_rate // 10)
    error = np.square(back - tones)[:, middle].mean(1) / np.square(tones)[:, middle].mean(1)
    assert (10 * np.log10(error) < -60).all()


def test_processes_change_no_byte(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=2, utterances=3, seconds=0.4)
    separate_data_dir(model_dir, data, tmp_path / "one", batch_seconds=1)
    separate_data_dir(model_dir, data, tmp_path / "two", batch_seconds=1, nj=2)
    one = tree(tmp_path / "one")
    assert len(one) == 2 * 6 + 2 + 1
    assert tree(tmp_path / "two") == one


def test_a_rerun_makes_what_is_missing(model_dir, make_data_dir, tmp_path, monkeypatch):
    data, out = make_data_dir(speakers=2, utterances=3, seconds=0.4), tmp_path / "x"
    separate_data_dir(model_dir, data, out, batch_seconds=1)
    expected = tree(out)
    assert "already whole" in separate_data_dir(model_dir, data, out, batch_seconds=1)
    (out / "spk2" / "spk1-utt1.wav").unlink()
    separate_data_dir(model_dir, data, out, batch_seconds=1)
    assert tree(out) == expected
    done: list[int] = []
    separate_batch = separate.separate_batch

    def interrupted(job, item):
        if len(done) == 1:
            raise KeyboardInterrupt
        separate_batch(job, item)
        done.append(item[0])

    monkeypatch.setattr(separate, "separate_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        separate_data_dir(model_dir, data, tmp_path / "y", batch_seconds=1)
    assert not (tmp_path / "y" / "spk1.scp").exists()
    monkeypatch.setattr(separate, "separate_batch", lambda job, item: done.append(item[0]) or separate_batch(job, item))
    separate_data_dir(model_dir, data, tmp_path / "y", batch_seconds=1)
    assert sorted(done) == list(range(len(done)))
    assert tree(tmp_path / "y") == expected


def test_bad_recordings_are_listed_and_the_others_written(model_dir, make_data_dir, tmp_path):
    data, out = make_data_dir(seconds=0.4), tmp_path / "x"
    soundfile.write(data / "wav" / "spk0-utt1.wav", np.zeros(3000), 8000)
    (data / "wav" / "spk1-utt0.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"2 of 4 recordings failed, the other 2 are done:\n.*spk0-utt1.*\n.*spk1-utt0"):
        separate_data_dir(model_dir, data, out)
    assert [line.split()[0] for line in (out / "spk2.scp").read_text().splitlines()] == ["spk0-utt0", "spk1-utt1"]
    assert sorted(p.name for p in (out / "spk1").iterdir()) == ["spk0-utt0.wav", "spk1-utt1.wav"]


def test_a_long_recording_that_breaks_off_leaves_no_wav(model_dir, make_data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("csc_cli.extraction.batches.WHOLE_S", 1.0)
    for module in ("batches", "long", "stitch"):
        monkeypatch.setattr(f"csc_cli.extraction.{module}.WINDOW_S", 2)
    for module in ("stitch", "separate"):
        monkeypatch.setattr(f"csc_cli.extraction.{module}.HOP_S", 1)
    data, out = make_data_dir(speakers=1, utterances=2, seconds=6.5, suffix=".flac"), tmp_path / "x"
    cut = data / "wav" / "spk0-utt1.flac"
    cut.write_bytes(cut.read_bytes()[:-3000])
    with pytest.raises(DataError, match="1 of 2 recordings failed"):
        separate_data_dir(model_dir, data, out, batch_seconds=2)
    assert [p.name for p in sorted(out.rglob("*.wav"))] == ["spk0-utt0.wav"] * 2
    assert all(soundfile.info(p).frames == 52000 for p in out.rglob("*.wav"))


def test_names_stay_in_their_folder(model_dir, make_data_dir, tmp_path):
    names = ["a/b", "a%2Fb", "..", "../x", ".hidden", "plain-1.2_z"]
    assert len({file_name(name) for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[^/.][^/]*\.wav", file_name(name))
    assert file_name("plain-1.2_z") == "plain-1.2_z.wav"


def test_what_lies_beyond_full_scale_is_clipped_with_a_note(tmp_path, capsys):
    paths = [tmp_path / "a" / "x.wav", tmp_path / "b" / "x.wav"]
    with StreamWriter(paths, 8000) as writer:
        writer.write(np.array([[0.5, 1.0, -1.0], [2.0, -3.0, 0.25]], np.float32))
        writer.write(np.array([[0.0], [1.5]], np.float32))
    assert soundfile.read(paths[0], dtype="int16")[0].tolist() == [16384, 32767, -32768, 0]
    assert soundfile.read(paths[1], dtype="int16")[0].tolist() == [32767, -32768, 8192, 32767]
    assert capsys.readouterr().err == f"{paths[1]}: 3 samples clipped\n"


def test_an_interrupted_writer_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), StreamWriter([tmp_path / "x.wav"], 8000) as writer:
        writer.write(np.zeros((1, 10), np.float32))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_float_wavs_keep_streams_that_16_bits_round_to_zeros(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=1, utterances=1, seconds=0.7)
    wav = data / "wav" / "spk0-utt0.wav"
    quiet = soundfile.read(wav, dtype="float32")[0] * np.float32(1e-6)
    soundfile.write(wav, quiet, 8000, subtype="FLOAT")
    separate_data_dir(model_dir, data, tmp_path / "rounded")
    separate_data_dir(model_dir, data, tmp_path / "exact", unrounded=True)
    expected = run(load_model(model_dir), [quiet], len(quiet))[0].separated
    for stream in range(2):
        name = f"spk{stream + 1}/spk0-utt0.wav"
        assert not soundfile.read(tmp_path / "rounded" / name)[0].any()
        assert soundfile.info(tmp_path / "exact" / name).subtype == "FLOAT"
        exact = soundfile.read(tmp_path / "exact" / name, dtype="float32")[0]
        assert exact.any()
        np.testing.assert_allclose(exact, expected[stream], rtol=1e-4, atol=1e-12)
