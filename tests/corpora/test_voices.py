import numpy as np

from csc_cli.corpora.voices import ACCENTS, draw_voice, voice_lines


def voices(count: int):
    return [draw_voice(np.random.default_rng(seed)) for seed in range(count)]


def test_pitch_alone_cannot_tell_speakers_apart():
    # The best that any system can do with the true mean pitch: a threshold on the difference of logarithms.
    rng = np.random.default_rng(0)
    base = np.log([voice.pitch_hz for voice in voices(2000)])
    variations = np.log(rng.uniform(0.85, 1.15, (2, 2, 20_000)))
    same = np.abs(variations[0, 0] - variations[0, 1])
    pairs = rng.choice(base, (2, 20_000)) + variations[1]
    other = np.abs(pairs[0] - pairs[1])
    thresholds = np.linspace(0, 1, 2001)
    misses = (same[:, None] > thresholds).mean(axis=0)
    false_alarms = (other[:, None] <= thresholds).mean(axis=0)
    equal = np.argmin(np.abs(misses - false_alarms))
    assert 0.24 < (misses[equal] + false_alarms[equal]) / 2 < 0.4


def test_speakers_differ_in_vocal_tract_and_accent():
    drawn = voices(300)
    assert {voice.accent for voice in drawn} == set(ACCENTS)
    tracts = np.array([[frequency for frequency, _, _ in voice.formants] for voice in drawn])
    assert np.all(tracts.std(axis=0) > 5)  # % of espeak-ng's own
    pitch = np.array([voice.pitch_hz for voice in drawn])
    assert np.all(np.abs([np.corrcoef(pitch, formant)[0, 1] for formant in tracts.T]) < 0.2)


def test_voice_file_raises_pitch_and_nothing_else():
    voice = draw_voice(np.random.default_rng(1))
    low, high = (voice_lines(voice, factor).splitlines() for factor in (0.9, 1.1))
    differing = [(before, after) for before, after in zip(low, high, strict=True) if before != after]
    assert len(differing) == 1
    before, after = (np.array(line.split()[1:], dtype=float) for line in differing[0])
    np.testing.assert_allclose(after / before, 1.1 / 0.9, rtol=0.02)  # whole Hz
