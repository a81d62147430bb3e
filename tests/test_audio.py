"""Reading, resampling and the expansion of arguments; all audio is made here."""

import io
import json
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr
from folders import real_material
from hypothesis import given, settings, strategies as st

from asr.audio import SAMPLE_RATE_HZ, AudioStream, read_audio


def noise(num_frames, channels=1, scale=0.1, seed=0):
    samples = np.random.default_rng(seed).standard_normal((num_frames, channels)) * scale
    return samples.clip(-1, 1).astype(np.float32)


def tone(hz, rate_hz, seconds, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def encode(samples, rate_hz=16_000, form="WAV", subtype=None, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=form, subtype=subtype, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 44_100, 48_000, 192_000])
def test_a_tone_keeps_its_pitch_and_amplitude(rate_hz):
    recording = read_audio(encode(tone(1000, rate_hz, 2), rate_hz, subtype="FLOAT"))
    assert recording.waveform.dtype == np.float32
    assert recording.waveform.shape == (32_000,)
    middle = recording.waveform[8_000:24_000]  # one second: bin k of the spectrum is k Hz
    spectrum = 2 * np.abs(np.fft.rfft(middle)) / len(middle)
    assert np.argmax(spectrum) == 1000
    assert spectrum[1000] == pytest.approx(0.5, abs=1e-4)
    np.testing.assert_allclose(middle, tone(1000, 16_000, 2)[8_000:24_000], atol=2e-4)
    said = any(line.startswith("resampled from") for line in recording.quality.warnings())
    assert said == recording.quality.resampled == (rate_hz != SAMPLE_RATE_HZ)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_blocks_join_to_the_whole(rate_hz):
    samples = noise(5 * rate_hz)[:, 0]
    stream = AudioStream(encode(samples, rate_hz, subtype="FLOAT"), block_s=0.7)
    blocks = list(stream)
    assert [len(block) for block in blocks] == [11_200] * 7 + [1_600]
    whole = soxr.resample(samples, rate_hz, 16_000, quality="HQ")
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)
    assert stream.quality.duration == pytest.approx(5)


def test_quality_is_known_after_the_last_block():
    stream = AudioStream(encode(noise(100)))
    with pytest.raises(ValueError, match="after the last block"):
        _ = stream.quality


def test_another_rate_can_be_asked_for():
    recording = read_audio(encode(noise(16_000)), sample_rate_hz=8_000)
    assert recording.sample_rate_hz == 8_000
    assert recording.waveform.shape == (8_000,)
    assert "resampled from 16000 Hz to 8000 Hz" in recording.quality.warnings()


LOSSLESS = [
    *[("WAV", s) for s in ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "ULAW")],
    *[("FLAC", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT")],
    *[("AU", "PCM_16"), ("NIST", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16")],
    *[("RF64", "PCM_16"), ("VOC", "PCM_16"), ("WAVEX", "PCM_16"), ("CAF", "ALAC_16")],
]
LOSSY = [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "GSM610")]
LOSSY += [("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM")]


@pytest.mark.parametrize(("form", "subtype"), LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats(form, subtype, channels):
    samples = noise(3_000, channels)
    recording = read_audio(encode(samples, form=form, subtype=subtype))
    tolerance = {"PCM_U8": 1 / 128, "ULAW": 0.02}.get(subtype, 1 / 32768)
    np.testing.assert_allclose(recording.waveform, samples.mean(axis=1), atol=tolerance)
    assert recording.quality.format == f"{form}/{subtype}"
    assert recording.quality.channels == channels


@pytest.mark.parametrize(("form", "subtype"), LOSSY)
def test_lossy_formats(form, subtype):
    speechlike = tone(440, 16_000, 2) * (1 + tone(3, 16_000, 2))
    waveform = read_audio(encode(speechlike, form=form, subtype=subtype)).waveform
    assert abs(len(waveform) - 32_000) < 1_100  # some formats fill their last packet
    assert np.corrcoef(waveform[:32_000], speechlike[: len(waveform)])[0, 1] > 0.95


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3"])
def test_the_name_does_not_matter(tmp_path, form, rate_hz):
    data = encode(noise(rate_hz), rate_hz, form)
    expected = read_audio(data).waveform
    for name in ("a.wav", "a.mp3", "a.raw", "a.flac", "a.ogg", "a.sd2", "a.txt", "audio"):
        path = tmp_path / name
        path.write_bytes(data)
        np.testing.assert_array_equal(read_audio(path).waveform, expected)
    np.testing.assert_array_equal(read_audio(str(path)).waveform, expected)
    np.testing.assert_array_equal(read_audio(io.BytesIO(data)).waveform, expected)


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)]
)
def test_a_piece_is_what_the_whole_has_there(form, subtype):
    data = encode(noise(80_000), form=form, subtype=subtype)
    whole = read_audio(data).waveform
    piece = read_audio(data, start=1.5, duration=2.25)
    np.testing.assert_allclose(piece.waveform, whole[24_000:60_000], atol=1e-6)
    assert piece.quality.duration == 2.25
    np.testing.assert_allclose(read_audio(data, start=4.5).waveform, whole[72_000:], atol=1e-6)


def test_a_piece_may_end_a_rounding_error_late():
    assert read_audio(encode(noise(16_000)), start=0.5, duration=0.55).waveform.shape == (8_000,)


@settings(max_examples=40, deadline=None)
@given(
    rate_hz=st.integers(4_000, 96_000),
    num_frames=st.integers(100, 5_000),
    channels=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_length_and_range(rate_hz, num_frames, channels, seed):
    samples = noise(num_frames, channels, scale=1.0, seed=seed)
    recording = read_audio(encode(samples, rate_hz))
    assert abs(len(recording.waveform) - num_frames * 16_000 / rate_hz) <= 1
    assert np.abs(recording.waveform).max() <= 1
    json.dumps(recording.quality.as_dict(), allow_nan=False)


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_wav_written_to_a_pipe(size):
    data = bytearray(encode(noise(8_000)))
    struct.pack_into("<I", data, 4, 0xFFFF_FFFF if size else 0)
    struct.pack_into("<I", data, data.index(b"data") + 4, size)
    np.testing.assert_allclose(
        read_audio(bytes(data)).waveform, noise(8_000)[:, 0], atol=1 / 32_768
    )


def test_flac_of_unknown_length():
    data = bytearray(encode(noise(8_000), form="FLAC"))
    data[21] &= 0xF0  # the 36-bit number of samples in STREAMINFO
    data[22:26] = bytes(4)
    assert read_audio(bytes(data)).waveform.shape == (8_000,)
    assert read_audio(bytes(data), start=0.25).waveform.shape == (4_000,)
    assert read_audio(bytes(data), start=0.25, duration=0.125).waveform.shape == (2_000,)


def test_variable_mp3_without_a_length_frame():
    """libsndfile alone guesses from the first, large frames, and loses the end."""
    samples = np.concatenate([noise(48_000, scale=0.3), noise(96_000, scale=1e-4)])
    data = encode(samples, form="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    headless = data[data.index(data[:2], data.index(b"Xing")) :]
    tag = b"ID3\x03\0\0" + bytes([0, 0, 40, 0]) + bytes(40 * 128)
    assert len(read_audio(headless).waveform) >= 144_000
    assert len(read_audio(tag + headless).waveform) >= 144_000
    assert len(read_audio(tag + data).waveform) == 144_000
    assert len(read_audio(headless, start=5).waveform) >= 64_000


def test_memory_is_bounded(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros((8_000_000, 2), np.int16), 48_000)  # 64 MB as floats
    tracemalloc.start()
    num_samples = sum(len(block) for block in AudioStream(path, block_s=5))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_samples == round(8_000_000 / 3)
    assert peak_bytes < 12e6


@pytest.mark.parametrize(
    ("pattern", "form", "line"),
    [
        ("LibriSpeech/dev-wide/*/*/*.opus", "OGG/OPUS", None),
        ("LibriSpeech/dev-clean/*/*/*.mp3", "MP3/MPEG_LAYER_III", "band-limited: nothing above 5."),
        ("fsdd/**/*_theo_*.wav", "WAV/PCM_16", "resampled from 8000 Hz to 16000 Hz"),
    ],
)
def test_real_recordings(pattern, form, line):
    paths = sorted(real_material("data").glob(pattern))[:600:100]
    assert paths
    for path in paths:
        recording = read_audio(path)
        assert recording.quality.format == form
        assert -60 < recording.quality.rms_db < -5
        warnings = recording.quality.warnings()
        assert any(w.startswith(line) for w in warnings) if line else warnings == []
