"""The fast cost of an alignment equals rapidfuzz's."""

import random

import pytest
from rapidfuzz.distance import Levenshtein

from asr.scoring import distance, wer
from asr.scoring.alignment import ERROR_COST, SUBSTITUTION_COST

WEIGHTS = (ERROR_COST, ERROR_COST, SUBSTITUTION_COST)


def expected(ref, hyp):
    return divmod(Levenshtein.distance(ref, hyp, weights=WEIGHTS), ERROR_COST)


def test_errors_and_substitutions_are_those_of_rapidfuzz():
    draw = random.Random(1)
    for _ in range(400):
        ref, hyp = ("".join(draw.choices("abc", k=draw.randrange(40))) for _ in range(2))
        assert distance.errors_and_substitutions(ref, hyp) == expected(ref, hyp)


def test_the_longest_texts_fit_into_32_bits():
    """The largest cost of all is that of nothing but substitutions."""
    ref, hyp = "a" * distance.MOST_UNITS, "b" * distance.MOST_UNITS
    errors = distance.errors_and_substitutions(ref, hyp)
    assert errors == (distance.MOST_UNITS, distance.MOST_UNITS)


@pytest.mark.parametrize("lengths", [(1, 900), (900, 1), (700, 800)])
def test_long_texts_are_counted_by_the_kernel(monkeypatch, lengths):
    monkeypatch.setattr(wer, "_MANY_CELLS", 100)
    draw = random.Random(2)
    ref, hyp = (draw.choices(["one", "two", "three"], k=length) for length in lengths)
    counted = wer.count(ref, hyp)
    errors, sub = expected(ref, hyp)
    assert (counted.errors, counted.sub) == (errors, sub)
