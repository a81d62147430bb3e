"""Headers whose sizes are wrong: recorders that lost power, streams, files beyond 4 GiB."""

import io
import struct

import numpy as np
import pytest
import soundfile

import asr.media.headers
import asr.media.window
from asr._regular import _move_and_read
from asr.audio import AudioStream, read_audio
from asr.errors import AudioError
from asr.media import open_sound

SAMPLES = (0.1 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32)


def encode(form="WAV", subtype="PCM_16", endian=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, 16_000, format=form, subtype=subtype, endian=endian)
    return bytearray(buffer.getvalue())


def patched(data, *fields):
    data = bytearray(data)
    for layout, at, value in fields:
        struct.pack_into(layout, data, at, value)
    return bytes(data)


def is_whole(data, **more):
    found = read_audio(data, **more)
    np.testing.assert_allclose(found.waveform, SAMPLES, atol=1 / 16_000)
    return found.quality.warnings()


def wav(size, riff=None, subtype="PCM_16", before=b"", endian=None):
    data = encode(subtype=subtype, endian=endian)
    at = data.index(b"data")
    order = ">" if endian == "BIG" else "<"
    fields = [(order + "I", at + 4 + len(before), size)]
    if riff is not None:
        fields.append((order + "I", 4, riff))
    return patched(data[:at] + before + data[at:], *fields)


JUNK = b"JUNK" + struct.pack("<I", 9000) + bytes(9000)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("before", [b"", JUNK, 2 * JUNK])
@pytest.mark.parametrize("riff", [0, None, 0xFFFF_FFFF])
def test_wav_that_was_never_closed(subtype, before, riff):
    (warning,) = is_whole(wav(0, riff, subtype, before))
    assert warning.startswith("its header gives no length, but ")


def test_wav_that_was_never_closed_without_pread(monkeypatch: pytest.MonkeyPatch):
    """Windows has none: the parts of the file are read by moving in it."""
    for module in (asr.media.headers, asr.media.window):
        monkeypatch.setattr(module, "read_at", _move_and_read)
    assert len(is_whole(wav(0, 0, before=JUNK))) == 1


def test_big_endian_wav_that_was_never_closed():
    assert len(is_whole(wav(0, 0, endian="BIG"))) == 1


def test_wav_whose_header_is_of_an_earlier_save():
    (warning,) = is_whole(wav(20_000, 20_036))
    assert (
        warning == "its header gives 20000 bytes, but 64000 bytes of sound are there: read them all"
    )


def test_chunks_and_padding_behind_the_sound_are_no_sound():
    whole = encode()
    for behind in (b"LIST" + struct.pack("<I", 400) + bytes(400), bytes(5000), b"\r\n"):
        assert is_whole(bytes(whole + behind)) == []
    assert is_whole(bytes(whole + b"LIST" + struct.pack("<I", 4000) + bytes(300))) == []
    noted = wav(0, len(whole) + 400) + b"bext" + struct.pack("<I", 392) + bytes(392)
    assert len(read_audio(noted).waveform) >= 32_000


@pytest.mark.parametrize("excess", [2, 8, 36, 44, 1_000_000_000, 1_500_000_000, 2_000_000_000])
@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "W64", "CAF"])
def test_sizes_that_are_too_large(form, excess):
    data = encode(form)
    at, layout = {
        "WAV": (data.find(b"data") + 4, "<I"),
        "AIFF": (data.find(b"SSND") + 4, ">I"),
        "AU": (8, ">I"),
        "W64": (data.find(b"data\xf3") + 16, "<Q"),
        "CAF": (data.find(b"data") + 4, ">Q"),
    }[form]
    size = struct.unpack_from(layout, data, at)[0]
    (warning,) = is_whole(patched(data, (layout, at, size + excess)))
    assert warning.startswith("its header promises ")
    assert warning.endswith(" are there")


def test_a_file_that_was_cut_is_still_an_error():
    with pytest.raises(AudioError, match=r"cut short: promises 64000 .*, holds 50000"):
        read_audio(bytes(encode()[: 44 + 50_000]))


def test_rf64_with_an_empty_or_missing_ds64():
    data = encode("RF64")
    at = data.index(b"ds64")
    assert len(is_whole(patched(data, *(("<Q", at + 8 + 8 * n, 0) for n in range(3))))) == 1
    assert len(is_whole(bytes(data[:at] + b"JUNK" + data[at + 4 :]))) == 1
    assert is_whole(bytes(b"BW64" + data[4:])) == []


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_aiff_that_was_never_closed_or_of_an_earlier_save(subtype):
    data = encode("AIFF", subtype)
    sound, common = data.index(b"SSND"), data.index(b"COMM")
    for size, frames in ((0, 0), (8, 0), (20_008, 10_000)):
        fields = (">I", sound + 4, size), (">I", common + 10, frames), (">I", 4, 0)
        assert len(is_whole(patched(data, *fields))) == 1


@pytest.mark.parametrize(
    ("form", "name", "shift", "layout", "sizes"),
    [
        ("AU", b".snd", 8, ">I", (0, 1000, 50_000)),
        ("W64", b"data\xf3", 16, "<Q", (0, 24, 50_024)),
        ("CAF", b"data", 4, ">q", (0, 4, 50_004, -1)),
    ],
)
def test_other_headers_that_were_never_closed(form, name, shift, layout, sizes):
    data = encode(form)
    for size in sizes:
        found = patched(data, (layout, data.index(name) + shift, size))
        assert len(is_whole(found)) == 1


GIB = 1 << 30
TONE = np.round(8000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 48_000)).astype("<i2")


@pytest.mark.parametrize(
    ("size", "field", "behind"),
    [
        (4 * GIB + 1_000_000, 1_000_000, b""),  # the size wrapped
        (9 * GIB, GIB, b"LIST" + struct.pack("<I", 400) + bytes(400)),
        (5 * GIB, 0xFFFF_FFFF, b""),  # streams that grew longer than was thought possible
        (3 * GIB, 0x7FFF_F000, b""),
    ],
)
def test_wav_beyond_what_its_fields_can_say(tmp_path, size, field, behind):
    path = tmp_path / "long.wav"
    with path.open("wb") as file:  # sparse
        file.write(b"RIFF" + struct.pack("<I", (size + 36) % (4 * GIB)) + b"WAVEfmt ")
        file.write(struct.pack("<IHHIIHH", 16, 1, 1, 48_000, 96_000, 2, 16))
        file.write(b"data" + struct.pack("<I", field))
        file.seek(44 + size - TONE.nbytes)
        file.write(TONE.tobytes() + behind)
    with open_sound(path) as sound:
        assert sound.frames == size // 2
        assert len(sound.repairs) == 1
    stream = AudioStream(path, start=size / 96_000 - 0.25)
    waveform = np.concatenate(list(stream))
    assert len(waveform) == 4_000
    assert np.abs(np.fft.rfft(waveform)).argmax() == 110  # 440 Hz in a quarter of a second
