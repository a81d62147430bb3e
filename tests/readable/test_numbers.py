"""Numbers in digits, on phrases by category; a share of them was never looked at while tuning."""

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from asr.readable import numerals

PHRASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "numbers.tsv").read_text(encoding="utf-8").splitlines()
]


def written(spoken: str, breaks: tuple[int, ...] = ()) -> str:
    """Return a phrase with its numbers in digits; `breaks` are words with a mark after them."""
    words, text, at = spoken.split(), [], 0
    for numeral in numerals(words, [place in breaks for place in range(len(words))]):
        text += [*words[at : numeral.first], numeral.text]
        at = numeral.stop
    return " ".join(text + words[at:])


@pytest.mark.parametrize("share", ["tune", "kept"])
def test_at_least_98_percent_of_the_phrases_are_right(share: str):
    phrases = [phrase for phrase in PHRASES if phrase[1] == share]
    wrong = [phrase for phrase in phrases if written(phrase[2]) != phrase[3]]
    assert len(phrases) > 100
    assert len(wrong) <= 0.02 * len(phrases), wrong


def test_there_are_enough_phrases_of_many_categories():
    assert len(PHRASES) >= 300
    assert len({category for category, *_ in PHRASES}) >= 12


def test_a_mark_ends_a_number():
    assert written("in nineteen twenty five men came") == "in 1925 men came"
    assert written("in nineteen twenty five men came", (2,)) == "in 1920 five men came"
    assert written("twenty dollars and fifty cents", (1,)) == "$20 and 50 cents"


VOCABULARY = sorted({word for phrase in PHRASES for word in phrase[2].split()})


@given(st.lists(st.sampled_from(VOCABULARY), max_size=12), st.data())
def test_numerals_are_in_order_and_cross_no_mark(words: list[str], data: st.DataObject):
    breaks = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    end = 0
    for numeral in numerals(words, breaks):
        assert end <= numeral.first < numeral.stop <= len(words)
        assert numeral.text.strip()
        assert not any(breaks[numeral.first : numeral.stop - 1])
        end = numeral.stop
