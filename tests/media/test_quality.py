"""What is said about a recording: channels, rate, band and level; all audio is made here."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from asr.audio import read_audio
from asr.media.quality import SoundQuality


def noise(num_frames, channels=1, scale=0.1, seed=0):
    samples = np.random.default_rng(seed).standard_normal((num_frames, channels)) * scale
    return samples.clip(-1, 1).astype(np.float32)


def tone(hz, rate_hz, seconds, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def encode(samples, rate_hz=16_000, subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype=subtype)
    return buffer.getvalue()


def quality_of(samples, rate_hz=16_000, subtype="FLOAT"):
    return read_audio(encode(samples, rate_hz, subtype=subtype)).quality


def test_opposite_channels_do_not_cancel():
    speech = noise(16_000)
    recording = read_audio(encode(np.hstack([speech, -speech]), subtype="FLOAT"))
    np.testing.assert_array_equal(recording.waveform, speech[:, 0])
    assert recording.quality.channels_cancel
    assert "2 channels cancel each other: used one channel alone" in recording.quality.warnings()


def test_unrelated_and_silent_channels_are_mixed():
    one_of_many = np.zeros((16_000, 64), np.float32)
    one_of_many[:, 5] = noise(16_000)[:, 0]
    for samples in (noise(16_000, 2), one_of_many, np.zeros((16_000, 2), np.float32)):
        recording = read_audio(encode(samples, subtype="FLOAT"))
        np.testing.assert_allclose(recording.waveform, samples.mean(axis=1), atol=1e-7)
        assert not recording.quality.channels_cancel
        mixed = f"mixed {samples.shape[1]} channels to mono"
        assert mixed in recording.quality.warnings()


def test_good_audio_gives_no_warning():
    assert quality_of(noise(32_000)).warnings() == []


def test_levels_of_a_tone():
    found = quality_of(tone(1000, 16_000, 1, amplitude=0.5))
    assert found.peak_db == pytest.approx(-6.02, abs=0.01)
    assert found.rms_db == pytest.approx(-9.03, abs=0.01)
    assert found.clipped_fraction == 0
    assert found.dc_offset == pytest.approx(0, abs=1e-6)


def test_clipping():
    found = quality_of(tone(100, 16_000, 1, amplitude=2).clip(-1, 1), subtype="PCM_16")
    assert found.clipped_fraction == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2 for 2/3 of time
    assert any(line.startswith("clipping: 66") for line in found.warnings())


def test_floats_beyond_full_scale_are_limited_and_said():
    recording = read_audio(encode(tone(100, 16_000, 1, amplitude=2), subtype="FLOAT"))
    assert np.abs(recording.waveform).max() == 1
    assert recording.quality.peak_db == pytest.approx(6.02, abs=0.01)
    assert any("peak +6.0 dBFS" in line for line in recording.quality.warnings())


def test_dc_offset():
    found = quality_of(noise(32_000) + 0.25)
    assert found.dc_offset == pytest.approx(0.25, abs=0.01)
    assert found.warnings() == [f"DC offset {found.dc_offset:+.3f} of full scale"]


def test_near_silence():
    assert quality_of(noise(16_000, scale=1e-5)).warnings()[0].startswith("near silence: peak -8")
    silence = quality_of(np.zeros(16_000))
    assert (silence.peak_db, silence.rms_db, silence.bandwidth_hz) == (-120, -120, 0)
    assert silence.warnings() == ["near silence: peak -120 dBFS"]


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
@pytest.mark.parametrize("peak_db", [-46, -60, -80])
def test_very_quiet_recordings_are_raised(peak_db, subtype):
    sound = noise(100_000)[:, 0]
    quiet = sound * (10 ** (peak_db / 20) / np.abs(sound).max())
    recording = read_audio(encode(quiet, subtype=subtype))
    assert np.abs(recording.waveform).max() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(recording.waveform, sound)[0, 1] > 0.999
    assert recording.quality.peak_db == pytest.approx(peak_db, abs=0.05)  # as it was
    assert recording.quality.gain_db == pytest.approx(-6.02 - peak_db, abs=0.05)
    line = f"very quiet: peak {peak_db} dBFS; raised by {round(-6.02 - peak_db)} dB"
    assert line in recording.quality.warnings()


def test_what_is_loud_once_or_is_nothing_is_not_raised():
    late = np.concatenate([noise(300_000, scale=1e-4), noise(1_000)])[:, 0]
    last_bits = np.random.default_rng(0).integers(-1, 2, 16_000) / 2**20
    for samples in (late, last_bits, np.zeros(16_000), noise(16_000)[:, 0]):
        recording = read_audio(encode(samples, subtype="DOUBLE"))
        np.testing.assert_allclose(recording.waveform, samples, atol=1e-7)
        assert recording.quality.gain_db == 0


@pytest.mark.parametrize("form", ["MP3", "FLAC", "OGG"])
def test_a_piece_of_a_quiet_recording_begins_where_it_should(form):
    buffer = io.BytesIO()
    sound = 1e-3 * noise(160_000)[:, 0]
    soundfile.write(buffer, sound, 16_000, format=form)
    whole = read_audio(buffer.getvalue())
    piece = read_audio(buffer.getvalue(), start=4, duration=2)
    gain = 10 ** ((piece.quality.gain_db - whole.quality.gain_db) / 20)
    np.testing.assert_allclose(piece.waveform, gain * whole.waveform[64_000:96_000], atol=1e-3)


def test_short():
    assert quality_of(noise(800)).warnings() == ["short: 0.050 s"]


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_audio_that_was_up_sampled_before(rate_hz):
    narrow = soxr.resample(noise(24_000)[:, 0], 8_000, rate_hz)
    found = quality_of(narrow, rate_hz)
    assert found.bandwidth_hz == pytest.approx(4_000, abs=200)
    assert any(line.startswith("band-limited: nothing above 4.") for line in found.warnings())


def test_up_sampling_is_said_once():
    assert quality_of(noise(8_000), 8_000).warnings() == [
        "resampled from 8000 Hz to 16000 Hz (up-sampled: nothing above 4 kHz is there)"
    ]


def test_quality_can_be_made_by_hand():
    figures = {"original_rate_hz": 16_000, "channels": 1, "duration": 1.0, "format": "WAV/PCM_16"}
    levels = {"clipped_fraction": 0.0, "dc_offset": 0.0, "peak_db": -3.0, "rms_db": -20.0}
    found = SoundQuality(**figures, **levels, resampled=False, bandwidth_hz=8_000.0)
    assert found.as_dict().items() >= (figures | levels).items()
