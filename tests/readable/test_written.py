"""Written text to words and tags."""

from pathlib import Path

import numpy as np
import pytest

from asr.errors import LanguageModelError, TextError
from asr.readable.written import CASES, MARKS, Parser, WrittenText, capitals, case_of
from asr.text import Normalizer


def tagged(line: str, **options: object) -> list[tuple[str, str, str]]:
    parser = Parser(Normalizer(**options))
    return [(word, CASES[case], MARKS[mark]) for word, case, mark in parser.pieces(line)]


def test_marks_and_capitals_of_a_line():
    assert tagged("\u201cIs Mr. O'Neil well-known?\u201d she said, (or not) - no; yes!") == [
        ("Is", "Capital", ""),
        ("Mister", "Capital", ""),
        ("O'Neil", "mixed", ""),
        ("well", "lower", "-"),
        ("known", "lower", "?"),
        ("she", "lower", ""),
        ("said", "lower", ","),
        ("or", "lower", ""),
        ("not", "lower", " -"),
        ("no", "lower", ";"),
        ("yes", "lower", "!"),
    ]


def test_numbers_are_the_words_that_a_recogniser_writes():
    assert tagged("In 1925, the USA") == [
        ("In", "Capital", ""),
        ("nineteen", "lower", ""),
        ("twenty", "lower", ""),
        ("five", "lower", ","),
        ("the", "lower", ""),
        ("USA", "UPPER", ""),
    ]


def test_initials_end_no_sentence_and_headings_are_left_out():
    assert [mark for *_, mark in tagged("R. L. Stevenson wrote.")] == ["", "", "", "."]
    assert tagged("CHAPTER THE FIRST") == []


def test_other_alphabets():
    found = tagged("\u0410\u043d\u043d\u0430 \u0438 \u7530\u4e2d, \u00dcber?", numbers="keep")
    assert [mark for *_, mark in found] == ["", "", ",", "?"]
    assert [case for _, case, _ in found] == ["Capital", "lower", "lower", "Capital"]
    assert case_of("") == case_of("\u7530") == CASES.index("lower")


def test_texts_are_joined_and_mixed_forms_are_learned(tmp_path: Path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("We met McDonald. " * 5)
    second.write_text("Where is McFee?\n")
    text = WrittenText.read([str(first), str(second)], Normalizer())
    assert text.forms == ("McDonald",)
    words = [text.words[word] for word in text.ids]
    assert words == ["we", "met", "mcdonald"] * 5 + ["where", "is", "mcfee"]
    assert len(text) == len(text.cases) == len(text.marks) == 18


def test_a_text_that_cannot_be_used_is_named(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\nbad \xff\n")
    with pytest.raises(TextError, match=r"a\.txt: line 2: not UTF-8"):
        WrittenText.read([str(path)], Normalizer())
    path.write_text("...\n")
    with pytest.raises(TextError, match=r"a\.txt: no words"):
        WrittenText.read([str(path)], Normalizer())
    with pytest.raises(LanguageModelError, match="none"):
        WrittenText.read([str(tmp_path / "none")], Normalizer())


def test_a_capital_follows_each_period():
    cases, marks = np.array([0, 0, 2, 0]), np.array([2, 2, 3, 0])
    assert capitals(cases, marks).tolist() == [0, 1, 2, 0]
