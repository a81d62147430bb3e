"""Whatever is handed to the intake: samples, or one AudioError that names the file."""

import io
import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folders import real_material

from asr.audio import AudioStream, read_audio
from asr.batch import list_audio
from asr.errors import AudioError


def encode(samples, rate_hz=16_000, form="WAV", subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def noise(num_frames=16_000, channels=1):
    return 0.1 * np.random.default_rng(0).standard_normal((num_frames, channels))


def refuse(source, *parts, **piece):
    """Assert that a source gives one line that names it and holds the parts."""
    with pytest.raises(AudioError) as raised:
        read_audio(source, **piece)
    message = str(raised.value)
    assert "\n" not in message
    name = "audio bytes" if isinstance(source, bytes) else str(source)
    for part in (name, *parts):
        assert part in message
    return message


def test_no_such_file(tmp_path):
    refuse(tmp_path / "missing.wav", "does not exist")
    refuse(str(tmp_path / "missing.wav"), "does not exist")


def test_not_a_file(tmp_path):
    refuse(tmp_path, "is a folder", "found by suffix, such as .wav")
    os.mkfifo(tmp_path / "pipe.wav")
    refuse(tmp_path / "pipe.wav", "is a pipe or device")
    refuse(Path("/dev/zero"), "is a pipe or device")
    refuse(tmp_path / ("n" * 5000), "cannot be opened")
    with pytest.raises(AudioError, match="cannot be opened"):
        read_audio("a\0b.wav")


def test_no_permission(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(encode(noise()))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    refuse(path, "may not be read")


NOT_AUDIO = {
    "text": b"the cat sat on the mat\n" * 50,
    "html": b"<!DOCTYPE html><html><body>404</body></html>" * 20,
    "zip": b"PK\x03\x04" + bytes(500),
    "m4a": b"\0\0\0\x20ftypM4A " + bytes(1000),
    "zeros": bytes(5000),
    "an ID3 tag alone": b"ID3\x03\0\0\0\0\x10\0" + bytes(3000),
    "an MP3 sync word alone": b"\xff\xfb\x90\x00" + bytes(3000),
    "Ogg magic alone": b"OggS" + bytes(1000),
    "RIFF magic alone": b"RIFF",
}


@pytest.mark.parametrize("content", NOT_AUDIO.values(), ids=NOT_AUDIO.keys())
def test_not_audio(tmp_path, content):
    refuse(content, "cannot be read as audio", "convert it")
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    refuse(path, "cannot be read as audio")
    raw = tmp_path / "a.raw"
    raw.write_bytes(content)
    refuse(raw, "cannot be read as audio")


def test_empty(tmp_path):
    (tmp_path / "a.wav").touch()
    refuse(tmp_path / "a.wav", "is empty (0 bytes)")
    refuse(b"", "is empty (0 bytes)")


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF"])
def test_no_samples(form):
    refuse(encode(noise(0), form=form), "audio bytes")


def test_an_empty_recording_with_notes_after_it_is_not_an_unclosed_one():
    data = bytearray(encode(noise(0))) + b"LIST" + struct.pack("<I", 400) + bytes(400)
    struct.pack_into("<I", data, 4, len(data) - 8)
    refuse(bytes(data), "holds 0 sample(s)")


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        *[
            ("WAV", "PCM_16"),
            ("WAV", "FLOAT"),
            ("WAV", "ULAW"),
            ("WAV", "GSM610"),
            ("AU", "PCM_16"),
        ],
        *[("AIFF", "PCM_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"), ("NIST", "PCM_16")],
        *[("FLAC", "PCM_16"), ("CAF", "PCM_16"), ("MP3", "MPEG_LAYER_III")],
    ],
)
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_cut_short(form, subtype, share):
    data = encode(noise(64_000), form=form, subtype=subtype)
    refuse(data[: int(share * len(data))])


def test_cut_short_gives_both_lengths():
    data = encode(noise(16_000))
    refuse(data[: 44 + 20_000], "promises 32000", "holds 20000", "--ignore-length")


def test_cut_ogg_is_read_to_the_cut():
    data = encode(noise(64_000), form="OGG", subtype="VORBIS")
    assert 8_000 < len(read_audio(data[: len(data) // 2]).waveform) < 48_000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_not_a_number(value, subtype):
    samples = noise()[:, 0]
    with np.errstate(over="ignore"):
        samples[12_345] = value
        refuse(encode(samples, subtype=subtype), "not numbers")


def test_integers_kept_as_floats():
    refuse(encode(noise() * 30_000, subtype="FLOAT"), "full scale is 1.0", "divide them by 32768")


@pytest.mark.parametrize("rate_hz", [1, 3_999, 768_001, 2**31 - 1])
def test_absurd_rate(tmp_path, rate_hz):
    refuse(encode(noise(), rate_hz), f"{rate_hz} Hz", "allowed: 4000..768000")


def test_absurd_number_of_channels():
    refuse(encode(noise(100, 65)), "65 channels", "allowed: 1..64")


@pytest.mark.parametrize(
    ("piece", "part"),
    [
        ({"start": -1}, "start is -1"),
        ({"start": float("nan")}, "start is nan"),
        ({"duration": 0}, "duration is 0"),
        ({"duration": float("inf")}, "duration is inf"),
        ({"start": 1.0}, "lasts 1.00 s"),
        ({"start": 0.5, "duration": 0.7}, "from 0.50 s to 1.20 s"),
    ],
)
def test_a_piece_that_is_not_there(piece, part):
    refuse(encode(noise()), part, **piece)


def test_a_piece_that_is_not_there_in_a_file_of_unknown_length():
    data = bytearray(encode(noise(), form="FLAC"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    refuse(bytes(data), "promises 1.50 s, ends after 1.00 s", start=0.5, duration=1)


def test_damage_in_the_middle_comes_after_good_blocks():
    data = bytearray(encode(noise(480_000), form="FLAC"))
    data = data[: len(data) * 3 // 4]
    blocks = iter(AudioStream(bytes(data), block_s=1))
    assert next(blocks).shape == (16_000,)
    with pytest.raises(AudioError, match=r"cut short or damaged after 2\d\.\d\d s"):
        list(blocks)


def test_a_reader_that_stops_early_leaves_nothing_open(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encode(noise()))
    blocks = iter(AudioStream(path, block_s=0.1))
    next(blocks)
    blocks.close()
    fds = Path("/proc/self/fd")
    if fds.is_dir():
        assert str(path) not in [str(fd.readlink()) for fd in fds.iterdir() if fd.is_symlink()]


def survive(data):
    """Read; whatever comes must be samples or one line."""
    try:
        recording = read_audio(data)
    except AudioError as error:
        assert str(error).startswith("audio bytes: ")
        return False
    assert len(recording.waveform) > 0
    assert np.isfinite(recording.waveform).all()
    return True


FORMS = [
    *[("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24")],
    *[("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "ULAW"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
    *[("MP3", "MPEG_LAYER_III"), ("NIST", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16")],
]


@pytest.mark.parametrize(("form", "subtype"), FORMS)
def test_random_cuts_and_flips(form, subtype):
    rng = np.random.default_rng(1)
    whole = encode(noise(4_000, 2), form=form, subtype=subtype)
    assert survive(whole)
    for _ in range(15):
        survive(whole[: rng.integers(1, len(whole))])
        flipped = np.frombuffer(whole, np.uint8).copy()
        in_header = rng.integers(0, min(120, len(whole)), 2)
        anywhere = rng.integers(0, len(whole), 3)
        for at in (*in_header, *anywhere):
            flipped[at] ^= rng.integers(1, 256)
        survive(flipped.tobytes())


def test_a_wav_of_the_standard_library_is_whole():
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(bytes(range(200)))
    expected = np.frombuffer(bytes(range(200)), "<i2") / 32_768
    np.testing.assert_array_equal(read_audio(buffer.getvalue()).waveform, expected)


def test_collections_of_bad_files():
    folder = real_material("badinput")
    for path in list_audio([str(folder), str(folder / "**" / "*.t*")]):
        try:
            assert np.isfinite(read_audio(path).waveform).all()
        except AudioError as error:
            assert str(error).startswith(f"{path}: ")
