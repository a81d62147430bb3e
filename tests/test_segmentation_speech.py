"""What is no speech gives no text: generated silence, noise, hum, tones, clicks and music."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asr
from asr.recognize import Recognizer
from asr.segmentation import certain_blanks, doubts, speech_log_probs, stands_out

RATE_HZ = 16_000
FRAME, FRAME_S = 480, 0.03


@cache
def english() -> Recognizer:
    return asr.load_model()


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def white(seconds: float, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(round(seconds * RATE_HZ))


def coloured(seconds: float, rng: np.random.Generator, slope: float) -> np.ndarray:
    """Noise whose amplitude falls with frequency ** slope: 0.5 is pink, 1 is brown."""
    spectrum = np.fft.rfft(white(seconds, rng))
    spectrum[0] = 0
    spectrum[1:] /= np.arange(1, len(spectrum)) ** slope
    noise = np.fft.irfft(spectrum)
    return noise / np.abs(noise).max()


def chord(seconds: float, frequencies_hz: tuple[float, ...]) -> np.ndarray:
    time = times(seconds)
    return sum(np.sin(2 * np.pi * hz * time) for hz in frequencies_hz) / len(frequencies_hz)


def clicks(seconds: float, rng: np.random.Generator) -> np.ndarray:
    waveform = 1e-3 * white(seconds, rng)
    waveform[rng.integers(0, len(waveform), round(3 * seconds))] += 2.0
    return waveform


def music(seconds: float, rng: np.random.Generator, *, drums: bool, decay: float) -> np.ndarray:
    """Broken chords of notes with overtones, a note each quarter of a second, and a beat."""
    waveform = np.zeros(round((seconds + 1) * RATE_HZ))
    time = times(0.6)
    attack = np.minimum(1, time / 0.01)
    for number in range(round(seconds * 4)):
        semitones = (0, 4, 7, 12, 7, 4)[number % 6] + (0, 5, 7, -3)[number // 8 % 4]
        hz = 220 * 2 ** (semitones / 12)
        note = sum(0.6**k * np.sin(2 * np.pi * hz * k * time) for k in range(1, 7))
        note = note * attack * np.exp(-decay * time)
        if drums and number % 4 == 0:
            note += 2 * np.sin(2 * np.pi * 70 * time) * np.exp(-20 * time)
        if drums and number % 4 == 2:
            note += 0.5 * white(0.6, rng) * np.exp(-30 * time)
        start = number * RATE_HZ // 4
        waveform[start : start + len(note)] += note
    return waveform[: round(seconds * RATE_HZ)] / 4


def sounds(seconds: float, seed: int = 0) -> dict[str, np.ndarray]:
    """What is no speech, by name."""
    rng = np.random.default_rng(seed)
    swell = (1 + np.sin(2 * np.pi * 0.5 * times(seconds))) / 2
    return {
        "silence": np.zeros(round(seconds * RATE_HZ)),
        "faint noise": 1e-4 * white(seconds, rng),
        "white noise": 0.1 * white(seconds, rng),
        "pink noise": 0.5 * coloured(seconds, rng, 0.5),
        "brown noise": 0.5 * coloured(seconds, rng, 1.0),
        "swelling noise": 0.2 * swell * white(seconds, rng),
        "hum of 50 Hz": 0.3 * chord(seconds, (50, 100, 150, 200)),
        "hum of 60 Hz": 0.3 * chord(seconds, (60, 120, 180)) + 1e-3 * white(seconds, rng),
        "tone": 0.3 * chord(seconds, (1000,)),
        "tone in noise": 0.3 * chord(seconds, (440,)) + 0.01 * white(seconds, rng),
        "chord": 0.3 * chord(seconds, (261.6, 329.6, 392.0)),
        "beeps": 0.3 * chord(seconds, (800,)) * (times(seconds) % 1 < 0.3),
        "offset": np.full(round(seconds * RATE_HZ), 0.2) + 1e-3 * white(seconds, rng),
        "clicks": 0.3 * clicks(seconds, rng),
        "harp": 0.5 * music(seconds, rng, drums=False, decay=4.0),
        "band": 0.5 * music(seconds, rng, drums=True, decay=8.0),
    }


def text_of(waveform: np.ndarray) -> str:
    """What the English model reads, by its best path, in a waveform."""
    recognizer = Recognizer(english().acoustics)
    segments = recognizer.log_probs([waveform.astype(np.float32)])
    return " ".join(recognizer.decoder.decode(segment)[0].text for segment in segments).strip()


@pytest.mark.parametrize("name", sounds(1.0))
def test_no_text_from_what_is_no_speech(name: str):
    assert text_of(sounds(15.0)[name]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sounds(1.0))
def test_no_text_from_four_minutes_of_each(name: str):
    assert text_of(sounds(240.0, seed=1)[name]) == ""


def bursts(*loud_s: tuple[float, float], seconds: float, noise: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    waveform = noise * white(seconds, rng)
    for start, end in loud_s:
        waveform[round(start * RATE_HZ) : round(end * RATE_HZ)] += 0.1 * white(end - start, rng)
    return waveform.astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 1e-3, 0.02])
def test_what_stands_out_has_its_margins(noise: float):
    listened = stands_out(bursts((8.0, 9.0), seconds=20.0, noise=noise), FRAME, FRAME_S)
    heard = np.flatnonzero(listened) * FRAME_S
    assert heard[0] == pytest.approx(7.5, abs=0.15)
    assert heard[-1] == pytest.approx(9.5, abs=0.15)
    assert listened[round(7.6 / FRAME_S) : round(9.4 / FRAME_S)].all()


def test_pauses_belong_to_the_speech_around_them():
    waveform = bursts((3.0, 4.0), (5.8, 7.0), (12.0, 13.0), seconds=20.0, noise=1e-3)
    listened = stands_out(waveform, FRAME, FRAME_S)
    edges = np.flatnonzero(np.diff(listened.astype(int))) * FRAME_S
    assert edges == pytest.approx([2.5, 7.5, 11.5, 13.5], abs=0.15)


@pytest.mark.parametrize("seed", range(10))
def test_clicks_do_not_stand_out(seed: int):
    waveform = 0.3 * clicks(15.0, np.random.default_rng(seed)).astype(np.float32)
    assert not stands_out(waveform, FRAME, FRAME_S).any()


def test_a_short_recording_is_heard_unless_silent():
    assert stands_out(np.full(RATE_HZ, 0.1, np.float32), FRAME, FRAME_S).all()
    assert not stands_out(np.full(RATE_HZ, 5e-4, np.float32), FRAME, FRAME_S).any()


@given(st.integers(1, 3000))
def test_there_is_an_answer_for_each_frame(num_samples: int):
    waveform = np.ones(num_samples, np.float32)
    assert len(stands_out(waveform, FRAME, FRAME_S)) == num_samples // FRAME + 1


def test_doubt_is_entropy_for_each_token():
    certain, torn = [0.0, -np.inf, -np.inf], list(np.log([0.2, 0.4, 0.4]))
    log_probs = np.array([certain, torn, certain, certain], np.float32)
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.4))
    beside = (entropy + 20) / 21  # with twenty tokens of one nat
    assert doubts(log_probs, 1) == pytest.approx([beside, beside, beside, 1.0], rel=1e-5)
    half = np.log(np.array([[0.6, 0.2, 0.2]], np.float32))
    unread = -(0.6 * np.log(0.6) + 0.4 * np.log(0.2))
    assert doubts(half, 1)[0] == pytest.approx((unread + 20) / 20, rel=1e-5)


class Sure:
    """A model that is sure of phone 1 wherever it is louder than 0.01; torn: of no token there."""

    vocabulary = ("<blank>", *"ABCDEFGHIJ")
    sample_rate_hz, frame_shift_ms = RATE_HZ, 30.0

    def __init__(self, *, torn: bool = False) -> None:
        self.torn = torn
        self.heard = 0

    def with_tokens(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.heard += len(waveform)
        padded = np.pad(waveform, (0, FRAME - len(waveform) % FRAME)).reshape(-1, FRAME)
        read = [[0.01, 0.98, *[0.01 / 9] * 9], [0.98, 0.01, *[0.01 / 9] * 9]]
        torn = [[0.02, *[0.098] * 10], [0.4, *[0.06] * 10]]
        loud = np.abs(padded).max(axis=1) > 0.01
        rows = (read, torn if self.torn else read)
        return tuple(np.log(np.where(loud[:, None], *row)).astype(np.float32) for row in rows)


def test_frames_keep_their_places_and_silence_is_not_computed():
    model, waveform = Sure(), bursts((8.0, 9.0), (15.0, 15.5), seconds=20.0, noise=1e-4)
    log_probs = speech_log_probs(model, waveform)
    assert len(log_probs) == len(waveform) // FRAME + 1
    said = np.flatnonzero(log_probs.argmax(axis=1)) * FRAME_S
    assert said[[0, -1]] == pytest.approx([8.0, 15.5], abs=0.06)
    assert model.heard < 4 * RATE_HZ
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1, rtol=1e-5)


def test_what_the_model_cannot_read_is_blank():
    waveform = bursts((8.0, 9.0), seconds=20.0, noise=1e-4)
    log_probs = speech_log_probs(Sure(torn=True), waveform)
    np.testing.assert_array_equal(log_probs, certain_blanks(len(log_probs), 11))
