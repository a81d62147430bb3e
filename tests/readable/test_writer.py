"""Readable text from tags: sentences, titles, digits, paragraphs, and live."""

from collections.abc import Sequence
from itertools import pairwise
from math import nan

import numpy as np
import pytest

from asr.formats import FORMATS, Transcript, Word, parse_formats
from asr.readable import LiveWriter, TaggerInfo, Writer, text_of
from asr.readable.written import CASES, MARKS


class ScriptedTagger:
    """A tagger that knows the tags of some words, and gives none to all others."""

    def __init__(self, tags: dict[str, tuple[str, str]], *, english: bool = True) -> None:
        self.tags = tags
        self.info = TaggerInfo(("McFee",), english=english)
        self.forms = {"mcfee": "McFee"}

    def tag(self, words: Sequence[str], pauses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        cases, marks = np.zeros((len(words), len(CASES))), np.zeros((len(words), len(MARKS)))
        for row, word in enumerate(words):
            case, mark = self.tags.get(word.lower(), ("lower", ""))
            cases[row, CASES.index(case)] = marks[row, MARKS.index(mark)] = 1
        return cases, marks


TAGS = {
    "mister": ("Capital", ""),
    "mcfee": ("mixed", ","),
    "well": ("lower", "-"),
    "here": ("lower", "."),
    "nato": ("UPPER", ""),
    "dash": ("lower", " -"),
}


def said(words: str) -> list[str]:
    return words.split()


def text(words: str, pauses: Sequence[float] | None = None, **options: object) -> str:
    return text_of(Writer(ScriptedTagger(TAGS), **options).write(said(words), pauses))


def test_sentences_titles_forms_and_hyphens():
    assert text("THEN MISTER MCFEE CAME HERE THE NATO IS WELL KNOWN DASH YES") == (
        "Then Mr. McFee, came here. The NATO is well-known dash \u2013 yes."
    )


def test_words_that_old_books_part_are_one():
    assert text("every one comes to day or to morrow") == "Everyone comes today or tomorrow."
    assert text("from day to day any one of us to night some one") == (
        "From day to day any one of us tonight someone."
    )
    assert text("every one hundred years to") == "Every 100 years to."
    plain = "at any one time from day one to day five every one and a half hours to night school"
    assert text(plain) == f"A{plain[1:]}."
    assert text("at seven to night") == "At seven tonight."
    assert text("every one hundred years", numbers="words") == "Every one hundred years."
    assert text("to well day to here day") == "To well-day to here. Day."
    hyphen = Writer(ScriptedTagger({**TAGS, "to": ("lower", "-"), "day": ("lower", ",")}))
    assert text_of(hyphen.write(said("to day five men came"))) == "Today, five men came."
    assert text_of(hyphen.write(said("day one to day five"))) == "Day, one to day five."
    foreign = Writer(ScriptedTagger(TAGS, english=False))
    assert text_of(foreign.write(said("to day"))) == "To day."


TORN = dict.fromkeys(
    ["s", "h", "e", "five", "two", "oh", "double", "yes"], ("Capital", ".")
)  # as the tagger, which knows books, says


def test_letters_and_long_numbers_are_not_torn_apart():
    writer = Writer(ScriptedTagger({**TAGS, **TORN}))

    def written(words: str) -> str:
        return text_of(writer.write(said(words)))

    assert written("SHE SAID S M I T H YES") == "She said S M I T H. Yes."
    assert written("HER NAME IS A DOUBLE E HERE") == "Her name is A double E. Here."
    assert written("FIVE FIVE FIVE TWO OH ONE TWO YES") == "555-2012. Yes."
    assert written("DOUBLE FIVE FIVE TWO OH ONE TWO") == "555-2012."
    assert written("TRIPLE FIVE TWO OH ONE TWO") == "555-2012."
    assert written("S H IS SHORT") == "S. H. Is short."  # two letters are no word
    assert written("S S S") == "S. S. S."  # nor is one, said again and again
    assert written("FIVE TWO NINE") == "Five. Two. Nine."  # few digits may be a list
    assert written("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE") == "One Two. 345. 6789."
    assert written("DOUBLE " * 3000) == ("Double. " * 3000).strip()
    other = Writer(ScriptedTagger(TORN, english=False))
    assert text_of(other.write(said("S M I T H"))) == "S. M i t H."


def test_a_long_pause_parts_two_numbers():
    words = said("FIVE FIVE FIVE TWO OH ONE TWO " * 2)
    pauses = [0.4] * 6 + [3.0] + [0.4] * 7
    writer = Writer(ScriptedTagger(TORN))
    assert text_of(writer.write(words, pauses)) == "555-2012. 555-2012."
    assert text_of(writer.write(words)) == "55520125552012."


def test_a_long_number_is_written_live_when_it_has_ended():
    writer, words = LiveWriter(Writer(ScriptedTagger(TORN))), said("CALL FIVE FIVE FIVE TWO OH ONE")
    assert writer.write(words, is_end=False) == ["Call"]
    words += said("TWO OR ME AT ONCE NOW")
    assert writer.write(words, is_end=False) == ["555-2012.", "Or"]
    assert writer.write(words, is_end=True) == ["me", "at", "once", "now"]


def test_numbers_are_digits_or_words_and_never_cross_a_mark():
    assert text("IN NINETEEN TWENTY FIVE") == "In 1925."
    assert text("IN NINETEEN TWENTY FIVE", numbers="words") == "In nineteen twenty five."
    assert text("TWENTY FIVE") == "25."
    keeps = Writer(ScriptedTagger(TAGS, english=False))
    assert text_of(keeps.write(["TWENTY", "FIVE"])) == "Twenty five."


def test_written_words_stand_for_all_spoken_words():
    words = said("MISTER MCFEE PAID TWENTY DOLLARS IN WELL KNOWN PLACES HERE")
    written = Writer(ScriptedTagger(TAGS)).write(words)
    assert [word.text for word in written][3:5] == ["$20", "in"]
    assert written[0].first == 0 and written[-1].stop == len(words)
    assert all(a.stop == b.first for a, b in pairwise(written))


def test_paragraphs_begin_after_sentences_at_long_pauses():
    words = ["GO"] * 29 + ["HERE"] + ["GO"] * 5 + ["HERE"] + ["GO"] * 5
    pauses = [0.1] * 41
    pauses[29] = pauses[35] = 2.0
    paragraphs = text(" ".join(words), pauses).split("\n\n")
    assert [len(paragraph.split()) for paragraph in paragraphs] == [30, 11]
    assert "\n" not in text(" ".join(words), [nan] * 41)


@pytest.mark.parametrize(
    "words",
    [
        "\u7530\u4e2d \u3055\u3093",
        "\u0448\u043a\u043e\u043b\u0430",
        "stra\u00dfe \ufb01x",
        "\U0001f600",
        "",
    ],
)
def test_other_alphabets_pass_unharmed(words: str):
    assert text(words).rstrip(".").casefold() == words.casefold()


def test_live_text_is_the_same_in_pieces_and_each_word_is_written_once():
    writer = LiveWriter(Writer(ScriptedTagger(TAGS)))
    words = said("MISTER MCFEE PAID TWENTY DOLLARS HERE THEN HE WENT ON AND ON")
    written = []
    for count in range(len(words)):
        written += writer.write(words[:count], is_end=False)
    assert written and len(written) < len(words)
    written += writer.write(words, is_end=True)
    assert " ".join(written) == "Mr. McFee, paid $20 here. Then he went on and on"
    assert writer.write(["AND", "HERE"], is_end=True) == ["and", "here."]
    assert writer.write(["NEXT"], is_end=True) == ["Next"]


def test_live_numbers_know_the_word_that_was_written_before_them():
    writer, words = Writer(ScriptedTagger({})), said("LOOK AT PAGE FIVE AND THEN GO ON AND ON")
    live, found = LiveWriter(writer), list[str]()
    for count in range(len(words)):
        found += live.write(words[:count], is_end=False)
    found += live.write(words, is_end=True)
    assert found[:4] == ["Look", "at", "page", "5"]
    assert text_of(writer.write(words)) == " ".join(found) + "."


WORDS = tuple(
    Word(word, float(at), at + 0.5, 0.9)
    for at, word in enumerate(said("THEN MISTER MCFEE PAID TWENTY DOLLARS HERE NOW"))
)


def transcript() -> Transcript:
    plain = Transcript("a.wav", " ".join(word.word for word in WORDS), 9.0, WORDS)
    return Writer(ScriptedTagger(TAGS)).rewrite(plain, WORDS)


def test_readable_and_plain_formats():
    found = {name: form.write(transcript()) for name, form in FORMATS.items()}
    readable = "Then Mr. McFee, paid $20 here. Now."
    assert found["txt"] == readable + "\n"
    assert found["tsv"] == f"a.wav\t{readable}\n"
    assert readable in found["jsonl"]
    spoken = "THEN MISTER MCFEE PAID TWENTY DOLLARS HERE NOW"
    assert f'"spoken": "{spoken}"' in found["jsonl"]
    assert found["trn"] == f"{spoken} (a)\n"
    assert [line.split()[4] for line in found["ctm"].splitlines()] == spoken.split()
    for name in ("textgrid", "manifest"):
        assert "TWENTY" in found[name] and "$20" not in found[name]
    assert " ".join(found["srt"].split()[4:8]).startswith("Then Mr. McFee, paid")


def test_cues_and_lines_end_with_sentences():
    spoken = said(
        "ONE TWO THREE FOUR FIVE SIX SEVEN HERE AND THEN WE WENT ON FOR MANY MILES AND FOR MANY "
        "MORE THAN THAT UNTIL EVENING"
    )
    words = [Word(word, at * 0.3, at * 0.3 + 0.3, 1.0) for at, word in enumerate(spoken)]
    plain = Transcript("a.wav", " ".join(spoken), 9.0, tuple(words))
    found = Writer(ScriptedTagger(TAGS), "words").rewrite(plain, words)
    first = FORMATS["srt"].write(found).split("\n\n")[0]
    assert first.endswith("seven here.")
    assert not FORMATS["srt"].write(plain).split("\n\n")[0].endswith("HERE")


def test_highlighted_words():
    (form,) = parse_formats("vtt", highlight_words=True)
    blocks = form.write(transcript()).split("\n\n")[1:]
    marked = [block.split("<u>")[1].split("</u>")[0] for block in blocks]
    assert marked == ["Then", "Mr.", "McFee,", "paid", "$20", "here.", "Now."]
    times = [block.split("\n")[0].split(" --> ") for block in blocks]
    assert all(one[1] <= two[0] for one, two in pairwise(times))
