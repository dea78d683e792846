"""Audio in memory: decoded once, at one rate, within its limit."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from csc_cli.errors import AudioError, DataError
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

    def counted(utterance, rate, **more):
        seen.append(utterance.id)
        return read_audio(utterance, rate, **more)

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


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "pipe", "segment", "channel", "rate", "speed"])
def test_a_part_is_cut_from_the_whole(tmp_path, kind, seen):
    """Whatever is read for it: a range where that gives the same samples, else the whole recording."""
    samples = 0.3 * np.random.default_rng(3).standard_normal((16000, 2 if kind == "channel" else 1))
    path = tmp_path / f"a.{kind if kind in ('flac', 'ogg') else 'wav'}"
    soundfile.write(path, samples, 16000 if kind == "rate" else 8000)
    recording = f"cat {path} |" if kind == "pipe" else str(path)
    segment = (0.3, 1.7) if kind == "segment" else (0.0, None)
    utterance = Utterance("u", "s", recording, *segment, channel=int(kind == "channel"), recording_id="r")
    speed = 1.1 if kind == "speed" else 1.0
    whole = AudioStore([utterance], 8000).samples("u", speed)
    store = AudioStore([utterance], 8000)
    if seen:
        store.samples("u", speed)
    for start, end in [(0, 100), (5000, 7000), (0, whole.size), (6900, whole.size + 50), (whole.size + 9, 10**6)]:
        part = store.part("u", start, end, speed)
        assert np.array_equal(part, whole[start:end])
        assert np.array_equal(store.part("u", start, end, speed), part)


def test_parts_do_not_drive_out_whole_utterances(data, reads):
    one, other = data.utterances[:2]
    store = AudioStore(data, 8000, max_bytes=1)
    store.speech(one.id)
    store.samples(other.id)  # drives out the first
    store.part(one.id, 0, 800)
    store.samples(other.id)
    assert reads == [one.id, other.id]
    store.part(one.id, 0, 8000 * 9)  # nearly all of it: kept whole
    store.samples(one.id)
    assert reads == [one.id, other.id, one.id]


def test_a_part_does_not_read_the_rest(tmp_path):
    samples = 0.3 * np.random.default_rng(3).standard_normal(80000)
    samples[70000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    store = AudioStore([Utterance("u", "s", str(tmp_path / "a.wav"))], 8000)
    assert store.part("u", 1000, 3000).size == 2000
    with pytest.raises(AudioError, match="not finite"):
        store.part("u", 69000, 71000)
    with pytest.raises(DataError, match="no utterance 'v'"):
        store.part("v", 0, 1)
