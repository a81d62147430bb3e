"""Several recordings in one file, and files with holes; all audio is made here."""

import contextlib
import io
import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
import soundfile
import soxr

from asr.audio import AudioStream, read_audio
from asr.errors import AudioError
from asr.media.complaints import listening

KINDS = [("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", None), ("WAV", None)]
KINDS += [("AIFF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16"), ("CAF", "PCM_16")]
KINDS += [("NIST", "PCM_16"), ("RF64", "PCM_16"), ("WAV", "IMA_ADPCM"), ("AIFF", "FLOAT")]
ALL_READ = "holds 2 recordings, one after the other: read all"


def chirp(seconds, rate_hz=16_000, low=200, high=3_000):
    """A tone that rises, so that each moment of it is unlike the others."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))
    return (0.4 * np.sin(phase)).astype(np.float32)


def talk(seconds):
    """A chirp in noise, which no codec can make small."""
    noise = np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    return (0.5 * chirp(seconds) + 0.05 * noise).astype(np.float32)


def encode(samples, rate_hz=16_000, form="WAV", subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def untagged(mp3):
    """An MP3 file without the first frame, which holds its length."""
    tag = mp3.index(b"Info") if b"Info" in mp3[:500] else mp3.index(b"Xing")
    return mp3[mp3.index(mp3[:2], tag) :]


def alike(found, expected):
    return np.corrcoef(found[: len(expected)], expected[: len(found)])[0, 1] > 0.98


def best_likeness(found, expected):
    """Return the highest correlation of samples with a longer stretch, over all delays."""
    product = np.correlate(found, expected, "valid")
    energies = np.convolve(np.square(found), np.ones(len(expected)), "valid")
    return float((product / np.sqrt(energies * np.square(expected).sum())).max())


@pytest.mark.parametrize(("form", "subtype"), KINDS)
def test_joined_files_are_read_one_after_the_other(form, subtype):
    files = [
        encode(chirp(*about), form=form, subtype=subtype) for about in ((3,), (2, 16_000, 900))
    ]
    parts = [read_audio(file).waveform for file in files]
    joined = read_audio(b"".join(files))
    np.testing.assert_allclose(joined.waveform, np.concatenate(parts), atol=1e-6)
    assert joined.quality.repairs == (ALL_READ,)
    assert joined.quality.losses == ()


@pytest.mark.parametrize(("form", "subtype"), KINDS[:5])
def test_joined_files_of_other_rates_and_channels(form, subtype):
    stereo = np.stack([chirp(2, 48_000)] * 2, axis=1)
    data = encode(chirp(2), form=form, subtype=subtype) + encode(stereo, 48_000, form, subtype)
    found = read_audio(data)
    expected = soxr.resample(np.tile(chirp(2, 48_000), 2), 48_000, 16_000)
    assert abs(len(found.waveform) - len(expected)) < 3_000
    assert alike(found.waveform[-32_000:], chirp(2))
    assert ALL_READ in found.quality.warnings()


def test_three_links_of_two_codecs():
    a, b = (encode(chirp(2), form="OGG", subtype=subtype) for subtype in ("OPUS", "VORBIS"))
    found = read_audio(a + b + a)
    assert found.quality.duration == pytest.approx(6, abs=0.01)
    assert found.quality.warnings()[0] == "holds 3 recordings, one after the other: read all"


def test_mp3_joined_with_tags_between_and_without_a_length():
    a, b = encode(chirp(3), form="MP3"), encode(chirp(2), form="MP3")
    id3 = b"ID3\x03\0\0" + bytes([0, 0, 40, 0]) + bytes(40 * 128)
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little")
    tags = id3 + a + ape.ljust(32, b"\0") + bytes(1968) + b"TAG" + bytes(125)
    assert alike(read_audio(tags + id3 + b).waveform, np.concatenate([chirp(3), chirp(2)]))
    for first, second in ((a, untagged(b)), (untagged(a), b), (untagged(a), untagged(b))):
        found = read_audio(first + second)
        assert 5 <= found.quality.duration < 5.3
        assert found.quality.losses == ()


def test_a_piece_of_a_joined_file():
    whole = read_audio(encode(chirp(3), form="FLAC") + encode(chirp(2), form="FLAC"))
    data = encode(chirp(3), form="FLAC") + encode(chirp(2), form="FLAC")
    for start, duration in ((0.5, 1), (2.5, 1), (3, 2), (3.25, 0.5)):
        piece = read_audio(data, start=start, duration=duration).waveform
        first = round(start * 16_000)
        np.testing.assert_array_equal(piece, whole.waveform[first : first + len(piece)])
        assert len(piece) == duration * 16_000


def test_a_joined_file_that_is_cut_is_an_error():
    data = encode(chirp(3), form="FLAC") * 2
    with pytest.raises(AudioError, match="cut short"):
        read_audio(data[:-10_000])


def test_memory_is_bounded_for_many_links(tmp_path):
    path = tmp_path / "chain.flac"
    path.write_bytes(encode(chirp(30), form="FLAC") * 40)
    tracemalloc.start()
    num_samples = sum(len(block) for block in AudioStream(path, block_s=5))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_samples == 40 * 30 * 16_000
    assert peak_bytes < 12e6


def test_hole_of_zeros_in_an_mp3():
    data = bytearray(encode(talk(20), form="MP3"))
    middle, length = len(data) // 2, len(data) // 20  # one second
    data[middle : middle + length] = bytes(length)
    found = read_audio(bytes(data))
    assert found.quality.duration == pytest.approx(20, abs=0.2)  # silence stands for the hole
    assert len(found.quality.losses) == 1
    assert "bytes that are no MP3 after 10." in found.quality.losses[0]
    assert found.quality.warnings()[0] == found.quality.losses[0]
    for begin in (16_000, 240_000):  # an MP3 that is torn keeps the delay of its encoder, 0.1 s
        piece = talk(20)[begin : begin + 32_000]
        around = found.waveform[begin - 3_000 : begin + 38_000]
        assert best_likeness(around, piece) > 0.9


@pytest.mark.parametrize("at", [0.02, 0.5, 0.95])
@pytest.mark.parametrize("filling", [b"\0", b"\x55", b"\xff"])
def test_damage_of_an_mp3_costs_what_is_damaged(at, filling):
    data = bytearray(encode(talk(20), form="MP3"))
    begin = int(at * len(data))
    data[begin : begin + 3000] = filling * min(3000, len(data) - begin)
    found = read_audio(bytes(data[:]))
    assert found.quality.duration == pytest.approx(20, abs=0.5)
    assert found.quality.losses


def test_bytes_that_were_cut_out_of_an_mp3():
    data = encode(talk(20), form="MP3")
    found = read_audio(data[: len(data) // 2] + data[len(data) // 2 + len(data) // 20 + 1 :])
    assert found.quality.duration == pytest.approx(20, abs=0.2)
    assert "about 1." in found.quality.losses[0]


def test_what_looks_like_a_header_in_the_last_frame_is_none():
    """Compressed sound holds any bytes: here those of a header, 36 bytes before the end."""
    whole = encode(talk(3.3), form="MP3")  # its last frame has 144 bytes
    found = read_audio(whole[:-40] + b"\xff\xf3\x18" + whole[-37:])
    assert len(found.waveform) == len(read_audio(whole).waveform)
    assert (found.quality.repairs, found.quality.losses) == ((), ())


def test_half_an_mp3_before_a_whole_one():
    data = encode(talk(10), form="MP3")
    found = read_audio(data[: len(data) // 2] + data)
    assert found.quality.duration == pytest.approx(20, abs=0.2)
    assert "about 5." in found.quality.losses[0]


def pages(data):
    at = 0
    while at < len(data):
        count = data[at + 26]
        length = 27 + count + sum(data[at + 27 : at + 27 + count])
        yield at, length
        at += length


@pytest.mark.parametrize("how", ["lost", "zeroed", "flipped"])
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_lost_page_of_ogg(how, subtype):
    whole = encode(talk(20), form="OGG", subtype=subtype)
    places = list(pages(whole))
    at, length = places[len(places) // 2]
    data = bytearray(whole)
    if how == "lost":
        del data[at : at + length]
    elif how == "zeroed":
        data[at : at + length] = bytes(length)
    else:
        data[at + length // 2] ^= 0xFF
    found = read_audio(bytes(data))
    assert found.quality.duration == pytest.approx(20, abs=0.15)
    (loss,) = found.quality.losses
    assert loss.startswith("1 page of Ogg missing or damaged after ")
    expected = read_audio(whole).waveform
    assert np.corrcoef(found.waveform[:120_000], expected[:120_000])[0, 1] > 0.99
    if subtype == "OPUS":  # times behind the hole are right
        assert np.corrcoef(found.waveform[-80_000:], expected[-80_000:])[0, 1] > 0.9


def test_ogg_without_its_end_is_said():
    data = encode(talk(20), form="OGG", subtype="VORBIS")
    found = read_audio(data[: len(data) // 2])
    assert "has no end mark: it may have been cut short" in found.quality.warnings()
    assert read_audio(data).quality.repairs == ()


def test_many_holes_are_counted():
    data = bytearray(encode(talk(60), form="MP3"))
    for at in range(5_000, len(data) - 5_000, 5_000):
        data[at : at + 500] = bytes(500)
    losses = read_audio(bytes(data)).quality.losses
    assert len(losses) == 9
    assert losses[-1].startswith("and ")


NEEDS_GLIBC = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.confstr("CS_GNU_LIBC_VERSION") is None,
    reason="only glibc lets the decoder's lines be collected",
)
READ_DAMAGED = """
import sys, soundfile
from asr.audio import read_audio
try:
    print(len(read_audio(sys.argv[1]).quality.losses))
except Exception as error:
    print(error)
"""


@NEEDS_GLIBC
def test_the_decoder_prints_nothing(tmp_path):
    data = bytearray(encode(talk(20), form="MP3"))
    rng = np.random.default_rng(0)
    for at in rng.integers(1000, len(data), 60):
        data[at] ^= 0x5A
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    (tmp_path / "bad.mp3").write_bytes(data)
    alone = f"import soundfile; soundfile.read({str(tmp_path / 'bad.mp3')!r})"
    command = [sys.executable, "-c", alone]
    noisy = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "libmpg123" in noisy.stderr  # this is what is collected
    command = [sys.executable, "-c", READ_DAMAGED, str(tmp_path / "bad.mp3")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert int(done.stdout) > 0


@NEEDS_GLIBC
def test_complaints_go_to_the_thread_that_caused_them(tmp_path):
    good, bad = tmp_path / "good.mp3", tmp_path / "bad.mp3"
    data = bytearray(encode(chirp(20), form="MP3"))
    good.write_bytes(data)
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    bad.write_bytes(data)
    heard = {}

    def read(number, path):
        lines = []
        with listening(lines), contextlib.suppress(soundfile.SoundFileError):
            soundfile.read(path)
        heard[number] = lines

    threads = [threading.Thread(target=read, args=(n, (good, bad)[n % 2])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(bool(heard[number]) == bool(number % 2) for number in range(8))
