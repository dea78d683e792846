"""Long recordings, with a crafted network that swaps its streams from window to window."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from csc_cli import dsp
from csc_cli.errors import AudioError
from csc_cli.extraction.batches import HOP_S, WINDOW_S
from csc_cli.extraction.embed import embed_long
from csc_cli.extraction.long import process_windows
from csc_cli.extraction.recordings import Recording, piece_reader, probe
from csc_cli.extraction.separate import separate_long
from csc_cli.kaldi.audio import read_audio
from csc_cli.kaldi.datadir import Utterance

RATE = 8000
SPLIT_HZ = 1000
LOW_HZ, HIGH_HZ = 300.0, 2100.0


class BandSplitter(torch.nn.Module):
    """Stream by band, below and above SPLIT_HZ, in an order that depends on the samples; a vector a band."""

    def __init__(self):
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.config = SimpleNamespace(sample_rate=RATE)
        self.swapped = []

    def forward(self, mixture, lengths):
        spectrum = torch.fft.rfft(mixture)
        low = torch.arange(spectrum.shape[1]) < SPLIT_HZ * mixture.shape[1] / RATE
        bands = torch.stack([torch.fft.irfft(spectrum * keep, n=mixture.shape[1]) for keep in (low, ~low)], 1)
        vectors = torch.eye(2).expand(len(mixture), 2, 2).clone()
        # A late digit of the energy: as good as a coin.
        swap = [int(float(row.square().sum()) * 10) % 2 == 1 for row in mixture]
        self.swapped += swap
        for row in np.flatnonzero(swap):
            bands[row], vectors[row] = bands[row].flip(0), vectors[row].flip(0)
        segments = vectors[:, :, None].expand(-1, -1, 3, -1)
        mask = torch.ones(len(mixture), 3, dtype=torch.bool)
        return SimpleNamespace(
            separated=bands, noise=torch.zeros_like(mixture), segments=segments, segment_mask=mask, query=vectors
        )

    def embed(self, query, segments, mask):
        return segments.mean(-2)


def two_tones(seconds: float, sample_rate: int) -> np.ndarray:
    time_s = np.arange(round(seconds * sample_rate)) / sample_rate
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.037 * time_s)
    tones = [np.sin(2 * np.pi * f * time_s) for f in (LOW_HZ, HIGH_HZ)]
    return np.stack([0.3 * swell * tones[0], 0.3 * (1 - 0.7 * swell) * tones[1]])


@pytest.fixture
def make_recording(tmp_path):
    def make(samples: np.ndarray, sample_rate: int) -> Recording:
        path = tmp_path / "long.wav"
        soundfile.write(path, samples, sample_rate, subtype="FLOAT")
        found = probe(Utterance("u", "s", str(path)), RATE)
        assert isinstance(found, Recording)
        return found

    return make


@pytest.mark.parametrize("sample_rate, seconds", [(8000, 131.0004), (16000, 70.5), (11025, 65.3)])
def test_streams_of_the_same_length_in_one_order(make_recording, sample_rate, seconds):
    tones = two_tones(seconds, sample_rate)
    recording = make_recording(tones.sum(0), sample_rate)
    model = BandSplitter()
    separated = np.concatenate(list(separate_long(model, recording, 60)), 1)
    assert separated.shape == tones.shape
    assert 0 < sum(model.swapped) < len(model.swapped), "the network must have swapped some windows"
    order = np.abs(tones @ separated.T).argmax(1)
    middle = slice(sample_rate // 10, -sample_rate // 10)  # a brick wall rings at the ends of the recording
    error = np.square(separated[order] - tones)[:, middle].sum(1) / np.square(tones)[:, middle].sum(1)
    assert (10 * np.log10(error) < -30).all(), error


def test_one_vector_a_talker_whatever_the_batches(make_recording):
    tones = two_tones(93.7, 16000)
    recording = make_recording(tones.sum(0), 16000)
    results = [embed_long(BandSplitter(), recording, seconds) for seconds in (1.0, 60.0, 1000.0)]
    for result in results:
        vectors = result.vectors if result.vectors[0, 0] > 0.5 else result.vectors[::-1]
        np.testing.assert_allclose(vectors, np.eye(2), atol=1e-6)  # never a mean of both talkers
        expected = 10 * np.log10(np.square(tones).sum(1) / np.square(tones.sum(0)).sum())
        energy_db = result.activity.energy_db if vectors is result.vectors else result.activity.energy_db[::-1]
        np.testing.assert_allclose(energy_db, expected, atol=0.05)
        np.testing.assert_array_equal(result.vectors, results[0].vectors)


def test_a_silent_window_gives_no_segments_and_breaks_nothing(make_recording):
    samples = two_tones(90, RATE).sum(0)
    samples[40 * RATE : 65 * RATE] = 0
    windows = list(process_windows(BandSplitter(), make_recording(samples, RATE), 60))
    assert [window.segments.shape[1] for window in windows] == [0 if i == 4 else 3 for i in range(8)]
    assert WINDOW_S == 2 * HOP_S == 20  # window 4 lies in the silence


def test_silence_and_truncation_are_named(make_recording, tmp_path):
    recording = make_recording(np.full(80 * RATE, 0.25), RATE)
    with pytest.raises(AudioError, match=r"long.wav: is silent: all 640000 samples are 0.25; leave it out"):
        list(process_windows(BandSplitter(), recording, 60))
    path = tmp_path / "cut.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 80 * RATE), RATE)
    recording = probe(Utterance("u", "s", str(path)), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut.flac"):
        list(process_windows(BandSplitter(), recording, 60))


@pytest.mark.parametrize("kind", ["file", "segment", "pipe"])
def test_pieces_are_those_of_the_whole(tmp_path, kind):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (5000, 2)), 11025)
    utterance = {
        "file": Utterance("u", "s", str(path), channel=1),
        "segment": Utterance("u", "s", str(path), 0.1003, 0.4001, channel=1),
        "pipe": Utterance("u", "s", f"cat {path} |", channel=1),
    }[kind]
    whole, _ = read_audio(utterance)
    recording = probe(utterance, RATE)
    assert recording.samples == len(whole) and recording.length(RATE) == len(dsp.resample(whole, 11025, RATE))
    read = piece_reader(recording)
    for start, stop in ((0, 7), (1000, 2501), (len(whole) - 1, len(whole)), (0, len(whole))):
        np.testing.assert_array_equal(read(start, stop), whole[start:stop])
