"""Words as people wrote them, and the spoken words that each stands for."""

import pytest

from asr.formats import WrittenWord, written_words
from asr.text import Normalizer


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Yes, it is.", ["Yes,=YES", "it=IT", "is.=IS"]),
        ("It cost $20, I said", ["It=IT", "cost=COST", "$20,=TWENTY DOLLARS", "I=I", "said=SAID"]),
        ("$3.5 million! Well", ["$3.5 million!=THREE POINT FIVE MILLION DOLLARS", "Well=WELL"]),
        ("Wait \u2013 no -", ["Wait \u2013=WAIT", "no -=NO"]),
        ("- Who?\n- \u201cMe\u201d", ["- Who? -=WHO", "\u201cMe\u201d=ME"]),
        ("a well-known man", ["a=A", "well-known=WELL KNOWN", "man=MAN"]),
    ],
)
def test_written_words_and_what_is_spoken(text: str, spoken: list[str]):
    normalise = Normalizer()
    words = normalise(text).split()
    found = written_words(text, normalise)
    assert [f"{w.text}={' '.join(words[w.first : w.stop])}" for w in found] == spoken
    assert [w.first for w in found] == [0, *(w.stop for w in found[:-1])]


@pytest.mark.parametrize("text", ["", " - ", "one two"])
def test_words_that_do_not_add_up_are_not_shown(text: str):
    def normalise(text: str) -> str:
        return "ONE TWO THREE" if text == "one two" else Normalizer()(text)

    assert written_words(text, normalise) == ()


def test_a_silent_mark_at_the_beginning_belongs_to_the_first_word():
    assert written_words("\u2014 So it was", Normalizer())[0] == WrittenWord("\u2014 So", 0, 1)
