"""Subtitles as subtitlers expect them, read back by parsers of other people."""

from html import unescape
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from asr.formats import FORMATS, Transcript, Word
from asr.formats.subtitles import (
    CHARACTERS_PER_S,
    GAP_S,
    LINE_CHARACTERS,
    LONGEST_S,
    SHORTEST_S,
    Cue,
    cues,
)

TEXT = (
    "WHEN IN THE COURSE OF HUMAN EVENTS IT BECOMES NECESSARY FOR ONE PEOPLE TO DISSOLVE THE BANDS"
)


def said(text: str, start: float = 0.0, word_s: float = 0.35, gap_s: float = 0.05) -> list[Word]:
    """Words one after the other."""
    step = word_s + gap_s
    return [
        Word(word, start + number * step, start + number * step + word_s, 1.0)
        for number, word in enumerate(text.split())
    ]


@st.composite
def speech(draw: st.DrawFn) -> tuple[list[Word], float]:
    """Words of any length in order, with pauses of any length, in hundredths of a second."""
    words, at = [], draw(st.integers(0, 500))
    letters = st.text("abcdefgh&<>'", min_size=1, max_size=50)
    for text in draw(st.lists(letters, max_size=40)):
        length, pause = draw(st.integers(3, 150)), draw(st.sampled_from([0, 0, 5, 30, 200, 900]))
        words.append(Word(text, at / 100, (at + length) / 100, 1.0))
        at += length + pause
    return words, at / 100


def lines_of(found: list[Cue]) -> list[str]:
    return [" / ".join(cue.lines) for cue in found]


def test_nothing_said_is_no_cue():
    assert cues([], 10.0) == []
    assert cues([Word("", 1.0, 2.0, 1.0)], 10.0) == []
    assert FORMATS["srt"].write(Transcript("a.wav", "", 10.0)) == ""
    assert FORMATS["vtt"].write(Transcript("a.wav", "", 10.0)) == "WEBVTT\n"


def test_a_cue_by_hand():
    transcript = Transcript("a.wav", "", 4000.0, (Word("A<B", 3661.5, 3661.75, 1.0),))
    # 0.25 s of speech stays for a second
    srt = "1\n01:01:01,500 --> 01:01:02,500\nA<B\n"
    assert FORMATS["srt"].write(transcript) == srt
    vtt = "WEBVTT\n\n01:01:01.500 --> 01:01:02.500\nA&lt;B\n"
    assert FORMATS["vtt"].write(transcript) == vtt


def test_text_is_not_taken_for_a_line_of_times():
    words = (Word("A-->B", 0.0, 1.0, 1.0),)
    cue = FORMATS["srt"].write(Transcript("a.wav", "A-->B", 2.0, words)).splitlines()
    assert (cue[1].count("-->"), cue[2]) == (1, "A->B")


def test_cuts_fall_on_pauses():
    words = said("ONE TWO THREE") + said("FOUR FIVE SIX", start=2.5) + said("SEVEN", start=10.0)
    assert lines_of(cues(words, 12.0)) == ["ONE TWO THREE", "FOUR FIVE SIX", "SEVEN"]


def test_a_breath_is_no_pause():
    words = said("ONE TWO") + said("THREE FOUR", start=1.0)
    assert lines_of(cues(words, 12.0)) == ["ONE TWO THREE FOUR"]


def test_a_long_sentence_is_cut_where_the_pause_is():
    words = said(f"{TEXT} {TEXT}", word_s=0.25)
    late = [Word(w.word, w.start + 0.3, w.end + 0.3, 1.0) for w in words[7:]]
    first, *_ = lines_of(cues([*words[:7], *late], 30.0))
    assert first == "WHEN IN THE COURSE OF HUMAN EVENTS"


def test_two_lines_are_even():
    (cue,) = cues(said("WE HOLD THESE TRUTHS TO BE SELF EVIDENT THAT ALL MEN", word_s=0.2), 30.0)
    assert cue.lines == ("WE HOLD THESE TRUTHS TO BE", "SELF EVIDENT THAT ALL MEN")


def test_reading_takes_time_where_there_is_time():
    text = "UNDERSTANDABLE INSTITUTIONALISATION"  # 35 characters in a second of speech
    words = [Word(word, 0.5 * n, 0.5 * n + 0.5, 1.0) for n, word in enumerate(text.split())]
    (cue,) = cues(words, 10.0)
    assert (cue.start, cue.end) == (0.0, pytest.approx(35 / CHARACTERS_PER_S))
    (cue,) = cues(words, 1.5)  # but not after the recording
    assert cue.end == 1.5


def test_a_word_longer_than_a_line_stays_whole():
    word = "LLANFAIRPWLLGWYNGYLLGOGERYCHWYRNDROBWLLLLANTYSILIOGOGOGOCH"
    found = cues(said(f"IN {word} TODAY", word_s=1.0), 5.0)
    assert word in [line for cue in found for line in cue.lines]


@given(speech())
def test_every_word_is_in_a_cue_that_can_be_read(speech: tuple[list[Word], float]):
    words, duration = speech
    found = cues(words, duration)
    assert [text for cue in found for line in cue.lines for text in line.split()] == [
        word.word for word in words
    ]
    starts = {word.start: number for number, word in enumerate(words)}
    for cue in found:
        assert 1 <= len(cue.lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS or " " not in line for line in cue.lines)
        assert 0 < cue.end - cue.start <= LONGEST_S + 1e-9
        assert cue.end <= duration
        assert cue.start in starts
    for cue, following in pairwise(found):
        last = words[starts[following.start] - 1]
        to_next = following.start - cue.start
        gap = min(GAP_S, (following.start - last.start) / 2)
        assert following.start - cue.end >= gap - 1e-9
        needed = max(SHORTEST_S, len(" ".join(cue.lines)) / CHARACTERS_PER_S)
        assert cue.end - cue.start >= min(needed, to_next - gap, LONGEST_S) - 1e-9


@given(speech())
def test_srt_is_read_by_others(speech: tuple[list[Word], float]):
    srt = pytest.importorskip("srt")
    words, duration = speech
    transcript = Transcript("a.wav", "", duration, tuple(words))
    read = list(srt.parse(FORMATS["srt"].write(transcript), ignore_errors=False))
    expected = cues(words, duration)
    assert [item.index for item in read] == list(range(1, len(expected) + 1))
    assert [item.content for item in read] == ["\n".join(cue.lines) for cue in expected]
    for item, cue in zip(read, expected, strict=True):
        assert item.start.total_seconds() == pytest.approx(cue.start, abs=6e-4)
        assert item.end.total_seconds() == pytest.approx(cue.end, abs=6e-4)


@given(speech())
def test_vtt_is_read_by_others(speech: tuple[list[Word], float]):
    webvtt = pytest.importorskip("webvtt")
    words, duration = speech
    transcript = Transcript("a.wav", "", duration, tuple(words))
    read = list(webvtt.from_string(FORMATS["vtt"].write(transcript)))
    expected = cues(words, duration)
    assert [unescape(item.raw_text) for item in read] == ["\n".join(c.lines) for c in expected]
    assert not any("<" in item.raw_text or ">" in item.raw_text for item in read)
    for item, cue in zip(read, expected, strict=True):
        assert seconds(item.start) == pytest.approx(cue.start, abs=6e-4)
        assert seconds(item.end) == pytest.approx(cue.end, abs=6e-4)


def seconds(clock: str) -> float:
    hours, minutes, rest = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)
