"""The weights behind a speaker's vector, against the formula, the extraction, and what is truly spoken."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from csc_cli.errors import ConfigError, DataError
from csc_cli.extraction.activity import heard
from csc_cli.extraction.attention import attend_data_dir, envelopes, recording_shares
from csc_cli.extraction.embed import embed_data_dir
from csc_cli.extraction.network import attend, read_out
from csc_cli.extraction.talkers import Talkers
from csc_cli.kaldi.tables import read_vectors
from csc_cli.nn.chunks import split
from csc_cli.nn.encoder import EncoderConfig, segment_spans
from csc_cli.nn.filterbank import FilterbankConfig, make_filterbank
from csc_cli.nn.galr import GalrConfig
from csc_cli.nn.model import load_model

RATE = 8000


@pytest.mark.parametrize("hop", [5, 10], ids=["overlapping", "side by side"])
@pytest.mark.parametrize("window", [32, 64])
def test_spans_are_the_samples_of_a_segment(hop, window):
    """The number of each sample, sent through framing and chunking, shows which ones a segment holds."""
    config = EncoderConfig(
        2, FilterbankConfig("stft", window, 32 if window > 32 else 16), GalrConfig(chunk=10, chunk_hop=hop)
    )
    bank = make_filterbank(config.filterbank)
    numbers = torch.arange(1.0, 1 + 1999)[None]  # 0 stands for what is not there
    segments = split(bank.frames(numbers), 10, hop)[0].flatten(1)  # (S, K window)
    for (start, end), held in zip(segment_spans(config, len(segments)), segments, strict=True):
        held = held[held > 0] - 1
        assert (max(start, 0), min(end, 1999)) == (held.min(), held.max() + 1)


def test_weights_are_the_softmax_of_the_readout(make_model_dir):
    model = load_model(make_model_dir())
    segments = np.random.default_rng(0).standard_normal((7, 16)).astype(np.float32)
    vector, weights = attend(model, segments)
    readout = {name: p.detach().double().numpy() for name, p in model.readout.named_parameters()}
    query = segments.astype(np.float64).mean(0) @ readout["query.weight"].T + readout["query.bias"]
    keys = segments @ readout["key.weight"].T + readout["key.bias"]
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        scores = np.exp(keys[:, part] @ query[part] / np.sqrt(8))
        assert weights[head] == pytest.approx(scores / scores.sum(), abs=1e-6)
    assert np.array_equal(vector, read_out(model, segments))


def arrays_of(path):
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_the_vector_is_that_of_enrollment_by_attention(make_model_dir, make_data_dir, tmp_path):
    model, data = make_model_dir(), make_data_dir(speakers=2, utterances=3)
    drawn = []
    attend_data_dir(model, data, tmp_path / "out", draw=lambda *paths: drawn.append(paths))
    embed_data_dir(model, data, tmp_path / "vectors", enroll="attention")
    vectors = dict(read_vectors(f"scp:{tmp_path / 'vectors' / 'spk_xvector.scp'}"))
    assert [tuple(path.name for path in paths) for paths in drawn] == [(f"spk{n}.npz", f"spk{n}.png") for n in (0, 1)]
    for speaker, vector in vectors.items():
        arrays = arrays_of(tmp_path / "out" / f"{speaker}.npz")
        assert arrays["vector"] == pytest.approx(vector, abs=1e-5)
        assert arrays["utterances"].tolist() == [f"{speaker}-utt{n}" for n in range(3)]
        total = arrays["counts"].sum()
        assert arrays["speaker_weights"].shape == arrays["own_weights"].shape == (2, total)
        assert arrays["speaker_weights"].sum(1) == pytest.approx(1, abs=1e-5)
        own = np.split(arrays["own_weights"], np.cumsum(arrays["counts"])[:-1], axis=1)
        assert all(part.sum(1) == pytest.approx(1, abs=1e-5) for part in own)
        assert arrays["spans_s"].shape == (total, 2) and arrays["seconds"] == pytest.approx(1.0)


def make_mixtures(path, *, talkers=2):
    """Mixtures of noise bursts, as csc trials writes them: m1 of a and b, m2 of b and a, m3 of a alone."""
    rng = np.random.default_rng(1)
    tables = {name: [] for name in ("wav.scp", "utt2spk", "utt2spks", "utt2cond", "spk1.scp", "spk2.scp")}
    for id, names in (("m1", "a b"), ("m2", "b a"), ("m3", "a")):
        sources = []
        for place, name in enumerate(names.split()):
            samples = np.zeros(RATE)
            start = 0 if name == "a" else RATE // 2
            samples[start : start + RATE // 2] = rng.normal(0, 0.1, RATE // 2)
            sources.append(samples)
            soundfile.write(path / f"{id}-{place}.wav", samples, RATE, subtype="FLOAT")
            tables[f"spk{place + 1}.scp"].append(f"{id} {path}/{id}-{place}.wav")
        soundfile.write(path / f"{id}.wav", sum(sources), RATE, subtype="FLOAT")
        tables["wav.scp"].append(f"{id} {path}/{id}.wav")
        tables["utt2spk"].append(f"{id} {id}")
        tables["utt2spks"].append(f"{id} {names}")
        tables["utt2cond"].append(f"{id} {'clean' if id == 'm3' else 'mixed'}")
    for name, lines in tables.items():
        (path / name).write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture
def mixtures(tmp_path):
    (tmp_path / "mixtures").mkdir()
    return make_mixtures(tmp_path / "mixtures")


def test_a_talker_of_mixtures_is_followed_through_them(make_model_dir, mixtures, tmp_path):
    summary = attend_data_dir(make_model_dir(), mixtures, tmp_path / "out", draw=lambda *_: None)
    arrays = arrays_of(tmp_path / "out" / "a.npz")
    assert arrays["utterances"].tolist() == ["m1", "m2", "m3"] and summary.startswith("a: m1 ")
    assert arrays["conditions"].tolist() == ["mixed", "mixed", "clean"]
    for place, names in enumerate((["a", "b"], ["b", "a"], ["a"])):
        assert arrays[f"talkers_{place}"].tolist() == names
        assert arrays[f"talker_of_stream_{place}"][arrays["streams"][place]] == names.index("a")
        active = dict(zip(names, arrays[f"active_{place}"], strict=True))
        assert active["a"].tolist() == [True] * 25 + [False] * 25
        assert "b" not in names or active["b"].tolist() == [False] * 25 + [True] * 25
    # b is the first talker of m2, so that comes first where there is no place for both.
    attend_data_dir(make_model_dir("other"), mixtures, tmp_path / "one", recordings=1, draw=lambda *_: None)
    assert arrays_of(tmp_path / "one" / "b.npz")["utterances"].tolist() == ["m2"]


def test_streams_are_matched_one_to_one():
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((3, 4000))
    talkers = Talkers(("x", "y", "z"), sources)
    streams = np.stack([-0.2 * sources[2] + 0.05 * sources[0], 3 * sources[0], sources[1] + sources[2]])
    assert talkers.match(streams).tolist() == [2, 0, 1]
    assert [talkers.stream_of(name, streams) for name in "xyz"] == [1, 2, 0]
    # Two streams for three talkers: z is nobody's match, and most of it is in the second.
    assert talkers.match(streams[1:]).tolist() in ([0, 1], [0, 2])
    assert [talkers.stream_of(name, streams[1:]) for name in "xyz"] == [0, 1, 1]
    unknown = Talkers((), np.zeros((0, 4000)))
    assert unknown.match(streams).tolist() == [-1] * 3 and unknown.stream_of("x", streams) == 1


def test_shares_and_envelopes_by_hand():
    weights = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.5, 0.0]])
    assert recording_shares(weights, np.array([1, 3])) == pytest.approx([0.05, 0.95])
    assert recording_shares(weights, np.array([3, 1])) == pytest.approx([0.8, 0.2])
    signal = np.array([[1.0] * 40 + [-2.0, 3.0] + [0.5] * 10])  # pieces of 40 samples at 8 kHz
    assert envelopes(signal, RATE).tolist() == [[[1, 1], [-2, 3]]]


def test_heard_is_of_each_signal_itself():
    energies = np.array([[1.0, 1.0, 1e-2, 1e-4], [1e-6, 1e-8, 1e-10, 1e-6]])
    assert heard(energies).tolist() == [[True, True, True, False], [True, True, False, True]]


def test_what_cannot_be_shown_is_named(make_model_dir, make_data_dir, mixtures, tmp_path):
    model, out = make_model_dir(), tmp_path / "out"
    with pytest.raises(DataError, match=r"has no speaker 'c'; known: a, b"):
        attend_data_dir(model, mixtures, out, speakers=["c"], draw=lambda *_: None)
    soundfile.write(mixtures / "m1-0.wav", np.ones(100), RATE)
    with pytest.raises(DataError, match=r"1 of 3 recordings failed.*\n.*m1-0.wav: has 100 samples .*its mixture 8000"):
        attend_data_dir(model, mixtures, out, speakers=["a"], draw=lambda *_: None)
    assert arrays_of(out / "a.npz")["utterances"].tolist() == ["m2", "m3"]
    long = make_data_dir("long", speakers=1, utterances=1, seconds=61)
    with pytest.raises(DataError, match=r"spk0-utt0.*longer than 60 s.*cut it with segments"):
        attend_data_dir(model, long, out, draw=lambda *_: None)
    assert not (out / "spk0.npz").exists()


def test_an_embedder_has_no_attention_to_show(make_data_dir, tmp_path):
    from csc_cli import config
    from csc_cli.nn.baselines.embedder import EmbedderConfig
    from csc_cli.nn.model import ModelConfig, new_model, save_model

    settings = ModelConfig(RATE, None, embedder=EmbedderConfig("xvector", channels=16, embedding=8))
    text = "model:\n" + "".join(f"  {line}\n" for line in config.dumps(settings).splitlines())
    save_model(new_model(settings, 0), tmp_path / "model", text)
    with pytest.raises(ConfigError, match="an embedder makes its vectors"):
        attend_data_dir(tmp_path / "model", make_data_dir(), tmp_path / "out", draw=lambda *_: None)
