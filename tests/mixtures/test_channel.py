"""The channel against tones whose gain is known, and the noise against its spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from csc_cli.mixtures.channel import apply, band_centres, fft_size, generated_noise, response
from csc_cli.mixtures.manifest import Channel

RATE = 8000


def gain_db(channel: Channel, hz: float, rate: int = RATE) -> float:
    """What the channel does to a tone, measured in the middle of one second of it by its Fourier coefficient."""
    time = np.arange(rate) / rate
    tone = np.cos(2 * np.pi * hz * time).astype(np.float32)
    middle = slice(rate // 4, 3 * rate // 4)
    heard = apply((channel,), tone, rate)
    probe = np.exp(2j * np.pi * hz * time)[middle]
    return 20 * np.log10(abs(np.vdot(probe, heard[middle])) / abs(np.vdot(probe, tone[middle])))


def test_equaliser_has_its_gains_at_its_centres():
    channel = Channel((3.0, -6.0, 8.0, 0.0, -10.0, 5.0))
    for hz, db in zip(band_centres(6, RATE)[:-1], channel.equaliser_db):
        assert gain_db(channel, round(hz / 2) * 2) == pytest.approx(db, abs=0.25)
    assert gain_db(channel, 60) == pytest.approx(3.0, abs=0.3)  # flat below the first centre


def test_equaliser_stays_between_neighbouring_centres():
    channel = Channel((0.0, 10.0, 10.0, -10.0))
    curve = 20 * np.log10(response(channel, 4096, RATE))
    hz = np.fft.rfftfreq(4096, 1 / RATE)
    centres = band_centres(4, RATE)
    inside = (hz > centres[1]) & (hz < centres[2])
    assert np.allclose(curve[inside], 10, atol=1e-4)
    falling = curve[hz > centres[2]]
    assert (np.diff(falling) <= 1e-5).all()
    assert falling[-1] == pytest.approx(-10, abs=1e-4)


def test_band_limit_has_butterworth_gains():
    channel = Channel((), 300.0, 2000.0)
    for hz in (100, 200, 300, 800, 2000, 3000):
        low, high = (300 / hz) ** 8, (hz / 2000) ** 8
        assert gain_db(channel, hz) == pytest.approx(-10 * np.log10((1 + low) * (1 + high)), abs=0.05)


def test_open_sides_and_flat_channels_pass_everything():
    rng = np.random.default_rng(1)
    samples = rng.standard_normal(5000).astype(np.float32)
    for channel in (Channel(), Channel((0.0,) * 5), Channel((), 0.0, RATE / 2)):
        assert np.allclose(apply((channel,), samples, RATE), samples, atol=1e-5)


def test_no_delay_and_no_wrap_around():
    impulse = np.zeros(6000, np.float32)
    impulse[10] = 1
    heard = apply((Channel((5.0, -5.0, 5.0, -5.0), 100.0, 3000.0),), impulse, RATE)
    assert np.abs(heard).argmax() == 10
    assert np.abs(heard[3000:]).max() < 1e-4  # what rings before the first sample does not come out at the end


def test_two_channels_are_one_after_the_other():
    rng = np.random.default_rng(2)
    samples = np.pad(rng.standard_normal(3000), 1000).astype(np.float32)
    one, two = Channel((5.0, -3.0, 2.0), 50.0), Channel((), 100.0, 3000.0)
    together = apply((one, two), samples, RATE)
    assert np.allclose(together, apply((two,), apply((one,), samples, RATE), RATE), atol=1e-3)


@pytest.mark.parametrize("length", [1, 100, 1536, 1537, 20000, 123457])
def test_fft_has_room_for_what_rings(length):
    size = fft_size(length, RATE)
    assert length + 0.064 * RATE <= size < length + 0.064 * RATE + 4096


def slope_db(noise: np.ndarray, rate: int = RATE) -> float:
    """Fall of the power density from 100 to 3200 Hz, dB an octave."""
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(noise.size, 1 / rate)
    octaves = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in (100, 200, 400, 800, 1600)]
    return np.polyfit(range(5), octaves, 1)[0]


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01)])
def test_noise_has_its_spectrum(kind, slope):
    noise = generated_noise(kind, 200_000, RATE, 3, ())
    assert slope_db(noise) == pytest.approx(slope, abs=0.2)
    assert abs(noise.mean()) < 0.01 * noise.std()


def test_noise_goes_through_the_channel():
    noise = generated_noise("white", 100_000, RATE, 3, (Channel((), 0.0, 1000.0),))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hz = np.fft.rfftfreq(noise.size, 1 / RATE)
    assert 10 * np.log10(power[(hz > 2400) & (hz < 2600)].mean() / power[hz < 500].mean()) == pytest.approx(
        -31.8, abs=1
    )


def test_noise_is_the_seed_s():
    one, same = (generated_noise("pink", 5000, RATE, 1, ()) for _ in range(2))
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one, generated_noise("pink", 5000, RATE, 2, ()))[0, 1]) < 0.5
