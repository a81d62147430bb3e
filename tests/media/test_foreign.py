"""Formats that FFmpeg reads: whole, in bounded memory, and nothing but the file itself."""

import io
import sys
import tracemalloc

import numpy as np
import pytest

from asr._install import install
from asr.audio import AudioStream, read_audio
from asr.errors import AudioError, MissingDependencyError, MissingReaderError
from asr.media import foreign

KINDS = [
    ("mp4", "aac", 44_100),
    ("ipod", "aac", 16_000),
    ("3gp", "aac", 16_000),
    ("webm", "libopus", 48_000),
    ("matroska", "aac", 22_050),
    ("asf", "wmav2", 44_100),
    ("adts", "aac", 16_000),
    ("mpegts", "aac", 48_000),
    ("wv", "wavpack", 16_000),
    ("amr", "libopencore_amrnb", 8_000),
    ("ac3", "ac3", 48_000),
]


def tone(seconds, rate_hz):
    return (0.4 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def encode(form, codec, rate_hz, seconds=3, tracks=1):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        streams = [container.add_stream(codec, rate=rate_hz, layout="mono") for _ in range(tracks)]
        for stream in streams:
            if codec == "wmav2":
                stream.bit_rate = 96_000
            samples = tone(seconds, rate_hz)
            resampler = av.AudioResampler(stream.format.name, "mono", rate_hz)
            fifo = av.AudioFifo()
            frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
            frame.sample_rate = rate_hz
            for part in resampler.resample(frame):
                fifo.write(part)
            size = stream.codec_context.frame_size or 1024
            while part := fifo.read(size, partial=True):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(("form", "codec", "rate_hz"), KINDS)
def test_formats_of_phones_and_browsers(tmp_path, form, codec, rate_hz):
    data = encode(form, codec, rate_hz)
    (tmp_path / "a").write_bytes(data)
    for source in (data, tmp_path / "a"):
        found = read_audio(source)
        assert found.quality.duration == pytest.approx(3, abs=0.15)
        assert found.quality.losses == ()
        middle = found.waveform[8_000:24_000]
        assert np.abs(np.fft.rfft(middle)).argmax() == 440
        assert np.sqrt(np.square(middle).mean()) == pytest.approx(0.283, abs=0.05)  # AMR is quieter


def test_a_piece():
    data = encode("mp4", "aac", 16_000)
    whole = read_audio(data).waveform
    np.testing.assert_array_equal(
        read_audio(data, start=1, duration=0.5).waveform, whole[16_000:24_000]
    )


def test_one_of_several_tracks_is_said():
    (loss,) = read_audio(encode("matroska", "aac", 16_000, tracks=2)).quality.losses
    assert loss == "has 2 tracks of sound: read track 1 alone"


def test_a_file_that_was_cut_says_so():
    data = encode("matroska", "aac", 16_000, seconds=20)
    found = read_audio(data[: len(data) // 2])
    assert 5 < found.quality.duration < 15
    assert "was it cut short?" in found.quality.losses[-1]
    whole = encode("mp4", "aac", 16_000)
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_audio(whole[: len(whole) // 2])  # its table stands at the end


def test_damage_is_one_error_or_findings():
    rng = np.random.default_rng(0)
    for form, codec, rate_hz in KINDS[:7]:
        data = encode(form, codec, rate_hz)
        for _ in range(6):
            damaged = bytearray(data)
            for at in rng.integers(0, len(data), 20):
                damaged[at] ^= rng.integers(1, 256)
            try:
                assert np.isfinite(read_audio(bytes(damaged)).waveform).all()
            except AudioError as error:
                assert str(error).startswith("audio bytes: ")


def test_memory_is_bounded(tmp_path):
    (tmp_path / "long.mka").write_bytes(encode("matroska", "aac", 16_000, seconds=400))
    tracemalloc.start()
    num_samples = sum(len(block) for block in AudioStream(tmp_path / "long.mka", block_s=5))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_samples == pytest.approx(400 * 16_000, rel=0.01)
    assert peak_bytes < 12e6


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("listing", [PLAYLIST, "ffconcat version 1.0\nfile {}\n", "v=0\n{}\n"])
def test_a_playlist_opens_nothing(tmp_path, listing):
    (tmp_path / "secret.wv").write_bytes(encode("wv", "wavpack", 16_000))
    path = tmp_path / "list.m4a"
    path.write_text(listing.format(tmp_path / "secret.wv"))
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read_audio(path)


def test_without_pyav_there_is_one_exact_remedy(monkeypatch):
    data = encode("mp4", "aac", 16_000)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingReaderError) as raised:
        read_audio(data)
    assert isinstance(raised.value, MissingDependencyError)
    assert isinstance(raised.value, AudioError)
    assert raised.value.exit_status == 1
    assert f"install it: {install('media')}" in str(raised.value)
    assert not foreign.has_reader()
