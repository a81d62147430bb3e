"""Words from sound that is still arriving, with the model of the smoke recipe."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, strategies as st

import asr
from asr.decode import DecoderConfig, Rescorer
from asr.errors import AudioError
from asr.formats import Word
from asr.manifest import Utterance, read_manifest
from asr.recognize import Recognizer
from asr.streaming.live import LEFT_S, RIGHT_S, STEP_S, Line, Listener, run_live

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def model(smoke: Path) -> Recognizer:
    return asr.load_model(smoke / "exp")


@pytest.fixture(scope="module")
def spoken(smoke: Path) -> list[Utterance]:
    return read_manifest(smoke / "data" / "test.jsonl")[:4]


def pcm(waveform: np.ndarray) -> bytes:
    return (waveform * 32767).astype("<i2").tobytes()


def with_pauses(utterances: list[Utterance]) -> np.ndarray:
    rng = np.random.default_rng(0)
    pause = np.zeros(2 * RATE_HZ)
    sounds = [s for u in utterances for s in (soundfile.read(u.audio)[0], pause)]
    return np.concatenate(sounds) + 1e-4 * rng.standard_normal(sum(map(len, sounds)))


def live_text(model: Recognizer, content: bytes, rate_hz: int = RATE_HZ) -> str:
    written: list[str] = []
    run_live(model, io.BytesIO(content), written.append, rate_hz)
    return "".join(written)


def test_a_line_for_each_pause_and_each_word_once(model: Recognizer, spoken: list[Utterance]):
    text = live_text(model, pcm(with_pauses(spoken)))
    assert text == "".join(f"{utterance.text}\n" for utterance in spoken)


def test_only_whole_lines_are_rescored(model: Recognizer, spoken: list[Utterance]):
    class Counts:
        calls = 0

        def score(self, texts: Sequence[str]) -> list[float]:
            self.calls += 1
            return [0.0] * len(texts)

    scorer = Counts()
    rescored = Recognizer(model.acoustics, Rescorer(model.decoder, scorer, DecoderConfig()))
    text = live_text(rescored, pcm(with_pauses(spoken)))
    assert text == "".join(f"{utterance.text}\n" for utterance in spoken)
    assert scorer.calls <= len(spoken) + 1  # or the silence at the end


def test_other_rates_are_resampled(model: Recognizer, spoken: list[Utterance]):
    waveform = soxr.resample(with_pauses(spoken[:2]), RATE_HZ, 44_100)
    text = live_text(model, pcm(waveform), 44_100)
    assert text == "".join(f"{utterance.text}\n" for utterance in spoken[:2])


def test_speech_without_a_pause_gives_each_word_once(model: Recognizer, spoken: list[Utterance]):
    sounds = [soundfile.read(utterance.audio)[0] for utterance in spoken * 8]
    text = live_text(model, pcm(np.concatenate(sounds)))
    assert sum(map(len, sounds)) > 35 * RATE_HZ
    assert text.split() == [word for u in spoken * 8 for word in u.text.split()]


class Trickle(io.BytesIO):
    """A stream that gives a few bytes at a time, and odd numbers of them."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 4321))


def test_a_trickling_stream_gives_the_same(model: Recognizer, spoken: list[Utterance]):
    written: list[str] = []
    run_live(model, Trickle(pcm(with_pauses(spoken[:2]))), written.append, RATE_HZ)
    assert "".join(written) == "".join(f"{utterance.text}\n" for utterance in spoken[:2])


def test_the_end_of_the_stream_ends_the_line(model: Recognizer, spoken: list[Utterance]):
    sound, _ = soundfile.read(spoken[0].audio)
    assert live_text(model, pcm(sound) + b"\x01") == f"{spoken[0].text}\n"


def test_a_stream_that_ends_within_a_word_is_no_error(model: Recognizer, spoken: list[Utterance]):
    words = model.transcribe(spoken[0].audio, words=True).words
    sound, _ = soundfile.read(spoken[0].audio)
    middle = round((words[-1].start + words[-1].end) / 2 * RATE_HZ)
    text = live_text(model, pcm(sound[:middle]))
    assert text.split()[: len(words) - 1] == [word.word for word in words[:-1]]


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x01\x02", b"\x00" * 100_000])
def test_nothing_is_written_without_speech(model: Recognizer, content: bytes):
    assert live_text(model, content) == ""


def test_words_appear_while_the_stream_goes_on(model: Recognizer, spoken: list[Utterance]):
    stream, heard = io.BytesIO(pcm(with_pauses(spoken[:2]))), []
    run_live(model, stream, lambda _: heard.append(stream.tell() / 2 / RATE_HZ), RATE_HZ)
    ends = [word.end for word in model.transcribe(spoken[0].audio, words=True).words]
    for end, at in zip(ends[:-1], heard, strict=False):
        assert at - end < RIGHT_S + 3 * STEP_S + 1.0  # and the word that follows


def test_memory_is_bounded(model: Recognizer, spoken: list[Utterance]):
    listener = Listener(model, lambda _: None)
    sound = with_pauses(spoken).astype(np.float32)
    for step in np.split(sound, range(8000, len(sound), 8000)):
        listener.hear(step)
        assert len(listener.heard) <= (LEFT_S + RIGHT_S + STEP_S + 0.1) * RATE_HZ
        assert len(listener.segmenter.held) * model.acoustics.frame_shift_ms <= 31_000


@pytest.mark.parametrize("rate_hz", [0, -8000, 999, 10**7])
def test_impossible_rates_are_refused(model: Recognizer, rate_hz: int):
    with pytest.raises(AudioError, match=f"{rate_hz} Hz; allowed: 1000"):
        run_live(model, io.BytesIO(), lambda _: None, rate_hz)


def timed(slots: Sequence[Sequence[str]], jitter: float = 0.0, seed: int = 0) -> list[Word]:
    """Words with times: each slot is a second, which its words share; bounds move by the jitter."""
    move = np.random.default_rng(seed).uniform(-jitter, jitter, len(slots) + 1)
    words = []
    for place, slot in enumerate(slots):
        bounds = np.linspace(place + move[place], place + 1 + move[place + 1], len(slot) + 1)
        words += [
            Word(word, float(start), float(end), 1.0)
            for word, start, end in zip(slot, bounds[:-1], bounds[1:], strict=True)
        ]
    return words


def words_in(text: str) -> list[Word]:
    """Words of a text: X+B share the time of one word, and in the time of - there is none."""
    return timed([[] if slot == "-" else slot.split("+") for slot in text.split()])


def line_of(*hypotheses: str, final: str) -> list[str]:
    written: list[str] = []
    line = Line(written.append)
    for words in hypotheses:
        line.suppose(words_in(words))
    line.end(words_in(final))
    return written


def test_words_are_written_when_two_hypotheses_agree():
    assert line_of("A", "A B", "A B C", final="A B C") == ["A", " B", " C", "\n"]
    assert line_of("A X", "A B C", "A B D", final="A B D") == ["A", " B", " D", "\n"]
    assert line_of(final="") == []


def test_what_was_written_stays():
    assert line_of("A B C", "A B C", final="X B C D") == ["A", " B", " C", " D", "\n"]


@pytest.mark.parametrize(
    ("hypotheses", "final", "written"),
    [
        (["A B C", "A B C"], "A X+B C", "A B C"),  # B, written, has become X B: no second B
        (["A B C D", "A B C D"], "A X+B C D E", "A B C D E"),
        (["A X+B C D", "A X+B C D"], "A B C D E", "A X B C D E"),  # and no lost D
        (["TO+DAY IS X", "TO+DAY IS X"], "TODAY IS FINE", "TO DAY IS FINE"),
        (["A B X", "A B X", "A C+B D X", "A C+B D X"], "A C+B D E", "A B D E"),
        (["A B C D", "A B C D"], "A - C D", "A B C D"),
        (["NO NO X", "NO NO X"], "NO NO NO", "NO NO NO"),
        (["A B X", "A B X"], "", "A B"),
    ],
)
def test_a_revision_neither_repeats_nor_loses_words(hypotheses, final: str, written: str):
    assert "".join(line_of(*hypotheses, final=final)).strip() == written


@given(st.integers(0, 2**32 - 1))
def test_many_revisions_write_each_word_once_in_order(seed: int):
    """What was written is replaced, dropped, or joined by new words, and no bound stays."""
    rng = np.random.default_rng(seed)
    spoken = [f"W{number}" for number in range(20)]
    written: list[str] = []
    line = Line(written.append)

    def revised(heard: int) -> list[Word]:
        slots = [
            [[word], ["X"], [], [word, "X"], ["X", word]][rng.integers(5)]
            for word in spoken[: len(written)]
        ]
        slots += [[word] for word in spoken[len(written) : heard]]
        return timed(slots, 0.1, int(rng.integers(2**32)))

    for heard in range(1, len(spoken) + 1):
        line.suppose(revised(heard))
    assert len(written) > 10
    line.end(revised(len(spoken)))
    assert "".join(written) == " ".join(spoken) + "\n"
