"""Echoes of rooms: known, taken away, and nothing done to other recordings."""

import numpy as np
import pytest
from numpy.typing import NDArray
from speech import RATE_HZ, in_a_room, level_db, syllables

from asr.audio import Waveform
from asr.dereverberation import (
    ROOM_DB,
    SHORTEST_S,
    dereverberated,
    echo_db,
    is_from_a_room,
)
from asr.spectrum import LONGEST_S


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 44_100])
def test_echoes_are_known_and_taken_away(rate_hz: int):
    clear = syllables(8, rate_hz=rate_hz)
    heard = in_a_room(clear, rate_hz)
    assert echo_db(clear, rate_hz) < ROOM_DB < echo_db(heard, rate_hz)
    assert not is_from_a_room(clear, rate_hz) and is_from_a_room(heard, rate_hz)
    found = dereverberated(heard, rate_hz)
    assert found.dtype == np.float32 and found.shape == heard.shape
    frame = rate_hz // 20
    pauses = np.repeat(
        np.abs(clear[: len(clear) // frame * frame]).reshape(-1, frame).max(1) == 0, frame
    )
    pauses[:rate_hz] = False  # the filter knows nothing of what was before the recording
    before, after = (level_db(each[: len(pauses)][pauses]) for each in (heard, found))
    assert after < before - 4
    assert level_db(found - clear) < level_db(heard - clear) - 2


def test_a_clear_recording_stays_as_it_is():
    clear = syllables(8)
    assert dereverberated(clear, RATE_HZ) is clear


@pytest.mark.parametrize("seconds", [2.05, 3, 5])
def test_short_recordings_are_told_apart_as_well(seconds: float):
    """A filter fits a little of what cannot be predicted, and more of it in fewer frames."""
    clear = [syllables(seconds, seed) for seed in range(30)]
    assert sum(is_from_a_room(each, RATE_HZ) for each in clear) <= 3
    assert sum(is_from_a_room(in_a_room(each), RATE_HZ) for each in clear) >= 27


def test_each_minute_is_judged_by_itself():
    clear, heard = syllables(LONGEST_S), in_a_room(syllables(LONGEST_S))
    found = dereverberated(np.concatenate([clear, heard]), RATE_HZ)
    np.testing.assert_array_equal(found[: len(clear)], clear)
    np.testing.assert_array_equal(found[len(clear) :], dereverberated(heard, RATE_HZ))


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(0, np.float32),
        np.zeros(5 * RATE_HZ, np.float32),
        np.full(5 * RATE_HZ, 1e-30, np.float32),
        in_a_room(syllables(8))[: round(SHORTEST_S * RATE_HZ) - 1],
    ],
    ids=["nothing", "silence", "next to silence", "too short"],
)
def test_where_no_room_can_be_known_nothing_is_done(waveform: Waveform):
    assert dereverberated(waveform, RATE_HZ) is waveform


@pytest.mark.parametrize("gain", [1e-4, 8.0])
def test_loudness_does_not_matter(gain: float):
    heard = in_a_room(syllables(6))
    louder = dereverberated((gain * heard).astype(np.float32), RATE_HZ)
    expected = gain * dereverberated(heard, RATE_HZ)
    np.testing.assert_allclose(louder, expected, atol=2e-3 * np.abs(expected).max())


def test_what_cannot_be_heard_does_no_harm():
    """A tone can be predicted for ever, and digital silence has no loudness."""
    tone = np.sin(2 * np.pi * 440 * np.arange(6 * RATE_HZ) / RATE_HZ).astype(np.float32)
    half = np.concatenate([in_a_room(syllables(4)), np.zeros(4 * RATE_HZ, np.float32)])
    for waveform in (tone, half):
        assert np.isfinite(dereverberated(waveform, RATE_HZ)).all()


def test_a_long_recording_is_handled_in_pieces():
    heard = np.tile(in_a_room(syllables(8)), round(2 * LONGEST_S / 8))
    pieces = np.array_split(heard, 2)
    expected = [dereverberated(piece, RATE_HZ) for piece in pieces]
    np.testing.assert_array_equal(dereverberated(heard, RATE_HZ), np.concatenate(expected))


def predicted(frames: NDArray[np.complex128], taps: int, delay: int) -> NDArray[np.complex128]:
    """What earlier frames predict of the (T,) frames of a band, by least squares written out."""
    padded = np.concatenate([np.zeros(delay + taps - 1), frames])
    rows = [padded[t : t + taps] for t in range(len(frames))]  # delay and more before frame t
    rest = frames
    for _ in range(2):
        power = np.abs(rest) ** 2
        around = np.pad(power, 1, mode="edge")
        smooth = (around[:-2] + power + around[2:]) / 3
        weight = 1 / np.sqrt(np.maximum(smooth, 1e-3 * smooth.max()))
        matrix = np.array(rows) * weight[:, None]
        ridge = np.sqrt(1e-5 * np.square(np.abs(matrix)).sum() / taps) * np.eye(taps)
        wanted = np.concatenate([frames * weight, np.zeros(taps)])
        solved = np.linalg.lstsq(np.concatenate([matrix, ridge]), wanted, rcond=None)[0]
        rest = frames - np.array(rows) @ solved
    return frames - rest


def test_it_is_the_least_squares_of_the_paper():
    heard = in_a_room(syllables(6)).astype(np.float64)
    hop = round(0.032 * RATE_HZ)
    window = np.hanning(4 * hop + 1)[:-1]
    padded = np.pad(heard, (4 * hop, 4 * hop + -len(heard) % hop))
    starts = range(0, len(padded) - 4 * hop + 1, hop)
    spectrum = np.array([np.fft.rfft(padded[s : s + 4 * hop] * window) for s in starts])
    spectrum -= np.array([predicted(band, taps=10, delay=1) for band in spectrum.T]).T
    expected = np.zeros(len(padded))
    for start, frame in zip(starts, spectrum, strict=True):
        expected[start : start + 4 * hop] += np.fft.irfft(frame, 4 * hop) * window / 1.5
    expected = expected[4 * hop :][: len(heard)]
    found = dereverberated(heard.astype(np.float32), RATE_HZ)
    assert level_db(found - expected) < level_db(expected) - 40
