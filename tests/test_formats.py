"""Output lines, and that the scorer reads them back."""

import json
from pathlib import Path

import pytest

from asr.errors import ConfigError
from asr.formats import FORMATS, Transcript, Word, writer
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


@pytest.mark.parametrize(("name", "key"), [("tsv", "a b c(1).wav"), ("jsonl", None), ("trn", None)])
def test_the_scorer_reads_what_is_written(tmp_path: Path, name: str, key: str | None) -> None:
    path = tmp_path / "hyp"
    silent = Transcript("empty.wav", "", 0.5)
    path.write_text(f"{FORMATS[name](NASTY)}\n{FORMATS[name](silent)}\n")
    texts = {name: text.split() for name, text in read_transcripts(path).items()}
    silent_key = "empty.wav" if name == "tsv" else "empty"
    assert texts == {key or "a_b_c_1_": ["ONE", "TWO", "THREE", "FOUR"], silent_key: []}
