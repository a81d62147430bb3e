"""Live sessions with the model of the smoke recipe: partial and final words, and their times."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import asr
from asr.decode import DecoderConfig, Rescorer
from asr.errors import AudioError
from asr.manifest import Utterance, read_manifest
from asr.recognize import Recognizer
from asr.streaming import EndOfSpeech, LiveEvent, LiveSession, LiveWords

RATE_HZ = 16_000
PAUSE = 2 * RATE_HZ


@pytest.fixture(scope="module")
def model(smoke: Path) -> Recognizer:
    return asr.load_model(smoke / "exp")


@pytest.fixture(scope="module")
def spoken(smoke: Path) -> list[Utterance]:
    return read_manifest(smoke / "data" / "test.jsonl")[:3]


def with_pauses(utterances: list[Utterance]) -> np.ndarray:
    rng = np.random.default_rng(0)
    sounds = [s for u in utterances for s in (soundfile.read(u.audio)[0], np.zeros(PAUSE))]
    sound = np.concatenate(sounds)
    return (sound + 1e-4 * rng.standard_normal(len(sound))).astype(np.float32)


def heard(
    model: Recognizer, sound: np.ndarray, rate_hz: int = RATE_HZ, piece: int = 1600
) -> list[tuple[float, LiveEvent]]:
    """Return the events, each with the seconds of sound that it took."""
    events: list[tuple[float, LiveEvent]] = []
    session = LiveSession(model, rate_hz, lambda e: events.append((session.duration, e)))
    for begin in range(0, len(sound), piece):
        session.add(sound[begin : begin + piece])
    session.close()
    assert session.duration == pytest.approx(len(sound) / rate_hz)
    return events


def final_words(events: Sequence[tuple[float, LiveEvent]]) -> list[asr.Word]:
    return [word for _, e in events if isinstance(e, LiveWords) for word in e.final]


def ends(events: Sequence[tuple[float, LiveEvent]]) -> list[asr.Segment]:
    return [e.segment for _, e in events if isinstance(e, EndOfSpeech)]


def test_final_words_are_each_said_once_and_in_order(model: Recognizer, spoken: list[Utterance]):
    events = heard(model, with_pauses(spoken))
    words = final_words(events)
    assert [word.word for word in words] == " ".join(u.text for u in spoken).split()
    assert all(a.end <= b.start + 0.1 for a, b in itertools.pairwise(words))


def test_each_pause_ends_a_segment(model: Recognizer, spoken: list[Utterance]):
    segments = ends(heard(model, with_pauses(spoken)))
    assert [segment.text for segment in segments] == [u.text for u in spoken]
    starts = np.cumsum([0.0] + [len(soundfile.read(u.audio)[0]) / RATE_HZ + 2 for u in spoken])
    for segment, start, end in zip(segments, starts, starts[1:], strict=False):
        assert start < segment.start < segment.end < end - 1.9
        assert (segment.words[0].start, segment.words[-1].end) == (segment.start, segment.end)


def test_times_are_those_of_the_whole_recording(
    model: Recognizer, spoken: list[Utterance], tmp_path: Path
):
    sound = with_pauses(spoken)
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ)
    whole = model.transcribe(tmp_path / "a.wav", words=True).words
    for word, expected in zip(final_words(heard(model, sound)), whole, strict=True):
        assert (word.start, word.end) == pytest.approx((expected.start, expected.end), abs=0.1)


def test_partial_words_come_before_final_ones(model: Recognizer, spoken: list[Utterance]):
    events = heard(model, with_pauses(spoken[:1]))
    first_seen = dict[str, float]()
    for at, event in events:
        if isinstance(event, LiveWords):
            for word in event.partial:
                first_seen.setdefault(word.word, at - word.end)
    delays = [at - w.end for at, e in events if isinstance(e, LiveWords) for w in e.final]
    assert np.median(list(first_seen.values())) < 0.7
    assert max(delays) < 2.0


def test_partial_words_vanish_with_the_end(model: Recognizer, spoken: list[Utterance]):
    *_, last = (e for _, e in heard(model, with_pauses(spoken)) if isinstance(e, LiveWords))
    assert last.partial == ()


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_other_rates(model: Recognizer, spoken: list[Utterance], rate_hz: int):
    sound = soxr.resample(with_pauses(spoken[:2]), RATE_HZ, rate_hz)
    segments = ends(heard(model, sound, rate_hz, piece=rate_hz // 10))
    assert [segment.text for segment in segments] == [u.text for u in spoken[:2]]


@pytest.mark.parametrize("piece", [100, 5000, 200_000])
def test_pieces_may_have_any_length(model: Recognizer, spoken: list[Utterance], piece: int):
    segments = ends(heard(model, with_pauses(spoken), piece=piece))
    assert [segment.text for segment in segments] == [u.text for u in spoken]


def test_a_search_that_goes_on_finds_what_a_new_one_does(smoke: Path, spoken: list[Utterance]):
    beam = asr.load_model(smoke / "exp", asr.DecodingOptions(decoder="beam"))
    plain = Recognizer(beam.acoustics, _Hidden(beam.decoder))
    sound = with_pauses(spoken)
    assert final_words(heard(beam, sound)) == final_words(heard(plain, sound))


class _Hidden:
    """A beam search that does not say what it is, so that each step searches anew."""

    def __init__(self, decoder: object) -> None:
        self._decoder = decoder

    def decode(self, log_probs: np.ndarray, nbest: int = 1):
        return self._decoder.decode(log_probs, nbest)


def test_the_end_of_a_segment_is_rescored(model: Recognizer, spoken: list[Utterance]):
    class Counts:
        calls = 0

        def score(self, texts: Sequence[str]) -> list[float]:
            self.calls += 1
            return [0.0] * len(texts)

    scorer = Counts()
    rescored = Recognizer(model.acoustics, Rescorer(model.decoder, scorer, DecoderConfig()))
    assert [s.text for s in ends(heard(rescored, with_pauses(spoken)))] == [u.text for u in spoken]
    assert scorer.calls <= len(spoken) + 1


@pytest.mark.parametrize("sound", [np.zeros(0), np.zeros(3 * RATE_HZ), np.zeros(7)])
def test_no_speech_gives_no_event(model: Recognizer, sound: np.ndarray):
    assert heard(model, sound.astype(np.float32)) == []


def test_memory_is_bounded(model: Recognizer, spoken: list[Utterance]):
    session = LiveSession(model, RATE_HZ, lambda _: None)
    sound = with_pauses(spoken)
    for begin in range(0, 4 * len(sound), 8000):
        session.add(sound[begin % len(sound) :][:8000])
        assert len(session.heard) <= 12 * RATE_HZ
        assert len(session.segmenter.held) * model.acoustics.frame_shift_ms <= 31_000


@pytest.mark.parametrize("rate_hz", [0, 999, 10**7])
def test_impossible_rates_are_refused(model: Recognizer, rate_hz: int):
    with pytest.raises(AudioError, match=f"{rate_hz} Hz; allowed: 1000"):
        LiveSession(model, rate_hz, lambda _: None)
