"""Plans keep what the settings promise, whatever is drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from csc_cli.errors import AudioError, ConfigError
from csc_cli.mixtures.manifest import to_line
from csc_cli.mixtures.plan import MixtureConfig, draw_channel, draw_crop, plan_mixture
from csc_cli.mixtures.settings import BandLimitConfig, EqualiserConfig, NoiseConfig
from csc_cli.mixtures.store import AudioStore

RATE = 8000


@pytest.fixture(scope="module")
def store(data):
    return AudioStore(data, RATE)


def plans(data, store, count=60, talkers=2, length=None, **settings):
    config = replace(MixtureConfig(), **settings)
    for index in range(count):
        rng = np.random.default_rng(index)
        chosen = [data.utterances[i] for i in rng.permutation(len(data.utterances))[:talkers]]
        yield plan_mixture(f"m{index}", chosen, config, rng, store, length)


def extents(mixture):
    return [(source.onset, source.onset + source.length) for source in mixture.sources]


def overlap(mixture):
    """Common samples of two talkers' stretches over the shorter stretch."""
    (a, b), (c, d) = extents(mixture)
    return max(0, min(b, d) - max(a, c)) / min(b - a, d - c)


def test_drawn_values_fill_their_ranges_and_no_more(data, store):
    sir, level, snr = [], [], []
    for mixture in plans(data, store, 200, sir_db=(-3.0, 6.0), level_db=(-40.0, -20.0)):
        one, two = mixture.sources
        sir.append(one.level_db - two.level_db)
        level.append(one.level_db)
        if mixture.noise:
            snr.append(one.level_db - mixture.noise.level_db)
    for values, (low, high) in ((sir, (-3, 6)), (level, (-40, -20)), (snr, (10, 30))):
        assert min(values) == pytest.approx(low, abs=0.1 * (high - low))
        assert max(values) == pytest.approx(high, abs=0.1 * (high - low))
        assert low - 1e-6 <= min(values) <= max(values) <= high + 1e-6
    assert 70 <= len(snr) <= 130


def test_probabilities_of_0_and_1_are_kept(data, store):
    never = {"noise": NoiseConfig(0.0), "equaliser": EqualiserConfig(0.0), "band_limit": BandLimitConfig(0.0)}
    for mixture in plans(data, store, **never):
        assert mixture.noise is None
        assert all(source.channel is None for source in mixture.sources)
    for mixture in plans(data, store, noise=NoiseConfig(1.0, kinds=("pink",))):
        assert mixture.noise.kind == "pink"
        assert all(len(source.channel.equaliser_db) == 8 for source in mixture.sources)
        assert mixture.sources[0].channel != mixture.sources[1].channel


def test_channels_keep_to_their_settings():
    config = MixtureConfig(equaliser=EqualiserConfig(0.5, 6.0, 5), band_limit=BandLimitConfig(0.5))
    rng = np.random.default_rng(0)
    drawn = [draw_channel(rng, config) for _ in range(2000)]
    assert 400 <= sum(channel is None for channel in drawn) <= 600
    some = [channel for channel in drawn if channel is not None]
    gains = np.array([channel.equaliser_db for channel in some if channel.equaliser_db])
    assert gains.shape[1] == 5
    assert 5.5 < np.abs(gains).max() <= 6
    limited = [channel for channel in some if channel.low_hz > 0]
    assert len(limited) < len(some)
    assert all(50 <= channel.low_hz <= 300 and 3000 <= channel.high_hz <= 4000 for channel in limited)


@pytest.mark.parametrize("talkers", [1, 2, 3])
def test_crops_are_full_of_speech(data, store, talkers):
    for mixture in plans(data, store, talkers=talkers, crop_s=1.2):
        assert mixture.length == 9600
        for source in mixture.sources:
            start, end = store.active_range(source.utterance)
            assert start <= source.start
            assert source.start + source.length <= end
            assert source.length == min(9600, end - start)
            active = np.repeat(store.speech(source.utterance), 80)[source.start : source.start + source.length]
            assert active.mean() >= 0.5


def test_a_crop_takes_the_most_active_where_half_is_not_to_be_had(tmp_path, data, store):
    class Sparse(AudioStore):
        def __init__(self):
            super().__init__((), RATE)

        def active_range(self, utterance, speed=1.0):
            return 0, 300 * 80

        def speech(self, utterance, speed=1.0):
            active = np.zeros(300, bool)
            active[[0, 299]] = True
            active[140:160] = True
            return active

    for seed in range(50):
        start, length = draw_crop("x", 100 * 80, np.random.default_rng(seed), Sparse())
        assert length == 8000
        assert start <= 140 * 80
        assert start + length >= 160 * 80


def test_short_utterances_stand_anywhere_in_a_crop(data, store):
    onsets = [plan.sources[0].onset for plan in plans(data, store, 100, talkers=1, length=32000)]
    short = [plan for plan in plans(data, store, 100, talkers=1, length=32000) if plan.sources[0].length < 10000]
    assert short
    assert max(onsets) > 16000
    assert 0 <= min(onsets) < 4000


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.75, 1.0])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_whole_utterances_overlap_by_the_ratio(data, store, ratio, mode):
    first = set()
    for mixture in plans(data, store, crop_s=None, mode=mode, overlap=(ratio, ratio)):
        shorter = min(source.length for source in mixture.sources)
        assert abs(overlap(mixture) - ratio) * shorter <= 0.5
        begins, ends = zip(*extents(mixture))
        assert min(begins) == 0
        assert max(ends) == mixture.length
        first.add(begins[0] == 0)
    assert first == {True, False} or (ratio == 1 and mode == "min")


def test_modes_cut_as_they_say(data, store):
    for mode in ("min", "max", "first"):
        for mixture in plans(data, store, talkers=3, crop_s=None, mode=mode):
            spans = [store.active_range(source.utterance) for source in mixture.sources]
            whole = [end - start for start, end in spans]
            limit = {"min": min(whole), "max": max(whole), "first": whole[0]}[mode]
            assert [source.length for source in mixture.sources] == [min(length, limit) for length in whole]
            assert mixture.length == limit


@pytest.mark.parametrize("ratio", [0.25, 0.6])
def test_crops_overlap_by_the_ratio(data, store, ratio):
    stretch = 6400 / (2 - ratio)
    full = 0
    for mixture in plans(data, store, crop_s=0.8, overlap=(ratio, ratio)):
        assert max(source.length for source in mixture.sources) <= stretch + 1
        if min(source.length for source in mixture.sources) >= stretch - 1:  # neither utterance is shorter
            full += 1
            assert overlap(mixture) == pytest.approx(ratio, abs=2e-3)
            assert sorted(extents(mixture))[0][0] == 0
            assert max(end for _, end in extents(mixture)) == 6400
    assert full > 20


def test_a_plan_is_its_generator_s(data, store):
    one, two = (list(map(to_line, plans(data, s, 20))) for s in (store, AudioStore(data, RATE, max_bytes=1)))
    assert one == two
    assert len(set(one)) == 20


def test_given_speeds_and_drawn_speeds(data, store):
    rng = np.random.default_rng(0)
    given = plan_mixture("m", data.utterances[:2], MixtureConfig(), rng, store, speeds=[0.8, 1.25])
    assert [source.speed for source in given.sources] == [0.8, 1.25]
    few = data.subset(["c-u0", "d-u0"])
    drawn = {s.speed for plan in plans(few, store, 12, speeds=(0.8, 1.0, 1.25)) for s in plan.sources}
    assert drawn == {0.8, 1.0, 1.25}


def test_noise_alone_has_a_length_or_is_refused(data, store):
    config = MixtureConfig(noise=NoiseConfig(1.0))
    alone = plan_mixture("m", [], config, np.random.default_rng(0), store)
    assert (alone.sources, alone.length) == ((), 20000)
    with pytest.raises(ConfigError, match="needs a fixed length"):
        plan_mixture("m", [], replace(config, crop_s=None), np.random.default_rng(0), store)


def test_bad_audio_names_the_mixture(data):
    gone = replace(data.utterances[0], recording="/nowhere/x.wav")
    with pytest.raises(AudioError, match=r"mixture 'm9': .*/nowhere/x.wav"):
        plan_mixture("m9", [gone], MixtureConfig(), np.random.default_rng(0), AudioStore([gone], RATE))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", 100),
        ("crop_s", 0.0),
        ("sir_db", (5.0, -5.0)),
        ("overlap", (0.5, 1.5)),
        ("overlap", (-0.5, 0.5)),
        ("level_db", (0.0, -1.0)),
        ("speeds", ()),
        ("speeds", (0.0,)),
    ],
)
def test_impossible_settings_are_named(key, value):
    with pytest.raises(ConfigError, match=key.removesuffix("_db")):
        MixtureConfig(**{key: value})


@pytest.mark.parametrize(
    ("block", "key", "value"),
    [
        (NoiseConfig, "probability", 1.5),
        (NoiseConfig, "snr_db", (3.0, 2.0)),
        (NoiseConfig, "kinds", ()),
        (EqualiserConfig, "max_db", -1.0),
        (EqualiserConfig, "bands", 1),
        (BandLimitConfig, "low_hz", (50.0, 3500.0)),
        (BandLimitConfig, "high_hz", (3500.0, 3000.0)),
    ],
)
def test_impossible_blocks_are_named(block, key, value):
    with pytest.raises(ConfigError, match=key):
        block(**{key: value})
