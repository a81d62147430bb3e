"""What is written, and that the scorer and other people's programs read it back."""

import json
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given, strategies as st

from asr.errors import ConfigError
from asr.formats import FORMATS, Transcript, Word, parse_formats
from asr.media import SoundQuality
from asr.scoring import read_transcripts

RESULT = Transcript("talks/day 1.flac", "HELLO WORLD", 2.5)
NASTY = Transcript("a\tb\nc(1).wav", "ONE\tTWO\r\nTHREE\u2028FOUR", 1.0)


def write(name: str, transcript: Transcript) -> str:
    return FORMATS[name].write(transcript)


def test_lines_by_hand() -> None:
    assert write("txt", RESULT) == "HELLO WORLD\n"
    assert write("tsv", RESULT) == "talks/day 1.flac\tHELLO WORLD\n"
    assert write("trn", RESULT) == "HELLO WORLD (day_1)\n"
    record = {"id": "day_1", "path": "talks/day 1.flac", "text": "HELLO WORLD", "duration": 2.5}
    assert json.loads(write("jsonl", RESULT)) == record
    assert json.loads(write("json", RESULT)) == record


def test_formats_by_name() -> None:
    assert parse_formats("srt,json,srt") == (FORMATS["srt"], FORMATS["json"])
    for wrong in ("doc", "", "srt,", "SRT"):
        with pytest.raises(ConfigError, match="allowed: txt, tsv, json, jsonl, srt"):
            parse_formats(wrong)


def test_json_carries_words_warnings_findings_and_what_recognised() -> None:
    word = Word("\u00c9", 0.1, 0.5, 0.9)
    quality = SoundQuality(
        original_rate_hz=8000,
        channels=1,
        duration=1.0,
        format="WAV/PCM_16",
        resampled=True,
        bandwidth_hz=4000.0,
        clipped_fraction=0.5,
        dc_offset=0.0,
        peak_db=0.0,
        rms_db=-3.0,
    )
    system = {"model": "english", "decoder": {"name": "greedy"}}
    line = write(
        "jsonl",
        Transcript("a.wav", "\u00c9", 1.0, (word,), ("clipped",), quality, system),
    )
    assert "\u00c9" in line
    record = json.loads(line)
    assert record["words"] == [{"word": "\u00c9", "start": 0.1, "end": 0.5, "confidence": 0.9}]
    assert record["warnings"] == ["clipped"]
    assert record["findings"]["clipped_fraction"] == 0.5
    assert (record["model"], record["decoder"]) == ("english", {"name": "greedy"})


def test_times_of_words_are_rounded_to_milliseconds() -> None:
    words = (Word("A", 3 * 0.1, 0.70000001, 2 / 3),)
    record = json.loads(write("jsonl", Transcript("a.wav", "A", 1.0, words)))
    assert record["words"] == [{"word": "A", "start": 0.3, "end": 0.7, "confidence": 0.667}]


def test_ctm_has_a_line_for_each_word() -> None:
    words = (Word("ONE", 0.09, 3 * 0.1, 1.0), Word("TWO", 0.3, 0.61, 0.25))
    assert write("ctm", Transcript("day 1.wav", "ONE TWO", 1.0, words)).splitlines() == [
        "day_1 1 0.090 0.210 ONE 1.000",
        "day_1 1 0.300 0.310 TWO 0.250",
    ]
    assert write("ctm", RESULT) == ""


def test_textgrid_by_hand() -> None:
    words = (
        Word("ONE", 0.25, 3 * 0.1, 1.0),
        Word('"TWO"', 0.3, 0.6, 0.5),
        Word("NONE", 1.0, 1.0, 0.5),
    )
    expected = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.0
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.0
        intervals: size = 4
        intervals [1]:
            xmin = 0.0
            xmax = 0.25
            text = ""
        intervals [2]:
            xmin = 0.25
            xmax = 0.3
            text = "ONE"
        intervals [3]:
            xmin = 0.3
            xmax = 0.6
            text = """TWO"""
        intervals [4]:
            xmin = 0.6
            xmax = 1.0
            text = ""
'''
    assert write("textgrid", Transcript("a.wav", "", 1.0, words)) == expected


@pytest.mark.parametrize("name", ["txt", "tsv", "jsonl", "trn"])
def test_a_line_stays_one_line(name: str) -> None:
    line = write(name, NASTY)
    assert line.find("\n") == len(line) - 1
    assert "\r" not in line
    assert line.count("\t") == (name == "tsv")


@pytest.mark.parametrize("name", FORMATS)
def test_undecodable_file_names_can_be_printed(name: str) -> None:
    result = Transcript(b"caf\xe9.wav".decode("utf-8", "surrogateescape"), "A", 1.0)
    write(name, result).encode()


def test_the_scorer_reads_ctm(tmp_path: Path) -> None:
    words = (Word("ONE", 0.09, 0.3, 1.0), Word("TWO", 0.3, 0.61, 0.25))
    transcripts = (Transcript("a.wav", "ONE TWO", 1.0, words), Transcript("b.wav", "", 1.0))
    path = tmp_path / "hyp.ctm"
    path.write_text("".join(write("ctm", result) for result in transcripts))
    assert read_transcripts(path) == {"a": "ONE TWO"}  # a .ctm cannot tell of silent recordings


@pytest.mark.parametrize(("name", "key"), [("tsv", "a b c(1).wav"), ("jsonl", None), ("trn", None)])
def test_the_scorer_reads_what_is_written(tmp_path: Path, name: str, key: str | None) -> None:
    path = tmp_path / "hyp"
    silent = Transcript("empty.wav", "", 0.5)
    path.write_text(write(name, NASTY) + write(name, silent))
    texts = {name: text.split() for name, text in read_transcripts(path).items()}
    silent_key = "empty.wav" if name == "tsv" else "empty"
    assert texts == {key or "a_b_c_1_": ["ONE", "TWO", "THREE", "FOUR"], silent_key: []}


@st.composite
def spoken(draw: st.DrawFn) -> Transcript:
    """Words in order, with and without pauses, of letters that mean something in Praat's files."""
    words, at = [], 0
    for text in draw(st.lists(st.text("ab\"'\u00e9=!<>", min_size=1), max_size=10)):
        start = at + draw(st.integers(0, 50))
        at = start + draw(st.integers(1, 50))
        words.append(Word(text, start / 100, at / 100, 1.0))
    return Transcript("a.wav", "", (at + draw(st.integers(1, 100))) / 100, tuple(words))


@given(spoken())
def test_praat_textgrid_is_read_by_others(transcript: Transcript) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    with NamedTemporaryFile("w", suffix=".TextGrid", encoding="utf-8") as file:
        file.write(write("textgrid", transcript))
        file.flush()
        grid = textgrid.openTextgrid(file.name, includeEmptyIntervals=False)
    assert grid.tierNames == ("words",)
    assert grid.maxTimestamp == transcript.duration
    read = [tuple(entry) for entry in grid.getTier("words").entries]
    assert read == [(word.start, word.end, word.word) for word in transcript.words]
