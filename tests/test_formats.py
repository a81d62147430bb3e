"""Output lines, and that the scorer reads them back."""

import json
from pathlib import Path

import pytest

from asr.errors import ConfigError
from asr.formats import FORMATS, Transcript, Word, textgrid, writer
from asr.transcripts import read_transcripts

RESULT = Transcript("talks/day 1.flac", "HELLO WORLD", 2.5)
NASTY = Transcript("a\tb\nc(1).wav", "ONE\tTWO\r\nTHREE\u2028FOUR", 1.0)


def test_lines_by_hand() -> None:
    assert FORMATS["txt"](RESULT) == "HELLO WORLD"
    assert FORMATS["tsv"](RESULT) == "talks/day 1.flac\tHELLO WORLD"
    assert FORMATS["trn"](RESULT) == "HELLO WORLD (day_1)"
    assert json.loads(FORMATS["jsonl"](RESULT)) == {
        "id": "day_1",
        "path": "talks/day 1.flac",
        "text": "HELLO WORLD",
        "duration": 2.5,
    }


def test_txt_of_several_recordings_names_them() -> None:
    assert writer("txt", several=False)(RESULT) == "HELLO WORLD"
    assert writer("txt", several=True)(RESULT) == "talks/day 1.flac\tHELLO WORLD"
    assert writer("trn", several=True)(RESULT) == "HELLO WORLD (day_1)"


def test_unknown_format_lists_the_allowed() -> None:
    with pytest.raises(ConfigError, match="'doc'; allowed: txt, tsv, jsonl, trn"):
        writer("doc", several=False)


def test_jsonl_carries_words_and_warnings() -> None:
    word = Word("\u00c9", 0.1, 0.5, 0.9)
    line = FORMATS["jsonl"](Transcript("a.wav", "\u00c9", 1.0, (word,), ("clipped",)))
    assert "\u00c9" in line
    record = json.loads(line)
    assert record["words"] == [{"word": "\u00c9", "start": 0.1, "end": 0.5, "confidence": 0.9}]
    assert record["warnings"] == ["clipped"]


def test_times_of_words_are_rounded_to_milliseconds() -> None:
    words = (Word("A", 3 * 0.1, 0.70000001, 2 / 3),)
    record = json.loads(FORMATS["jsonl"](Transcript("a.wav", "A", 1.0, words)))
    assert record["words"] == [{"word": "A", "start": 0.3, "end": 0.7, "confidence": 0.667}]


def test_ctm_has_a_line_for_each_word() -> None:
    words = (Word("ONE", 0.09, 3 * 0.1, 1.0), Word("TWO", 0.3, 0.61, 0.25))
    assert FORMATS["ctm"](Transcript("day 1.wav", "ONE TWO", 1.0, words)).splitlines() == [
        "day_1 1 0.090 0.210 ONE 1.000",
        "day_1 1 0.300 0.310 TWO 0.250",
    ]
    assert FORMATS["ctm"](RESULT) == ""


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
    assert textgrid(Transcript("a.wav", "", 1.0, words)) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_a_line_stays_one_line(name: str) -> None:
    line = FORMATS[name](NASTY)
    assert "\n" not in line
    assert "\r" not in line
    assert line.count("\t") == (name == "tsv")


@pytest.mark.parametrize("name", FORMATS)
def test_undecodable_file_names_can_be_printed(name: str) -> None:
    result = Transcript(b"caf\xe9.wav".decode("utf-8", "surrogateescape"), "A", 1.0)
    FORMATS[name](result).encode()


def test_the_scorer_reads_ctm(tmp_path: Path) -> None:
    words = (Word("ONE", 0.09, 0.3, 1.0), Word("TWO", 0.3, 0.61, 0.25))
    transcripts = (Transcript("a.wav", "ONE TWO", 1.0, words), Transcript("b.wav", "", 1.0))
    path = tmp_path / "hyp.ctm"
    path.write_text("".join(f"{FORMATS['ctm'](result)}\n" for result in transcripts))
    assert read_transcripts(path) == {"a": "ONE TWO"}  # a .ctm cannot tell of silent recordings


@pytest.mark.parametrize(("name", "key"), [("tsv", "a b c(1).wav"), ("jsonl", None), ("trn", None)])
def test_the_scorer_reads_what_is_written(tmp_path: Path, name: str, key: str | None) -> None:
    path = tmp_path / "hyp"
    silent = Transcript("empty.wav", "", 0.5)
    path.write_text(f"{FORMATS[name](NASTY)}\n{FORMATS[name](silent)}\n")
    texts = {name: text.split() for name, text in read_transcripts(path).items()}
    silent_key = "empty.wav" if name == "tsv" else "empty"
    assert texts == {key or "a_b_c_1_": ["ONE", "TWO", "THREE", "FOUR"], silent_key: []}
