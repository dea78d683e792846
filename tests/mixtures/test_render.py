"""Rendering against a slow float64 renderer written from the description, and the laws that mixtures obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from csc_cli.errors import AudioError, CscError, DataError
from csc_cli.kaldi.datadir import Utterance
from csc_cli.mixtures.manifest import Channel, Mixture, Noise, Source
from csc_cli.mixtures.plan import MixtureConfig, plan_mixture
from csc_cli.mixtures.render import render
from csc_cli.mixtures.store import AudioStore
from tests.mixtures.slow import slow_filter, slow_level_db

RATE = 8000
EQ = Channel((5.0, -8.0, 2.0, 9.0, -3.0), 120.0, 3300.0)


def slow_source(mixture: Mixture, source: Source, recording: str) -> np.ndarray:
    samples, _ = soundfile.read(recording)
    placed = np.zeros(mixture.length)
    cut = slow_filter(samples[source.start : source.start + source.length], source.channel)
    placed[source.onset : source.onset + source.length] = cut
    return placed * 10 ** ((source.level_db - slow_level_db(placed)) / 20)


def test_equals_the_slow_renderer(data):
    one = Source("a-u2", "a", 2400, 9000, 1003, -27.0, EQ)
    two = Source("b-u4", "b", 5000, 15001, 0, -33.5)
    mixture = Mixture("m", RATE, 15001, (one, two))
    rendered = render(mixture, AudioStore(data, RATE))
    for source, found in zip(mixture.sources, rendered.sources):
        expected = slow_source(mixture, source, data.by_id[source.utterance].recording)
        assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


def random_mixtures(data, count=12, **settings):
    config = replace(MixtureConfig(), **settings)
    store = AudioStore(data, RATE)
    for index in range(count):
        rng = np.random.default_rng(index)
        talkers = rng.permutation(len(data.utterances))[: 1 + index % 3]
        yield plan_mixture(f"m{index}", [data.utterances[i] for i in talkers], config, rng, store), store


@pytest.mark.parametrize("crop_s", [0.7, 2.5, None])
def test_sum_levels_ratios_and_extents_are_the_plan_s(data, crop_s):
    for mixture, store in random_mixtures(data, crop_s=crop_s):
        rendered = render(mixture, store)
        assert all(samples.dtype == np.float32 for samples in rendered)
        total = rendered.sources.astype(np.float64).sum(axis=0) + rendered.noise
        assert np.abs(rendered.mixture - total).max() <= 4e-7 * max(1, np.abs(total).max())
        for source, samples in zip(mixture.sources, rendered.sources):
            assert slow_level_db(samples) == pytest.approx(source.level_db, abs=0.001)
            heard = np.flatnonzero(samples)
            assert source.onset <= heard[0]
            assert heard[-1] < source.onset + source.length
            assert heard[-1] - heard[0] + 1 >= source.length - 2
        if mixture.noise is None:
            assert not rendered.noise.any()
        else:
            level = 10 * np.log10(np.mean(np.float64(rendered.noise) ** 2))
            assert level == pytest.approx(mixture.noise.level_db, abs=0.001)


def test_a_function_of_plan_and_audio_alone(data):
    mixtures = list(random_mixtures(data))
    first = [render(mixture, store) for mixture, store in mixtures]
    for (mixture, _), before in reversed(list(zip(mixtures, first))):
        again = render(mixture, AudioStore(data, RATE, max_bytes=1))
        assert all(np.array_equal(one, two) for one, two in zip(before, again))


def test_sources_do_not_touch_each_other_nor_the_store(data):
    store = AudioStore(data, RATE)
    one, two = (Source(f"{name}-u3", name, 2000, 16000, 0, -26.0, EQ) for name in "ab")
    kept = store.samples("a-u3").copy()
    both = render(Mixture("m", RATE, 16000, (one, two)), store)
    alone = render(Mixture("m", RATE, 16000, (one,)), store)
    assert np.array_equal(both.sources[0], alone.sources[0])
    assert np.array_equal(store.samples("a-u3"), kept)
    alone.mixture[:] = 9
    assert not (alone.sources == 9).any()


def test_the_whole_recording_s_channel_acts_on_all(data):
    source = Source("a-u3", "a", 2000, 16000, 0, -26.0)
    noise = Noise("white", -40.0, 5)
    store = AudioStore(data, RATE)
    whole = render(Mixture("m", RATE, 16000, (source,), noise, EQ), store)
    own = render(Mixture("m", RATE, 16000, (replace(source, channel=EQ),), noise), store)
    assert np.allclose(whole.sources, own.sources, atol=1e-6)
    power = np.abs(np.fft.rfft(whole.noise)) ** 2
    hz = np.fft.rfftfreq(16000, 1 / RATE)
    assert power[hz > 3700].mean() < 0.5 * power[(hz > 1200) & (hz < 1700)].mean()


def test_noise_alone_and_loud_mixtures(data):
    rendered = render(Mixture("m", RATE, 999, (), Noise("pink", -30.0, 1)), AudioStore(data, RATE))
    assert rendered.sources.shape == (0, 999)
    assert np.array_equal(rendered.mixture, rendered.noise)
    loud = render(Mixture("m", RATE, 9000, (Source("a-u3", "a", 2000, 9000, 0, 10.0),)), AudioStore(data, RATE))
    assert np.abs(loud.mixture).max() > 3  # nothing is clipped


def test_speed_shortens_and_raises(data):
    store = AudioStore(data, RATE)
    slow, fast = store.samples("a-u4"), store.samples("a-u4", 1.25)
    assert fast.size == pytest.approx(slow.size / 1.25, abs=1)
    peak = [np.abs(np.fft.rfft(samples)).argmax() * RATE / samples.size for samples in (slow, fast)]
    assert peak[1] == pytest.approx(1.25 * peak[0], rel=0.02)
    source = Source("a-u4", "a", 1000, fast.size - 1000, 0, -26.0, None, 1.25)
    rendered = render(Mixture("m", RATE, source.length, (source,)), store)
    ratio = rendered.mixture / fast[1000:]
    assert np.ptp(ratio[np.abs(fast[1000:]) > 0.01]) < 1e-3 * ratio.mean()


def mixture_of(utterance: str, length: int = 8000) -> Mixture:
    return Mixture("m7", RATE, length, (Source(utterance, "a", 0, length, 0, -26.0),))


def test_bad_sources_are_named(data, tmp_path):
    def written(name: str, samples: np.ndarray) -> Utterance:
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
        return Utterance(name, "a", str(tmp_path / f"{name}.wav"))

    zeros, nan = np.zeros(9000, np.float32), np.full(9000, np.nan, np.float32)
    gone = written("gone", zeros)
    (tmp_path / "gone.wav").unlink()
    store = AudioStore([written("zeros", zeros), written("nan", nan), gone, *data.utterances], RATE)
    for utterance, says in [
        ("zeros", "silent"),
        ("nan", "not finite"),
        ("gone", "cannot be read"),
        ("stranger", "no utterance 'stranger'"),
    ]:
        with pytest.raises(CscError, match="m7.*" + utterance) as error:
            render(mixture_of(utterance), store)
        assert says in str(error.value)
    with pytest.raises(AudioError, match=r"m7.*'a-u0' has 12000 samples.*12001"):
        render(mixture_of("a-u0", 12001), store)
    with pytest.raises(AudioError, match="'a-u0' is silent in samples 0 to 100"):
        quiet = np.zeros(9000, np.float32)
        quiet[5000:] = 0.1
        render(mixture_of("a-u0", 100), AudioStore([replace(written("half", quiet), id="a-u0")], RATE))
    with pytest.raises(DataError, match="16000 Hz"):
        render(mixture_of("a-u0"), AudioStore(data, 16000))
