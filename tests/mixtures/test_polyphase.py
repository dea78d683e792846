from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import soundfile

from csc_cli.errors import AudioError, DataError
from csc_cli.mixtures.manifest import Channel, Clip, Mixture, Noise, Source, from_line, to_line
from csc_cli.mixtures.render import AudioStore, render
from csc_cli.mixtures.surroundings import Surroundings

FIRST = Source("a-u0", "a", 0, 2000, 100, None, gain=0.3)
SECOND = Source("b-u0", "b", 300, 1500, 0, None, gain=-1.7)
NOISE = Noise("recorded", None, 0, (Clip("b-u0", 5000),), gain=0.01)
MIXTURE = Mixture("m", 8000, 2500, (FIRST, SECOND), NOISE, resampler="polyphase")


def test_scaled_then_resampled_then_cut(data_of):
    data = data_of({"a": [1.0], "b": [1.0]}, rate=11025)
    made = render(MIXTURE, AudioStore(data, 8000, surroundings=Surroundings(str(data.path))))

    def heard(name: str, gain: float) -> np.ndarray:
        samples, _ = soundfile.read(data.by_id[name].recording, dtype="float32")
        return scipy.signal.resample_poly(samples * gain, 320, 441)

    sources = np.zeros((2, 2500), np.float32)
    sources[0, 100:2100] = heard("a-u0", 0.3)[:2000]
    sources[1, :1500] = heard("b-u0", -1.7)[300:1800]
    noise = heard("b-u0", 0.01)
    assert noise.size == 8000
    noise = noise[5000:7500]
    assert np.array_equal(made.sources, sources) and np.array_equal(made.noise, noise)
    assert np.array_equal(made.mixture, sources[0] + sources[1] + noise)


def test_the_key_is_written_only_where_it_says_something():
    assert from_line(to_line(MIXTURE)) == MIXTURE
    assert '"resampler":"polyphase"' in to_line(MIXTURE)
    assert "resampler" not in to_line(replace(MIXTURE, resampler=""))


@pytest.mark.parametrize(
    "change",
    [
        {"sources": (replace(FIRST, level_db=-30.0, gain=None), SECOND)},
        {"sources": (replace(FIRST, speed=1.1), SECOND)},
        {"sources": (replace(FIRST, gaps=((10, 10),)), SECOND)},
        {"sources": (replace(FIRST, channel=Channel(high_hz=3400.0)), SECOND)},
        {"sources": (replace(FIRST, rir="room-1"), SECOND)},
        {"noise": Noise("white", -40.0, 0)},
        {"noise": replace(NOISE, rir="room-1")},
        {"channel": Channel(high_hz=3400.0)},
        {"codec": "mulaw"},
        {"loudness_lufs": -23.0},
    ],
)
def test_what_has_no_meaning_at_the_recordings_own_rate_is_refused(change):
    with pytest.raises(DataError, match="mixture 'm': with resampler, sources and recorded noise have a gain and noth"):
        replace(MIXTURE, **change)


def test_another_name_is_refused():
    with pytest.raises(DataError, match="resampler 'poly': did you mean 'polyphase'"):
        replace(MIXTURE, resampler="poly")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": (replace(SECOND, start=7000),)}, "'b-u0' has 8000 samples at 8000 Hz, fewer than .* 8500"),
        (
            {"noise": replace(NOISE, clips=(Clip("b-u0", 8000),))},
            "'b-u0' has 8000 samples, none at its start, 8000",
        ),
    ],
)
def test_recordings_that_are_too_short_are_named(data_of, change, message):
    data = data_of({"a": [1.0], "b": [1.0]}, rate=16000)
    store = AudioStore(data, 8000, surroundings=Surroundings(str(data.path)))
    with pytest.raises(AudioError, match=f"mixture 'm': .*{message}"):
        render(replace(MIXTURE, **change), store)
