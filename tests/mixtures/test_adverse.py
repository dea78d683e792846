"""Noise, rooms, gaps, codecs, loudness: rendered as written down, measured as planned, each by a slow formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soundfile

from csc_cli.errors import CscError, DataError
from csc_cli.kaldi.datadir import DataDir, Utterance
from csc_cli.mixtures.codec import transmit
from csc_cli.mixtures.loudness import loudness_lufs
from csc_cli.mixtures.manifest import Channel, Clip, Mixture, Noise, Source, from_line, to_line
from csc_cli.mixtures.overlap import speech_overlap
from csc_cli.mixtures.plan import MixtureConfig, plan_mixture
from csc_cli.mixtures.render import render
from csc_cli.mixtures.settings import CodecConfig, GapConfig, LoudnessConfig, NoiseConfig, RoomConfig
from csc_cli.mixtures.store import AudioStore
from csc_cli.mixtures.surroundings import Surroundings
from tests.mixtures.slow import slow_active, slow_filter, slow_level_db

RATE = 8000
LEAD = 20  # 2.5 ms


def saved(folder, samples_by_speaker, subtype="FLOAT"):
    """A data directory of the given samples: {speaker: {id: samples}}."""
    (folder / "audio").mkdir(parents=True)
    utterances = []
    for speaker, parts in samples_by_speaker.items():
        for id, samples in parts.items():
            path = folder / "audio" / f"{id}.wav"
            soundfile.write(path, samples, RATE, subtype=subtype)
            utterances.append(Utterance(id, speaker, str(path)))
    data = DataDir(folder, tuple(sorted(utterances, key=lambda utterance: utterance.id)))
    data.save(folder)
    return data


def response(rng, delay=60, length=1600):
    """A direct sound, then a tail that dies away."""
    tail = rng.standard_normal(length) * np.exp(-np.arange(length) / 300) * 0.15
    samples = np.concatenate([np.zeros(delay), [1.0], tail])
    return samples.astype(np.float32)


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """Noises (one short, one longer than 30 s) and impulse responses of two rooms."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("around")
    noises = {"short": {"hum": rng.standard_normal(7000)}, "long": {"street": rng.standard_normal(31 * RATE)}}
    scaled = {kind: {id: 0.05 * x for id, x in parts.items()} for kind, parts in noises.items()}
    saved(folder / "noises", scaled, "PCM_16")
    halls = {f"hall{i}": {f"hall{i}-{j}": response(rng, 30 * j) for j in range(5)} for i in range(2)}
    saved(folder / "rooms", halls | {"cell": {"cell-0": response(rng)}})
    return Surroundings(str(folder / "noises"), str(folder / "rooms"))


@pytest.fixture(scope="module")
def store(data, around):
    return AudioStore(data, RATE, surroundings=around)


def read(folder, id):
    return soundfile.read(f"{folder}/audio/{id}.wav")[0]


def slow_source(data, mixture, source, rirs, early=False):
    """The source in float64, by direct convolution, before its level is set."""
    samples = read(data.path, source.utterance)[source.start : source.start + source.length]
    before = 2000 if source.rir and not source.gaps else 0  # the channel's ringing is heard in the room, too
    samples = np.pad(samples, before)
    if source.channel:
        samples = slow_filter(samples, source.channel)
    pieces, begin = [], 0
    for at, silence in source.gaps:
        pieces += [samples[begin:at], np.zeros(silence)]
        begin = at
    samples = np.concatenate([*pieces, samples[begin:]])
    if source.rir:
        h = read(rirs, source.rir)
        h = h[np.abs(h).argmax() :]
        samples = scipy.signal.convolve(samples, h[: RATE // 20] if early else h, method="direct")
    placed = np.zeros(mixture.length)
    samples = samples[before:]
    part = samples[: mixture.length - source.onset]
    placed[source.onset : source.onset + len(part)] = part
    return placed


def test_rooms_are_direct_convolutions_with_their_onsets_and_levels(data, store, around):
    sources = (
        Source("a-u2", "a", 2400, 9000, 1003, -27.0, Channel((5.0, -8.0, 2.0), 120.0, 3300.0), rir="hall0-3"),
        Source("b-u4", "b", 5000, 12001, 0, -33.5, rir="hall0-0"),
    )
    mixture = Mixture("m", RATE, 15001, sources, target="early")
    rendered = render(mixture, store)
    for source, found, target in zip(sources, rendered.sources, rendered.targets):
        expected = slow_source(data, mixture, source, around.rooms)
        gain = 10 ** ((source.level_db - slow_level_db(expected)) / 20)
        assert np.abs(found - expected * gain).max() < 1e-4 * np.abs(found).max()
        early = slow_source(data, mixture, source, around.rooms, early=True)
        assert np.abs(target - early * gain).max() < 1e-4 * np.abs(target).max()
    whole = render(replace(mixture, target="reverberant"), store)
    assert whole.targets is whole.sources
    assert np.array_equal(whole.sources, rendered.sources)


def test_gaps_are_silent_and_all_else_is_the_speech_of_before(data, store, around):
    source = Source("a-u4", "a", 4000, 12000, 500, -27.0, gaps=((3000, 800), (9001, 1700)))
    mixture = Mixture("m", RATE, 16000, (source,))
    found = render(mixture, store).sources[0]
    assert not found[3500:4300].any()
    assert not found[10301:12001].any()
    assert not found[: source.onset].any()
    expected = slow_source(data, mixture, source, around.rooms)
    near = np.zeros(16000, bool)
    for edge in (3500, 4300, 10301, 12001):
        near[edge - 40 : edge + 40] = True  # the fades of 5 ms
    scale = np.dot(found[~near], expected[~near]) / np.dot(expected[~near], expected[~near])
    assert np.abs(found - scale * expected)[~near].max() < 2e-5 * np.abs(found).max()
    assert slow_level_db(found) == pytest.approx(-27, abs=0.001)


@pytest.mark.parametrize("length", [5000, 20000])
@pytest.mark.parametrize(("name", "start"), [("hum", 6500), ("street", 100_000)])
def test_recorded_noise_is_looped_from_its_start(store, around, name, start, length):
    mixture = Mixture("m", RATE, length, (), Noise("recorded", -40.0, 0, (Clip(name, start),)))
    found = render(mixture, AudioStore([], RATE, surroundings=around)).noise
    samples = read(around.noises, name)
    expected = np.tile(samples, 5)[start : start + length]
    expected *= 10 ** (-40 / 20) / np.sqrt(np.mean(expected**2))
    assert np.abs(found - expected).max() < 1e-6
    again = render(mixture, store).noise  # from a store that has kept what it read
    assert np.array_equal(found, again)


def test_noise_in_a_room_sounds_from_before_the_mixture_began(store, around):
    noise = Noise("recorded", -40.0, 0, (Clip("hum", 100),), rir="hall1-2")
    found = render(Mixture("m", RATE, 9000, (), noise), store).noise
    h = read(around.rooms, "hall1-2")
    tiled = np.tile(read(around.noises, "hum"), 4)
    expected = scipy.signal.convolve(tiled, h[np.abs(h).argmax() :], method="direct")[7100 : 7100 + 9000]
    expected *= 10 ** (-40 / 20) / np.sqrt(np.mean(expected**2))
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


def test_babble_is_voices_of_one_level(data, store):
    clips = (Clip("c-u1", 2000), Clip("d-u2", 300), Clip("c-u4", 9000))
    found = render(Mixture("m", RATE, 12000, (), Noise("babble", -35.0, 0, clips)), store).noise
    expected = np.zeros(12000)
    for clip in clips:
        voice = read(data.path, clip.utterance)
        expected += np.tile(voice, 3)[clip.start : clip.start + 12000] * 10 ** (-slow_level_db(voice) / 20)
    expected *= 10 ** (-35 / 20) / np.sqrt(np.mean(expected**2))
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()


EVERYTHING = MixtureConfig(
    overlap=(0.0, 1.0),
    noise=NoiseConfig(0.7, kinds=("white", "recorded", "babble"), data="-", babble=(2, 3)),
    room=RoomConfig(0.6, data="-", target="early"),
    gaps=GapConfig(0.5),
    codec=CodecConfig(0.3),
    loudness=LoudnessConfig(0.3),
)


def random_mixtures(data, store, count, config=EVERYTHING):
    for index in range(count):
        rng = np.random.default_rng(index)
        order = rng.permutation(len(data.utterances))
        chosen = [data.utterances[i] for i in order]
        talkers, voices = chosen[: 1 + index % 3], chosen[3:6]
        yield plan_mixture(f"m{index}", talkers, config, rng, store, voices=voices)


def slow_overlap(mixture):
    """Common samples of two talkers' stretches over the shorter stretch, sample by sample."""
    spans = [set(range(source.onset, source.onset + source.extent)) for source in mixture.sources]
    return len(spans[0] & spans[1]) / min(len(spans[0]), len(spans[1]))


@pytest.mark.parametrize("crop_s", [1.5, None])
def test_levels_ratios_and_sums_are_the_plan_s_whatever_is_drawn(data, store, crop_s):
    kinds, seen = set(), set()
    for mixture in random_mixtures(data, store, 40, replace(EVERYTHING, crop_s=crop_s)):
        assert from_line(to_line(mixture)) == mixture
        rendered = render(mixture, store)
        assert all(part.dtype == np.float32 and part.shape[-1] == mixture.length for part in rendered)
        total = rendered.sources.astype(np.float64).sum(axis=0) + rendered.noise
        assert np.abs(rendered.mixture - total).max() <= 1e-6 * max(1, np.abs(total).max())
        levels = [slow_level_db(samples) for samples in rendered.sources]
        for source, level in zip(mixture.sources, levels):
            ratio = mixture.sources[0].level_db - source.level_db
            assert levels[0] - level == pytest.approx(ratio, abs=0.05)
            if mixture.loudness_lufs is None:
                assert level == pytest.approx(source.level_db, abs=0.05)
        if mixture.noise is not None and not mixture.codec:
            noise_db = 10 * np.log10(np.mean(np.float64(rendered.noise) ** 2))
            snr = mixture.sources[0].level_db - mixture.noise.level_db
            assert levels[0] - noise_db == pytest.approx(snr, abs=0.05)
            assert 10 - 1e-6 <= snr <= 30 + 1e-6
        if mixture.codec:
            plain = render(replace(mixture, codec=""), store)
            assert np.array_equal(rendered.mixture, transmit(plain.mixture, RATE, mixture.codec))
        elif mixture.loudness_lufs is not None:
            assert loudness_lufs(rendered.mixture, RATE) == pytest.approx(mixture.loudness_lufs, abs=0.05)
        kinds.add(mixture.noise.kind if mixture.noise else "")
        seen |= {"gaps" for source in mixture.sources if source.gaps} | {mixture.codec, mixture.target}
        rirs = [source.rir for source in mixture.sources if source.rir]
        assert len(set(rirs)) == len(rirs)
        assert len({rir.split("-")[0] for rir in rirs}) <= 1
    assert kinds == {"", "white", "recorded", "babble"}
    assert seen >= {"gaps", "early", "reverberant"} | {"mulaw", "alaw", "gsm"}


def test_overlaps_and_onsets_with_gaps_are_exact_to_a_sample(data, store):
    config = replace(EVERYTHING, crop_s=None, gaps=GapConfig(1.0), codec=CodecConfig(0), overlap=(0.4, 0.4))
    found = 0
    for mixture in random_mixtures(data, store, 30, config):
        if len(mixture.sources) == 2:
            assert any(source.gaps for source in mixture.sources)
            shorter = min(source.extent for source in mixture.sources)
            assert abs(slow_overlap(mixture) - 0.4) * shorter <= 1
            found += 1
        rendered = render(mixture, store)
        for source, samples in zip(mixture.sources, rendered.sources):
            # What comes before the direct sound of a response is at most its lead.
            assert not samples[: source.onset].any()
            if not source.rir:
                assert not samples[source.onset + source.extent :].any()
    assert found == 10


def test_gaps_are_at_pauses_where_there_are_any(data, store):
    config = replace(MixtureConfig(crop_s=None), gaps=GapConfig(1.0, (1, 1)))
    for mixture in random_mixtures(data, store, 20, config):
        for source in mixture.sources:
            active = slow_active(read(data.path, source.utterance))
            for at, samples in source.gaps:
                assert not active[(source.start + at) // 80]
                assert 0.2 * RATE <= samples <= RATE


def test_a_block_changes_no_draw_of_the_others_and_draws_nothing_where_it_is_off(data, store):
    plain = MixtureConfig(crop_s=None, noise=NoiseConfig(0.5))
    blocks = {
        "room": RoomConfig(1.0, data="-"),
        "codec": CodecConfig(1.0),
        "loudness": LoudnessConfig(1.0),
    }
    before = list(random_mixtures(data, store, 12, plain))
    for name, block in blocks.items():
        for one, two in zip(before, random_mixtures(data, store, 12, replace(plain, **{name: block}))):
            assert one != two
            sources = tuple(replace(source, rir="") for source in two.sources)
            reduced = replace(two, sources=sources, channel=None, codec="", loudness_lufs=None)
            assert reduced == one
    all_on = replace(plain, **blocks)
    for one, two in zip(
        random_mixtures(data, store, 12, all_on),
        random_mixtures(data, store, 12, replace(plain, codec=blocks["codec"])),
    ):
        assert (one.codec, one.channel) == (two.codec, two.channel)


def test_measured_overlap_knows_of_gaps(data, store):
    one = Source("a-u4", "a", 4000, 12000, 0, -27.0, gaps=((3000, 800), (9001, 1700)))
    two = Source("b-u4", "b", 4000, 12000, 2500, -27.0)
    mixture = Mixture("m", RATE, 15000, (one, two))
    speech = []
    for source in (one, two):
        active = np.repeat(slow_active(read(data.path, source.utterance)), 80)[source.start :][: source.length]
        parts, begin = [np.zeros(source.onset, bool)], 0
        for at, silence in source.gaps:
            parts, begin = [*parts, active[begin:at], np.zeros(silence, bool)], at
        whole = np.concatenate([*parts, active[begin:]])
        speech.append(np.pad(whole, (0, 15000 - len(whole))))
    expected = np.count_nonzero(speech[0] & speech[1]) / np.count_nonzero(speech[0])
    assert speech_overlap(mixture, store) == pytest.approx(expected, abs=1e-9)


def test_simulated_rooms_put_each_source_at_a_place_of_its_own(data, store, tmp_path, monkeypatch):
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setenv("CSC_CACHE", str(tmp_path))
    room = RoomConfig(1.0, rooms=2, places=4, length_m=(3, 4), width_m=(3, 4), height_m=(2.4, 2.6), rt60_s=(0.1, 0.2))
    config = replace(MixtureConfig(), room=room, noise=NoiseConfig(1.0, kinds=("recorded",), data="-"))
    rooms = set()
    for mixture in random_mixtures(data, store, 6, config):
        places = [source.position_m for source in mixture.sources] + [mixture.noise.position_m]
        assert len(set(places)) == len(places)
        rooms.add(mixture.room)
        rendered = render(mixture, store)
        for source, samples in zip(mixture.sources, rendered.sources):
            assert slow_level_db(samples) == pytest.approx(source.level_db, abs=0.01)
        again = render(mixture, AudioStore(data, RATE, surroundings=store.surroundings))
        assert all(np.array_equal(one, two) for one, two in zip(rendered, again))
    assert len(rooms) == 2


def test_gains_are_factors_of_the_samples(data, store, around):
    source = Source("a-u2", "a", 2400, 9000, 100, None, gain=0.37)
    noise = Noise("recorded", None, 0, (Clip("hum", 50),), gain=0.5)
    rendered = render(Mixture("m", RATE, 9100, (source,), noise), store)
    assert np.allclose(rendered.sources[0, 100:], 0.37 * read(data.path, "a-u2")[2400:11400], atol=1e-7)
    assert np.allclose(rendered.noise[:6950], 0.5 * read(around.noises, "hum")[50:], atol=1e-7)


def test_what_is_missing_or_bad_is_named(data, store, around, tmp_path):
    source = Source("a-u2", "a", 2400, 9000, 0, -27.0)
    sound = Mixture("m7", RATE, 9000, (source,))
    dry = AudioStore(data, RATE)
    recorded = replace(sound, noise=Noise("recorded", -40.0, 0, (Clip("hum"),)))
    through = replace(sound, sources=(replace(source, rir="hall0-1"),))
    zeros = saved(tmp_path / "zeros", {"x": {"zero": np.zeros(500), "nan": np.full(500, np.nan)}})
    bad = AudioStore(data, RATE, surroundings=Surroundings(str(zeros.path), str(zeros.path)))

    def noise(name, start=0):
        return replace(sound, noise=Noise("recorded", -40.0, 0, (Clip(name, start),)))

    def rir(name):
        return replace(sound, sources=(replace(source, rir=name),))

    for mixture, of, says in [
        (recorded, dry, "no data directory of noises was given"),
        (through, dry, "no data directory of rooms was given"),
        (noise("hom"), store, "no recording 'hom'"),
        (noise("hum", 7000), store, "'hum' has 7000 samples, none at its start, 7000"),
        (rir("hall9"), store, "no recording 'hall9'"),
        (noise("zero"), bad, "noise of zero is silent"),
        (noise("nan"), bad, "not finite"),
        (rir("zero"), bad, "'zero' is silent"),
        (rir("nan"), bad, "not finite"),
        (replace(sound, loudness_lufs=-30.0, sources=(replace(source, level_db=-120.0),)), store, "loudness"),
    ]:
        with pytest.raises(CscError, match="mixture 'm7'") as error:
            render(mixture, of)
        assert says in str(error.value)
    with pytest.raises(DataError, match=r"noise\.data"):
        Surroundings(noises=str(tmp_path / "absent")).check()
    with pytest.raises(DataError, match="no room has 9 impulse responses"):
        around.room_shelf(RATE).rooms_of(9)
    config = replace(MixtureConfig(), noise=NoiseConfig(1.0, kinds=("babble",)))
    with pytest.raises(DataError, match=r"m8.*0 utterances of other speakers"):
        plan_mixture("m8", data.utterances[:1], config, np.random.default_rng(0), store)
