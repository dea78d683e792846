"""Vectors of a data directory: the right ones under the right keys, the same bytes however they come about."""

from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from csc_cli import dsp
from csc_cli.errors import ConfigError, CscError, DataError
from csc_cli.extraction import embed
from csc_cli.extraction.embed import embed_data_dir
from csc_cli.extraction.network import read_out, run
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir
from csc_cli.nn.model import load_model

TABLES = ("xvector.ark", "xvector.scp", "spk_xvector.ark", "spk_xvector.scp", "num_utts.ark")


def contents(out: Path, path: Path) -> dict[str, bytes]:
    """All files of a folder; the folder's own name, which stands in scps, replaced."""
    return {p.name: p.read_bytes().replace(str(path).encode(), b"OUT") for p in sorted(out.iterdir()) if p.is_file()}


def outputs(model_dir: Path, data: Path) -> dict[str, object]:
    """The network's output for each utterance alone, unpadded."""
    model = load_model(model_dir)
    utterances = DataDir.load(data).utterances
    samples = {u.id: read_audio(u, model.config.sample_rate)[0] for u in utterances}
    return {key: run(model, [x], len(x))[0] for key, x in samples.items()}


def energies(output) -> np.ndarray:
    return np.square(output.separated.astype(np.float64)).sum(1)


@pytest.fixture
def model_dir(make_model_dir):
    return make_model_dir()


def test_kaldiio_reads_the_vector_of_the_stream_of_most_energy(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=2, utterances=3, seconds=0.9)
    summary = embed_data_dir(model_dir, data, tmp_path / "x")
    assert summary == f"6 utterances, 2 speakers, 16 dimensions -> {tmp_path}/x/xvector.scp"
    vectors = kaldiio.load_scp(str(tmp_path / "x" / "xvector.scp"))
    expected = outputs(model_dir, data)
    assert list(vectors) == sorted(expected)
    best = {key: output.vectors[energies(output).argmax()] for key, output in expected.items()}
    for key, vector in vectors.items():
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, best[key], atol=1e-5)
    speakers = kaldiio.load_scp(str(tmp_path / "x" / "spk_xvector.scp"))
    assert list(speakers) == ["spk0", "spk1"]
    for speaker, vector in speakers.items():
        own = [best[f"{speaker}-utt{i}"] for i in range(3)]
        np.testing.assert_allclose(vector, np.mean([v / np.linalg.norm(v) for v in own], 0), atol=1e-5)
    assert (tmp_path / "x" / "num_utts.ark").read_text() == "spk0 3\nspk1 3\n"
    assert sorted(contents(tmp_path / "x", tmp_path)) == sorted([*TABLES, "extract.json"])


@pytest.mark.parametrize("active_db", [0.0, 4.0, 300.0])
def test_all_streams_are_those_near_the_recordings_energy(model_dir, make_data_dir, tmp_path, active_db):
    data = make_data_dir(seconds=0.7)
    embed_data_dir(model_dir, data, tmp_path / "x", streams="all", active_db=active_db)
    vectors = dict(kaldiio.load_scp(str(tmp_path / "x" / "xvector.scp")))
    utt2streams = dict(line.split(maxsplit=1) for line in (tmp_path / "x" / "utt2streams").read_text().splitlines())
    activity = [line.split() for line in (tmp_path / "x" / "stream_activity").read_text().splitlines()]
    found = {}
    for utterance, output in outputs(model_dir, data).items():
        samples = read_audio(DataDir.load(data).by_id[utterance])[0].astype(np.float64)
        energy_db = 10 * np.log10(energies(output) / np.square(samples).sum())
        keep = [c for c in range(2) if energy_db[c] >= -active_db] or [int(energy_db.argmax())]
        assert utt2streams[utterance].split() == [f"{utterance}-s{c + 1}" for c in keep]
        for c in keep:
            np.testing.assert_allclose(vectors[f"{utterance}-s{c + 1}"], output.vectors[c], atol=1e-5)
            found[f"{utterance}-s{c + 1}"] = energy_db[c]
    assert sorted(found) == list(vectors) == [key for key, _, _ in activity]
    for key, seconds, energy_db in activity:
        assert abs(float(energy_db) - found[key]) < 0.01
        assert 0 <= float(seconds) <= 0.7
    # The other way of writing leaves no table behind that does not belong to its vectors.
    embed_data_dir(model_dir, data, tmp_path / "x")
    assert not (tmp_path / "x" / "utt2streams").exists()


def test_enrollment_by_attention_reads_out_all_segments(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=2, utterances=3, seconds=0.8)
    embed_data_dir(model_dir, data, tmp_path / "x", enroll="attention", batch_seconds=2)
    expected = outputs(model_dir, data)
    for speaker, vector in kaldiio.load_scp(str(tmp_path / "x" / "spk_xvector.scp")).items():
        own = [expected[f"{speaker}-utt{i}"] for i in range(3)]
        segments = np.concatenate([output.segments[energies(output).argmax()] for output in own])
        np.testing.assert_allclose(vector, read_out(load_model(model_dir), segments), atol=1e-5)


def test_processes_and_order_change_no_byte(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=3, utterances=3, seconds=0.4)
    options = {"streams": "all", "enroll": "attention", "batch_seconds": 1.0}
    embed_data_dir(model_dir, data, tmp_path / "one", **options)
    embed_data_dir(model_dir, data, tmp_path / "two", nj=2, **options)
    assert contents(tmp_path / "one", tmp_path / "one") == contents(tmp_path / "two", tmp_path / "two")


def test_batches_change_vectors_by_rounding_alone(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=2, utterances=4, seconds=0.6)
    for name, seconds in (("one", 0.001), ("many", 100.0)):
        embed_data_dir(model_dir, data, tmp_path / name, batch_seconds=seconds)
    one, many = (dict(kaldiio.load_scp(str(tmp_path / name / "xvector.scp"))) for name in ("one", "many"))
    for key in one:
        np.testing.assert_allclose(one[key], many[key], atol=1e-5)


def test_a_rerun_goes_on_and_gives_the_same_bytes(model_dir, make_data_dir, tmp_path, monkeypatch):
    data = make_data_dir(speakers=2, utterances=3, seconds=0.5)
    embed_data_dir(model_dir, data, tmp_path / "x", batch_seconds=1)
    expected = contents(tmp_path / "x", tmp_path / "x")
    done = []

    def interrupted(job, item, limit):
        if len(done) == limit:
            raise KeyboardInterrupt
        embed_batch(job, item)
        done.append(item[0])

    embed_batch = embed.embed_batch
    monkeypatch.setattr(embed, "embed_batch", lambda job, item: interrupted(job, item, 2))
    with pytest.raises(KeyboardInterrupt):
        embed_data_dir(model_dir, data, tmp_path / "y", batch_seconds=1)
    assert not contents(tmp_path / "y", tmp_path), "nothing half-written"
    monkeypatch.setattr(embed, "embed_batch", lambda job, item: interrupted(job, item, 99))
    embed_data_dir(model_dir, data, tmp_path / "y", batch_seconds=1)
    assert sorted(done) == list(range(len(done))), "no batch was done twice"
    assert contents(tmp_path / "y", tmp_path / "y") == expected
    assert not list((tmp_path / "y").glob(".parts-*"))


def test_what_is_whole_is_left_alone_and_what_has_changed_is_not(model_dir, make_model_dir, make_data_dir, tmp_path):
    data, out = make_data_dir(seconds=0.3), tmp_path / "x"
    embed_data_dir(model_dir, data, out)
    before = (out / "xvector.ark").stat().st_mtime_ns
    assert "already whole" in embed_data_dir(model_dir, data, out, nj=1)
    assert (out / "xvector.ark").stat().st_mtime_ns == before
    # A part of the output is gone, or too short.
    (out / "num_utts.ark").unlink()
    assert "already whole" not in embed_data_dir(model_dir, data, out)
    (out / "xvector.ark").write_bytes(b"")
    assert "already whole" not in embed_data_dir(model_dir, data, out)
    # The audio is another; the model is another.
    name = data / "wav" / "spk0-utt0.wav"
    soundfile.write(name, soundfile.read(name)[0][::-1], 8000)
    assert "already whole" not in embed_data_dir(model_dir, data, out)
    vectors = (out / "xvector.ark").read_bytes()
    other = make_model_dir("other", seed=1)
    assert "already whole" not in embed_data_dir(other, data, out)
    assert (out / "xvector.ark").read_bytes() != vectors


def test_bad_recordings_are_listed_and_the_others_written(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=4, utterances=2, seconds=0.5, suffix=".flac")
    embed_data_dir(model_dir, data, tmp_path / "sound", batch_seconds=2)
    wav = data / "wav"
    soundfile.write(wav / "spk0-utt0.flac", np.zeros(4000), 8000)
    (wav / "spk1-utt0.flac").write_bytes(b"")
    (wav / "spk1-utt1.flac").unlink()
    cut = wav / "spk2-utt0.flac"
    cut.write_bytes(cut.read_bytes()[:1500])
    loud = np.tile([3e37, -3e37], 2000).astype(np.float32)
    soundfile.write(wav / "spk2-utt1.wav", loud, 8000, "FLOAT")
    (wav / "spk2-utt1.wav").rename(wav / "spk2-utt1.flac")
    with pytest.raises(DataError) as raised:
        embed_data_dir(model_dir, data, tmp_path / "x", batch_seconds=2)
    message = str(raised.value)
    assert message.startswith("5 of 8 recordings failed, the other 3 are done:")
    for part in ("spk0-utt0.flac: is silent", "spk1-utt0.flac: is an empty file", "spk1-utt1.flac: cannot be read",
                 "spk2-utt0.flac: is ", "spk2-utt1.flac: the network's outputs are not finite"):  # fmt: skip
        assert part in message
    listed = [line.split()[0] for line in (tmp_path / "x" / "failed").read_text().splitlines()]
    assert listed == ["spk0-utt0", "spk1-utt0", "spk1-utt1", "spk2-utt0", "spk2-utt1"]
    vectors = dict(kaldiio.load_scp(str(tmp_path / "x" / "xvector.scp")))
    whole = dict(kaldiio.load_scp(str(tmp_path / "sound" / "xvector.scp")))
    assert list(vectors) == ["spk0-utt1", "spk3-utt0", "spk3-utt1"]
    for key, vector in vectors.items():
        np.testing.assert_allclose(vector, whole[key], atol=1e-5)
    assert (tmp_path / "x" / "num_utts.ark").read_text() == "spk0 1\nspk3 2\n"
    # It fails again, until the recordings are mended.
    with pytest.raises(DataError, match="5 of 8"):
        embed_data_dir(model_dir, data, tmp_path / "x", batch_seconds=2)


def test_where_nothing_succeeds_nothing_is_written(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=1, utterances=2, sample_rate=16000, seconds=0.3)
    with pytest.raises(
        DataError, match=r"2 of 2 recordings failed, none is done:(.|\n)*is at 16000 Hz, the model at 8000"
    ):
        embed_data_dir(model_dir, data, tmp_path / "x", resample=False)
    assert sorted(contents(tmp_path / "x", tmp_path)) == ["failed"]
    embed_data_dir(model_dir, data, tmp_path / "x")
    assert not (tmp_path / "x" / "failed").exists()


def test_recordings_of_another_rate_are_resampled(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(speakers=1, utterances=1, sample_rate=22050, seconds=0.6)
    embed_data_dir(model_dir, data, tmp_path / "x")
    samples, rate = soundfile.read(data / "wav" / "spk0-utt0.wav", dtype="float32")
    output = run(load_model(model_dir), [dsp.resample(samples, rate, 8000)], 5000)[0]
    (vector,) = dict(kaldiio.load_scp(str(tmp_path / "x" / "xvector.scp"))).values()
    np.testing.assert_allclose(vector, output.vectors[energies(output).argmax()], atol=1e-5)


@pytest.mark.parametrize("samples", [1, 127, 128])
def test_shorter_than_a_window_is_filled_up_with_zeros(model_dir, make_data_dir, tmp_path, capsys, samples):
    data = make_data_dir(speakers=1, utterances=2, seconds=0.3)
    short = np.random.default_rng(0).uniform(0.1, 0.2, samples) * np.resize([1, -1], samples)
    soundfile.write(data / "wav" / "spk0-utt0.wav", short, 8000)
    if samples == 1:  # one sample is constant
        with pytest.raises(DataError, match="1 of 2 recordings failed"):
            embed_data_dir(model_dir, data, tmp_path / "x")
    else:
        embed_data_dir(model_dir, data, tmp_path / "x")
        vector = dict(kaldiio.load_scp(str(tmp_path / "x" / "xvector.scp")))["spk0-utt0"]
        np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)
    assert ("shorter than one window (16 ms)" in capsys.readouterr().err) == (samples < 128)


@pytest.mark.parametrize(
    "options", [{"active_db": -1.0}, {"active_db": float("nan")}, {"batch_seconds": 0.0}, {"device": "tpu"}]
)
def test_impossible_settings(model_dir, make_data_dir, tmp_path, options):
    with pytest.raises(ConfigError):
        embed_data_dir(model_dir, make_data_dir(seconds=0.3), tmp_path / "x", **options)


def test_bad_places_are_named(model_dir, make_data_dir, tmp_path):
    data = make_data_dir(seconds=0.3)
    (tmp_path / "file").write_text("")
    with pytest.raises(CscError, match="file/x: cannot be written"):
        embed_data_dir(model_dir, data, tmp_path / "file" / "x")
    with pytest.raises(CscError, match="a,b: Kaldi's names of tables divide at commas"):
        embed_data_dir(model_dir, data, tmp_path / "a,b")
    with pytest.raises(CscError, match=r"model\.safetensors: not found|config\.yaml: not found"):
        embed_data_dir(data, data, tmp_path / "x")
