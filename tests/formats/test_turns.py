"""Two channels as turns by time, in every format; what others parse is read by their parsers."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import srt as srt_parser
import webvtt
from praatio import textgrid

from asr.formats import FORMATS, Transcript, Word, WrittenWord, joined_channels, turns_of
from asr.formats.subtitles import LINE_CHARACTERS


def heard(channel: int, speaker: str, timed: str, readable: str = "") -> Transcript:
    """A channel whose words are `word@start`, 0.3 s each; written one by one if readable."""
    pairs = [item.split("@") for item in timed.split()]
    words = tuple(Word(word, float(at), float(at) + 0.3, 0.9) for word, at in pairs)
    text = " ".join(word.word for word in words)
    found = Transcript("call.wav", text, 20.0, words, channel=channel, speaker=speaker)
    if readable:
        written = tuple(WrittenWord(w, n, n + 1) for n, w in enumerate(readable.split()))
        found = replace(found, text=readable, spoken_text=text, written=written)
    return found


ANNA = heard(
    1,
    "Anna",
    "HELLO@0 BEN@0.3 HOW@0.6 ARE@0.9 YOU@1.2 GOOD@6 TO@6.3 HEAR@6.6",
    "Hello, Ben. How are you? Good to hear.",
)
BEN = heard(2, "Ben", "FINE@2 THANK@2.3 YOU@2.6 AND@3.5 YOU@3.8", "Fine, thank you. And you?")


@pytest.fixture
def call() -> Transcript:
    return joined_channels([ANNA, BEN])


def test_turns_follow_each_other_by_time(call: Transcript):
    assert [(turn.speaker, turn.channel, turn.text) for turn in turns_of(call)] == [
        ("Anna", 1, "Hello, Ben. How are you?"),
        ("Ben", 2, "Fine, thank you. And you?"),
        ("Anna", 1, "Good to hear."),
    ]
    assert [turn.words[0].start for turn in turns_of(call)] == [0.0, 2.0, 6.0]
    assert call.spoken == "HELLO BEN HOW ARE YOU FINE THANK YOU AND YOU GOOD TO HEAR"
    assert [word.word for word in call.words] == call.spoken.split()


def test_a_short_answer_stands_behind_the_sentence_that_it_interrupts():
    long = heard(1, "Anna", "A@0 B@0.3 C@0.6 D@0.9 E@1.2 F@1.5", "A b c. D e f.")
    turns = turns_of(joined_channels([long, heard(2, "Ben", "YES@0.5", "Yes.")]))
    assert [turn.text for turn in turns] == ["A b c.", "Yes.", "D e f."]


def test_a_title_ends_no_sentence_and_a_pause_cuts_plain_words():
    named = heard(1, "Anna", "MISTER@0 TODD@1", "Mr. Todd.")
    plain = heard(2, "Ben", "YES@0.2")
    assert [t.text for t in turns_of(joined_channels([named, plain]))] == [
        "Mr.",
        "YES",
        "Todd.",
    ]  # 0.7 s of silence: a pause cuts, whatever the word
    close = heard(1, "Anna", "MISTER@0 TODD@0.3", "Mr. Todd.")
    assert [t.text for t in turns_of(joined_channels([close, plain]))] == ["Mr. Todd.", "YES"]


def test_a_written_word_of_several_spoken_ones_stays_whole():
    words = heard(1, "Anna", "TWENTY@0 DOLLARS@0.3 PLEASE@0.6")
    written = (WrittenWord("$20,", 0, 2), WrittenWord("please.", 2, 3))
    anna = replace(words, text="$20, please.", spoken_text=words.text, written=written)
    (turn,) = turns_of(joined_channels([anna, heard(2, "Ben", "")]))
    assert (turn.text, turn.spoken) == ("$20, please.", "TWENTY DOLLARS PLEASE")
    assert [(word.word, word.start, round(word.end, 3)) for word in turn.timed()] == [
        ("$20,", 0.0, 0.6),
        ("please.", 0.6, 0.9),
    ]


def test_txt_has_a_line_a_turn(call: Transcript):
    assert FORMATS["txt"].write(call) == (
        "Anna: Hello, Ben. How are you?\nBen: Fine, thank you. And you?\nAnna: Good to hear.\n"
    )


def test_tsv_has_a_row_a_turn(call: Transcript):
    assert FORMATS["tsv"].write(call) == (
        "call.wav\tAnna\tHello, Ben. How are you?\n"
        "call.wav\tBen\tFine, thank you. And you?\n"
        "call.wav\tAnna\tGood to hear.\n"
    )


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_says_who_said_each_word(call: Transcript, name: str):
    record = json.loads(FORMATS[name].write(call))
    assert record["text"].splitlines()[1] == "Ben: Fine, thank you. And you?"
    assert record["spoken"] == call.spoken
    assert record["turns"][1] == {
        "channel": 2,
        "speaker": "Ben",
        "start": 2.0,
        "end": 4.1,
        "text": "Fine, thank you. And you?",
        "spoken": "FINE THANK YOU AND YOU",
    }
    assert [word["speaker"] for word in record["words"]] == ["Anna"] * 5 + ["Ben"] * 5 + [
        "Anna"
    ] * 3
    assert record["words"][5] == {
        "word": "FINE",
        "start": 2.0,
        "end": 2.3,
        "confidence": 0.9,
        "channel": 2,
        "speaker": "Ben",
    }
    assert record["channels"] == [
        {"channel": 1, "speaker": "Anna"},
        {"channel": 2, "speaker": "Ben"},
    ]


def test_srt_cues_begin_with_the_speaker(call: Transcript):
    found = list(srt_parser.parse(FORMATS["srt"].write(call)))
    assert [cue.content.replace("\n", " ") for cue in found] == [
        "Anna: Hello, Ben. How are you?",
        "Ben: Fine, thank you. And you?",
        "Anna: Good to hear.",
    ]
    assert [cue.start.total_seconds() for cue in found] == [0.0, 2.0, 6.0]
    assert all(a.end < b.start for a, b in pairwise(found))


def test_vtt_cues_have_a_voice(call: Transcript):
    found = webvtt.from_string(FORMATS["vtt"].write(call)).captions
    assert [cue.voice for cue in found] == ["Anna", "Ben", "Anna"]
    assert found[1].text == "Fine, thank you. And you?"
    assert found[1].start == "00:00:02.000"


def test_vtt_escapes_a_name():
    call = joined_channels([heard(1, "A & B <x>", "HI@0"), heard(2, "C", "")])
    assert "\n<v A &amp; B &lt;x&gt;>HI\n" in FORMATS["vtt"].write(call)


def test_lines_of_subtitles_are_no_longer_with_a_speaker():
    words = " ".join(f"SPEAKING{n}@{0.4 * n:.1f}" for n in range(30))
    call = joined_channels([heard(1, "Somebody With A Name", words), heard(2, "C", "YES@2.1")])
    found = list(srt_parser.parse(FORMATS["srt"].write(call)))
    assert max(len(line) for cue in found for line in cue.content.split("\n")) <= LINE_CHARACTERS
    assert {cue.content.split(":")[0] for cue in found} == {"Somebody With A Name", "C"}
    assert [cue.start for cue in found] == sorted(cue.start for cue in found)


def test_ctm_has_channels_one_after_the_other(call: Transcript):
    lines = [line.split() for line in FORMATS["ctm"].write(call).splitlines()]
    assert [line[1] for line in lines] == ["1"] * 8 + ["2"] * 5
    assert lines[8] == ["call", "2", "2.000", "0.300", "FINE", "0.900"]
    for channel in "12":
        starts = [float(line[2]) for line in lines if line[1] == channel]
        assert starts == sorted(starts)


def test_ctm_of_one_channel_has_its_number():
    assert FORMATS["ctm"].write(replace(BEN, speaker="")).startswith("call 2 2.000 0.300 FINE")


def test_trn_has_the_words_alone(call: Transcript):
    assert FORMATS["trn"].write(call) == f"{call.spoken} (call)\n"


def test_textgrid_has_a_tier_for_each_speaker(call: Transcript, tmp_path):
    (tmp_path / "a.TextGrid").write_text(FORMATS["textgrid"].write(call))
    grid = textgrid.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("Anna", "Ben")
    assert " ".join(e.label for e in grid.getTier("Ben").entries) == BEN.spoken


def test_warnings_of_one_channel_name_its_speaker():
    a, b = replace(ANNA, warnings=("resampled", "clipping")), replace(BEN, warnings=("resampled",))
    assert joined_channels([a, b]).warnings == ("resampled", "Anna: clipping")


def test_nobody_speaks():
    call = joined_channels([heard(1, "Anna", ""), heard(2, "Ben", "")])
    assert (call.text, call.spoken, call.words) == ("", "", ())
    assert json.loads(FORMATS["json"].write(call))["turns"] == []
    assert FORMATS["srt"].write(call) == ""
