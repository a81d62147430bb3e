"""Loud, steady noise: known, turned down, and nothing done to other recordings."""

import numpy as np
import pytest
from speech import RATE_HZ, level_db

from asr.audio import Waveform
from asr.denoising import LOUD_DB, SHORTEST_S, above_noise_db, denoised, is_noisy
from asr.spectrum import LONGEST_S

RATES_HZ = [8000, 11_025, 16_000, 44_100]


def speech(seconds: float, rate_hz: int = RATE_HZ) -> Waveform:
    """Harmonics of a voice for 200 ms, and as long a pause, again and again; 0.1 at the loudest."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    said = voice * (time % 0.4 < 0.2)
    return (0.1 * said / np.abs(said).max()).astype(np.float32)


def noise(seconds: float, rate_hz: int = RATE_HZ, rms: float = 0.02) -> Waveform:
    """White noise."""
    rng = np.random.default_rng(1)
    return (rms * rng.standard_normal(round(seconds * rate_hz))).astype(np.float32)


def pauses(waveform: Waveform, rate_hz: int) -> Waveform:
    """What is heard in pauses of `speech`, well apart from it, after the first two seconds."""
    time = np.arange(len(waveform)) / rate_hz
    return waveform[(time > 2) & (time % 0.4 > 0.26) & (time % 0.4 < 0.36)]


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_loud_noise_is_known_and_turned_down(rate_hz: int):
    clear = speech(8, rate_hz)
    heard = clear + noise(8, rate_hz)
    assert above_noise_db(heard, rate_hz) < LOUD_DB < above_noise_db(clear, rate_hz)
    found = denoised(heard, rate_hz)
    assert found.dtype == np.float32 and found.shape == heard.shape
    left = level_db(pauses(found, rate_hz)) - level_db(pauses(heard, rate_hz))
    assert -8.1 < left < -5  # 8 dB is the bound, which frames of louder noise do not reach
    assert level_db(found - clear) < level_db(heard - clear) - 3


def test_noise_that_grows_is_followed():
    rise = np.repeat([1.0, 2.0], 6 * RATE_HZ).astype(np.float32)
    heard = speech(12) + rise * noise(12)
    found = denoised(heard, RATE_HZ)
    for half in (slice(2 * RATE_HZ, 6 * RATE_HZ), slice(8 * RATE_HZ, None)):
        before, after = (level_db(pauses(each[half], RATE_HZ)) for each in (heard, found))
        assert after < before - 5


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("rms", [0.0, 1e-4, 1e-3])
def test_a_recording_without_loud_noise_stays_as_it_is(rms: float, rate_hz: int):
    heard = speech(8, rate_hz) + noise(8, rate_hz, rms)
    assert denoised(heard, rate_hz) is heard


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_constant_offset_is_no_noise(rate_hz: int):
    heard = speech(8, rate_hz) + np.float32(0.1)
    assert denoised(heard, rate_hz) is heard


def test_each_minute_is_judged_by_itself():
    clear = speech(LONGEST_S)
    noisy = clear + noise(LONGEST_S)
    found = denoised(np.concatenate([clear, noisy]), RATE_HZ)
    np.testing.assert_array_equal(found[: len(clear)], clear)
    np.testing.assert_array_equal(found[len(clear) :], denoised(noisy, RATE_HZ))


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0, np.float32),
        np.zeros(5 * RATE_HZ, np.float32),
        np.full(5 * RATE_HZ, 1e-30, np.float32),
        noise(SHORTEST_S)[:-1],
    ],
    ids=["nothing", "silence", "next to silence", "too short"],
)
def test_where_no_noise_can_be_known_nothing_is_done(waveform: Waveform):
    assert denoised(waveform, RATE_HZ) is waveform


@pytest.mark.parametrize("gain", [1e-4, 8.0])
def test_loudness_does_not_matter(gain: float):
    heard = speech(6) + noise(6)
    louder = denoised((gain * heard).astype(np.float32), RATE_HZ)
    expected = gain * denoised(heard, RATE_HZ)
    np.testing.assert_allclose(louder, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("where", [slice(0, 2 * RATE_HZ), slice(2 * RATE_HZ, 4 * RATE_HZ)])
def test_digital_silence_does_not_hide_noise(where: slice):
    """As in a recorder that starts late, or a call that is muted for a while."""
    heard = speech(8) + noise(8)
    before = above_noise_db(heard, RATE_HZ)
    heard[where] = 0
    assert above_noise_db(heard, RATE_HZ) == pytest.approx(before, abs=1)
    found = denoised(heard, RATE_HZ)
    left, had = (level_db(pauses(each[-4 * RATE_HZ :], RATE_HZ)) for each in (found, heard))
    assert left < had - 5


@pytest.mark.filterwarnings("error")
def test_noise_that_stops_does_no_harm():
    """Digital silence is next to no noise at all, however long it lasts."""
    spectrum = np.fft.rfft(noise(LONGEST_S))
    spectrum[len(spectrum) // 2 :] *= 1e-5  # as in a telephone call that was resampled
    half = np.fft.irfft(spectrum).astype(np.float32)
    half[30 * RATE_HZ : 35 * RATE_HZ] = 0
    assert is_noisy(half, RATE_HZ, LOUD_DB)
    found = denoised(half, RATE_HZ)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= np.abs(half).max()
