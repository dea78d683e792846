"""Audio in memory: decoded once, at one rate, within its limit."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from csc_cli.errors import AudioError
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.kaldi.tables import write_int_vectors
from csc_cli.kaldi.vad_files import VadTable
from csc_cli.mixtures import store as store_module
from csc_cli.mixtures.store import AudioStore


@pytest.fixture
def reads(monkeypatch):
    """The utterances that were decoded, in order."""
    seen = []

    def counted(utterance, rate):
        seen.append(utterance.id)
        return read_audio(utterance, rate)

    monkeypatch.setattr(store_module, "read_audio", counted)
    return seen


def test_decodes_once(data, reads):
    store = AudioStore(data, 8000)
    for _ in range(3):
        for utterance in data.utterances:
            assert np.array_equal(store.samples(utterance.id), read_audio(utterance, 8000)[0])
            store.active_range(utterance.id)
    assert reads == [utterance.id for utterance in data.utterances]


def test_the_least_recently_used_goes_first(data, reads):
    sizes = {id: 4 * AudioStore(data, 8000).samples(id).size for id in ("a-u0", "a-u1", "a-u2")}
    reads.clear()
    store = AudioStore(data, 8000, max_bytes=sizes["a-u1"] + sizes["a-u2"])
    for id in ("a-u0", "a-u1", "a-u0", "a-u2", "a-u0", "a-u1"):
        store.samples(id)
    assert reads == ["a-u0", "a-u1", "a-u2", "a-u1"]


def test_activity_outlives_the_audio(data, reads):
    store = AudioStore(data, 8000, max_bytes=1)
    first = [store.active_range(utterance.id) for utterance in data.utterances]
    reads.clear()
    assert [store.active_range(utterance.id) for utterance in data.utterances] == first
    assert reads == []


def test_the_range_leaves_out_the_silence_at_the_ends(data):
    store = AudioStore(data, 8000)
    for utterance in data.utterances:
        start, end = store.active_range(utterance.id)
        size = store.samples(utterance.id).size
        assert 0.1 * 8000 <= start < 0.6 * 8000  # the voice begins at 0.2 s with a syllable or a pause
        assert size - 0.7 * 8000 < end <= size - 0.2 * 8000


def test_the_range_ends_with_the_recording(tmp_path):
    soundfile.write(tmp_path / "x.wav", 0.1 * np.random.default_rng(0).standard_normal(8037), 8000)
    store = AudioStore([Utterance("x", "s", str(tmp_path / "x.wav"))], 8000)
    assert store.active_range("x") == (0, 8037)


def test_other_rates_are_resampled(data_of):
    data = data_of({"a": [1.0]}, rate=16000)
    assert AudioStore(data, 8000).samples("a-u0").size == 8000


def test_silence_is_named(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), 8000)
    with pytest.raises(AudioError, match="'x' is silent"):
        AudioStore([Utterance("x", "s", str(tmp_path / "x.wav"))], 8000).active_range("x")


def test_samples_cannot_be_changed(data):
    with pytest.raises(ValueError, match="read-only"):
        AudioStore(data, 8000).samples("a-u0")[0] = 1


@pytest.mark.parametrize("speed", [1.0, 1.25])
def test_a_table_of_decisions_says_where_speech_is(data_of, speed):
    data = data_of({"a": [1.5, 2.0], "b": [3.0]})
    marked = np.zeros(500, bool)
    marked[30:70] = marked[90:120] = True
    counts = {
        utterance.id: round(AudioStore(data, 8000).samples(utterance.id).size / 80) for utterance in data.utterances
    }
    write_int_vectors(
        f"ark,scp:{data.path}/vad.ark,{data.path}/vad.scp", {key: marked[:count] for key, count in counts.items()}
    )
    loaded = DataDir.load(data.path)
    for rate in (8000, 16000):
        store = AudioStore(loaded, rate, vad=VadTable.of(loaded))
        for key in counts:
            speech = store.speech(key, speed)
            assert len(speech) == -(-store.samples(key, speed).size // (rate // 100))
            places = np.arange(len(speech)) + 0.5
            expected = ((places * speed > 30) & (places * speed < 70)) | (
                (places * speed > 90) & (places * speed < 120)
            )
            assert np.array_equal(speech, expected & (places * speed < counts[key]))
    write_int_vectors(
        f"ark,scp:{data.path}/vad.ark,{data.path}/vad.scp", {key: np.zeros(n, int) for key, n in counts.items()}
    )
    store = AudioStore(loaded, 8000, vad=VadTable.of(DataDir.load(data.path)))
    with pytest.raises(AudioError, match=r"is silent: .*vad.scp has no voiced frame of it"):
        store.speech(next(iter(counts)))
