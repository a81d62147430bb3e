"""Channels that lose speech when they are mixed; speech is noise in bursts here."""

import io

import numpy as np
import pytest
import soundfile

from asr.audio import read_audio

RATE_HZ = 16_000
TIME = np.arange(8 * RATE_HZ) / RATE_HZ
HUM = 0.3 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME)
BUZZ = 0.1 * np.sign(np.sin(2 * np.pi * 50 * TIME))


def speech(seed):
    """Noise in bursts of a quarter of a second, each of another level, with pauses."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.uniform(0.05, 0.15, 32) * (rng.random(32) < 0.6), RATE_HZ // 4)
    return levels * rng.standard_normal(len(TIME)) + 1e-4 * rng.standard_normal(len(TIME))


def read(*channels):
    buffer = io.BytesIO()
    samples = np.stack(channels, axis=1)
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype="FLOAT")
    return read_audio(buffer.getvalue())


def likeness(found, expected):
    return float(np.corrcoef(found.waveform, expected)[0, 1])


@pytest.mark.parametrize("common", [HUM, BUZZ, HUM + BUZZ])
def test_opposite_channels_with_common_hum(common):
    found = read(speech(0) + common, -speech(0) + common)
    assert abs(likeness(found, speech(0))) > 0.99
    assert found.quality.channels_cancel
    (line,) = [line for line in found.quality.warnings() if "channels" in line]
    assert line == "speech gets lost in the mix of 2 channels: used half their difference"


def test_opposite_channels_of_three_with_hum():
    found = read(speech(0) + HUM, -speech(0) + HUM, HUM)
    assert found.quality.warnings() == [
        "speech gets lost in the mix of 3 channels: used channel 1 alone"
    ]


def test_a_channel_of_noise_beside_one_of_speech():
    noise = 0.2 * np.random.default_rng(9).standard_normal(len(TIME))
    found = read(noise, speech(0))
    assert likeness(found, speech(0)) > 0.99
    assert "used channel 2 alone" in found.quality.warnings()[0]


@pytest.mark.parametrize(
    "channels",
    [
        (speech(0), speech(0)),
        (speech(0), speech(1)),
        (speech(0), np.zeros(len(TIME))),
        (speech(0) + HUM, speech(0) + HUM),
        (speech(0), 0.3 * speech(1) + HUM),
        (np.where(TIME < 4, speech(0), 0), np.where(TIME < 4, 0, speech(1))),
        tuple(0.1 * np.random.default_rng(n).standard_normal(len(TIME)) for n in (1, 2)),
        (HUM, HUM),
        (HUM, -0.5 * HUM),
    ],
)
def test_other_channels_are_mixed(channels):
    found = read(*channels)
    np.testing.assert_allclose(found.waveform, np.mean(channels, axis=0), atol=1e-6)
    assert found.quality.warnings()[0] == "mixed 2 channels to mono"


def test_two_people_after_a_noisy_channel_are_both_heard():
    noise = np.where(TIME < 4.2, 0.3 * np.random.default_rng(9).standard_normal(len(TIME)), 0)
    found = read(np.tile(speech(0), 2), np.concatenate([noise, speech(1)]))
    late = slice(-3 * RATE_HZ, None)
    both = (speech(0) + speech(1)) / 2
    assert np.corrcoef(found.waveform[late], both[late])[0, 1] > 0.99
